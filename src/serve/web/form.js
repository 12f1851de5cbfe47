// The form: what is asked for, filled from the model's defaults or an image's settings, with faults shown at their fields.
import { can } from "./abilities.js";
import { adapterList, listenToAdapters, offerAdapters, setAdapters } from "./adapters.js";
import { $, make } from "./dom.js";
import { listenToShapes, refreshShapes, setOwnShape, setShapes } from "./shapes.js";
import { clearSource, maskBlob, onSource, outpaintSides, outpaintText, setSource, sourceImage } from "./source.js";
import { begun, plural, schedulerTitle, scheduleTitles } from "./words.js";

const form = $("form");
const edited = new Set();  // fields that have been changed since the page came, or the model
let info = null;

const isHere = (field) => field.name && field.type !== "radio" && !field.matches(":disabled") && !field.closest("[hidden], .absent");
const named = (name) => [...form.elements].find((field) => field.name === name);

function valueOf(field) {
  if (field.type === "checkbox") return field.checked || undefined;
  if (field.value === "") return undefined;
  return field.type === "number" || field.type === "range" ? Number(field.value) : field.value;
}

function setValue(field, value) {
  if (field.type === "checkbox") field.checked = Boolean(value);
  else field.value = value ?? "";
}

// ---- what is asked for -----------------------------------------------------------------------------------------

// { fields, seed, blobs }: fields of POST /generate; "" for a seed that is drawn; the images by field. What is left
// empty is the server's to choose.
export function asked() {
  const fields = {}, blobs = {};
  for (const field of form.elements) if (isHere(field) && valueOf(field) !== undefined) fields[field.name] = valueOf(field);
  if (adapterList().length && can("loras")) fields.loras = adapterList();
  if (sourceImage()) {
    blobs.image = sourceImage().blob;
    if (maskBlob()) blobs.mask = maskBlob();
    if (outpaintText()) fields.outpaint = outpaintText();
  }
  return { fields, seed: $("seed").value.trim(), blobs };
}

export function saveForm() {
  const { fields, seed } = asked();
  sessionStorage.setItem("form", JSON.stringify({ ...fields, seed }));
}

const saved = () => JSON.parse(sessionStorage.getItem("form") ?? "{}");
export const savedModel = () => saved().model;

// ---- filling ---------------------------------------------------------------------------------------------------

function fillField(field, values) {
  if (field.id === "seed") field.value = values.seed ?? "";
  if (field.name && field.type !== "radio" && field.name !== "model" && values[field.name] !== undefined) setValue(field, values[field.name]);
}

function showHires() {
  $("hires-more").hidden = $("hires-more").disabled = !$("hires-on").checked;
}

// Of a scheduler: those of the list that it takes.
function showSchedules(wanted = $("schedule").value) {
  const scheduler = $("scheduler").value, plain = ["default", "leading", "linspace", "trailing"];
  const few = ["pndm", "ddim", "lcm", "tcd"].includes(scheduler);
  const names = Object.keys(scheduleTitles).filter((name) => (few ? plain.includes(name) : name !== "lu" || scheduler.startsWith("dpm++-2m")));
  $("schedule").replaceChildren($("schedule").options[0], ...names.map((name) => new Option(scheduleTitles[name], name)));
  $("schedule").value = names.includes(wanted) ? wanted : "";
}

// Whether the input image would have to be stretched.
function showFit() {
  const image = sourceImage(), { left, top, right, bottom } = outpaintSides();
  const ratio = image && (image.width + left + right) / (image.height + top + bottom);
  const other = image && Math.abs(Math.log(ratio * $("height").value / $("width").value)) > 0.02;
  $("fit").hidden = !other;
}

// What the server would take, until it is changed: where a part is drawn anew, nothing of the image is seen there.
function showPart() {
  const part = Boolean(maskBlob() || outpaintText());
  if (!edited.has($("strength"))) $("strength").value = part ? 1 : 0.8;
  $("keep-row").hidden = !part;
}

function shown() {
  showFit();
  showPart();
  showHires();
  refreshShapes();
  $("padding-row").hidden = !$("only_masked").checked;
  $("strength").labels[0].querySelector("output").textContent = Number($("strength").value).toFixed(2);
  showChips();
}

// All as an image's settings say; what they do not say is the model's default. `inputs`: its images by field.
export async function fillAll({ inputs = {}, keepInput = false, outpaint = "", loras = [], scheduler, ...settings }) {
  clearFaults();
  const known = info?.schedulers.find((name) => name === scheduler || schedulerTitle(name) === scheduler) ?? info?.defaults.scheduler;
  const values = { ...info?.defaults, num_images_per_prompt: 1, ...settings, scheduler: known };
  for (const field of form.elements) {
    edited.add(field);
    if (field.name !== "model") setValueOfDefault(field);
    fillField(field, values);
  }
  $("hires-on").checked = Number(settings.hires) > 1;
  if (!$("hires-on").checked) $("hires").value = 2;
  setAdapters(loras);
  showSchedules(settings.schedule);
  if (inputs.image) await setSource(inputs.image, { name: "Its input image", maskOf: inputs.mask, outpaint });
  else if (!keepInput) clearSource();
  for (const side of ["width", "height"]) if (values[side]) $(side).value = values[side];
  shown();
}

function setValueOfDefault(field) {
  if (field.type === "checkbox") field.checked = field.defaultChecked;
  else if (field.tagName !== "SELECT" && field.type !== "radio" && field.type !== "file") field.value = field.defaultValue;
  else if (field.tagName === "SELECT" && field.options.length) field.selectedIndex = 0;
}

// ---- the model -------------------------------------------------------------------------------------------------

function showModels({ model, models }) {
  $("model").textContent = models.length < 2 ? model.name : "";
  $("models").hidden = models.length < 2;
  $("which").replaceChildren(...(models.length < 2 ? [] : models.map((name) => new Option(name, name, false, name === model.name))));
}

function showUpscalers(names = ["latent", "latent-antialiased", "latent-bicubic", "latent-nearest-exact", "lanczos", "bicubic"]) {
  $("hires_upscaler").replaceChildren($("hires_upscaler").options[0], ...names.map((name) => new Option(begun(name.replaceAll("-", ", ")), name)));
}

// `about`: of GET /v1/info; `lists`: of GET /models. Fields that nobody changed get the model's defaults.
export function setModel(about, lists) {
  const first = !info, before = first ? saved() : {};
  info = about;
  const { defaults, limits, schedulers } = info;
  showModels(info);
  for (const side of ["width", "height"])
    Object.assign($(side), { min: limits.size_multiple, max: limits.max_side, step: limits.size_multiple });
  $("steps").max = limits.max_steps;
  $("guidance").max = limits.max_guidance;
  $("count").max = limits.max_images;
  const scheduler = $("scheduler").value;
  $("scheduler").replaceChildren(...schedulers.map((name) =>
    new Option(schedulerTitle(name) + (name === defaults.scheduler ? " (the model’s own)" : ""), name, false, name === defaults.scheduler)));
  if (edited.has($("scheduler")) && schedulers.includes(scheduler)) $("scheduler").value = scheduler;
  offerAdapters(lists.loras ?? []);
  showUpscalers(lists.upscalers);
  setShapes(info);
  const values = { ...defaults, seed: undefined, ...before };
  for (const field of form.elements) if (!edited.has(field) && (first || field.id !== "seed")) fillField(field, values);
  if (before.hires) $("hires-on").checked = true;
  if (first && before.loras) setAdapters(before.loras);
  showSchedules(before.schedule);
  if (sourceImage()) setOwnShape(sourceImage());
  shown();
}

export const modelInfo = () => info;

// Another was chosen: its own size is the size.
export function forgetSize() {
  for (const id of ["width", "height", "steps", "guidance", "scheduler"]) edited.delete($(id));
}

// ---- chips -----------------------------------------------------------------------------------------------------

function chips() {
  const { defaults } = info, { fields, seed } = asked();
  const texts = [];
  const other = (name, words) => { if (fields[name] !== undefined && fields[name] !== defaults[name]) texts.push(words(fields[name])); };
  other("num_inference_steps", (n) => plural(n, "step", "steps"));
  other("guidance_scale", (n) => `guidance ${n}`);
  other("scheduler", schedulerTitle);
  other("schedule", (name) => scheduleTitles[name] ?? name);
  if (seed) texts.push(`seed ${seed}`);
  if (fields.num_images_per_prompt > 1) texts.push(`${fields.num_images_per_prompt} images`);
  if (fields.loras) texts.push(plural(fields.loras.length, "adapter", "adapters"));
  other("hires", (n) => `${n} times as large`);
  other("clip_skip", (n) => `clip skip ${n}`);
  other("guidance_rescale", (n) => `rescale ${n}`);
  other("prompt_syntax", (name) => name);
  other("output_format", (name) => name);
  return texts;
}

function showChips() {
  $("chips").replaceChildren(...(info ? chips() : []).map((text) => make("span", { className: "chip", textContent: text })));
}

// ---- faults ----------------------------------------------------------------------------------------------------

const places = { seed: "seed", image: "source-choose", mask: "source-paint", loras: "adapter-add", outpaint: "out-left" };

function clearFault(field) {
  $(`fault-${field.id}`)?.remove();
  field.removeAttribute("aria-invalid");
  if (field.getAttribute("aria-describedby")?.startsWith("fault-")) field.removeAttribute("aria-describedby");
}

const clearFaults = () => { for (const field of form.querySelectorAll("[aria-invalid]")) clearFault(field); };

// Shows what is wrong with a field of POST /generate, and goes there. False where the form has no such field.
export function showFault(name, message) {
  const field = $(places[name]) ?? named(name);
  if (!field || field.matches(":disabled") || field.closest(".absent")) return false;
  clearFault(field);
  for (let fold = field.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
  const words = make("p", { id: `fault-${field.id}`, className: "fault", textContent: message });
  const seen = field.closest("[hidden]")?.parentElement ?? field;
  seen.after(words);
  field.setAttribute("aria-invalid", "true");
  if (!field.hasAttribute("aria-describedby")) field.setAttribute("aria-describedby", words.id);
  field.focus();
  words.scrollIntoView({ block: "nearest" });
  return true;
}

// Whether it can be sent; if not, the first fault is shown.
export function check() {
  clearFaults();
  const wrong = [...form.elements].find((field) => (field.name || field.id === "seed" || field.id.startsWith("out-"))
    && !field.closest("[hidden], .absent") && field.willValidate && !field.checkValidity());
  if (!wrong) return true;
  showFault(wrong.name || (wrong.id === "seed" ? "seed" : "outpaint"), wrong.validity.patternMismatch ? "A seed is digits, or nothing for a random one." : wrong.validationMessage);
  return false;
}

// `modelChosen` is called with its name.
export function listenToForm(modelChosen) {
  const changed = ({ target }) => {
    edited.add(target);
    clearFault(target);
    if (target === $("scheduler")) showSchedules();
    shown();
    saveForm();
  };
  for (const event of ["input", "change"]) form.addEventListener(event, changed);
  $("which").addEventListener("change", () => { forgetSize(); modelChosen($("which").value); });
  $("reset").addEventListener("click", () => {
    const { prompt, negative_prompt } = asked().fields;
    fillAll({ prompt: prompt ?? "", negative_prompt: negative_prompt ?? "", keepInput: true });
    edited.clear();
    saveForm();
  });
  listenToAdapters();
  listenToShapes();
  onSource((image) => {
    if (!image) edited.delete($("strength"));
    setOwnShape(image);
    shown();
  });
}
