// The page: the form, the server's state, this browser's orders, and the images that it keeps.
import { keptImages, remove, removeAll, onChange } from "./kept.js";
import { isLive, wakeAll } from "./order.js";
import { dropEnded, dropOrder, showLine, showOrder } from "./order_view.js";
import { followOrders, liveOrders, place } from "./orders.js";
import { ask, Refused } from "./server.js";
import { duration, plural } from "./words.js";

const $ = (id) => document.getElementById(id);
const form = $("form");
const edited = new Set();  // fields that have been typed in since the page came
let info = null;

const say = (text) => { $("said").textContent = text; };

// ---- what the server is and does -------------------------------------------------------------------------------

const saved = () => JSON.parse(sessionStorage.getItem("form") ?? "{}");

// Of the model that was chosen, if it is still there; else of the default one.
async function infoOf(model) {
  const path = model ? `/v1/info?model=${encodeURIComponent(model)}` : "/v1/info";
  try {
    return await (await ask("GET", path)).json();
  } catch (error) {
    if (!model || error.status !== 404) throw error;
    return infoOf("");
  }
}

async function learn({ model: chosen = saved().model, ...before } = saved()) {
  info = await infoOf(chosen);
  const { model, models, defaults, limits, schedulers } = info;
  $("model").textContent = model.name;
  $("models").hidden = models.length < 2;
  $("which").replaceChildren(...(models.length < 2 ? [] : models.map((name) => new Option(name, name, false, name === model.name))));
  for (const side of ["width", "height"])
    Object.assign($(side), { min: limits.size_multiple, max: limits.max_side, step: limits.size_multiple });
  $("steps").max = limits.max_steps;
  $("guidance").max = limits.max_guidance;
  $("count").max = limits.max_images;
  $("scheduler").replaceChildren(...schedulers.map((name) => new Option(name, name, false, name === defaults.scheduler)));
  fill({ ...defaults, ...before, model: undefined, seed: undefined }, [...form.elements].filter((field) => !edited.has(field)));
}

function fill(values, fields = [...form.elements]) {
  for (const field of fields)
    if (field.name && values[field.name] !== undefined) field.value = values[field.name];
  if (fields.includes($("seed"))) $("seed").value = values.seed ?? "";
}

function queueWords(queue) {
  if (queue.draining) return "Shutting down";
  if (!queue.ready) return `Getting ready, ${duration(queue.uptime)} so far`;
  return queue.orders === 0 ? "Idle" : `${queue.running} running, ${queue.queued} queued`;
}

async function watchQueue() {
  try {
    if (document.visibilityState === "visible") {
      const queue = await (await ask("GET", "/queue")).json();
      $("queue").textContent = queueWords(queue);
      if (!info && queue.ready) await learn().then(wakeAll);
    }
  } catch (error) {
    $("queue").textContent = error instanceof Refused ? "" : "The server can't be reached";
  }
  setTimeout(watchQueue, liveOrders().length || !info ? 1500 : 4000);
}

// ---- orders ----------------------------------------------------------------------------------------------------

// What is left empty is the server's to choose.
function asked() {
  const fields = Object.fromEntries([...new FormData(form)].filter(([, value]) => value !== ""));
  for (const name of ["width", "height", "num_inference_steps", "guidance_scale", "num_images_per_prompt"])
    if (name in fields) fields[name] = Number(fields[name]);
  return fields;
}

function generate() {
  if (!form.reportValidity()) return;
  const fields = asked();
  sessionStorage.setItem("form", JSON.stringify(fields));
  dropEnded();
  say("Sending");
  place(fields, $("seed").value.trim() || String(crypto.getRandomValues(new Uint32Array(1))[0]));
  $("now").scrollIntoView({ block: "nearest" });  // on a phone it is below the form
}

const heard = new WeakMap();  // order -> what was said of it

function sayOf(order) {
  const words = order.lost ? "Connection lost, trying again"
    : { done: `Done: ${plural(order.images.length, "image", "images")} of ${order.parameters.prompt}`, failed: "Failed",
        cancelled: "Cancelled", running: "Generating", queued: "Queued" }[order.status];
  if (words && heard.get(order) !== words) say(words);
  heard.set(order, words);
}

function showTitle() {
  const orders = liveOrders();
  const mean = orders.reduce((sum, order) => sum + order.progress, 0) / orders.length;
  document.title = orders.length ? `${Math.floor(100 * mean)} % · Inkstone` : "Inkstone";
}

function changed(order) {
  showOrder(order, (asking) => (asking.done ? askToCancel(asking) : asking.cancel()));
  if (order.left) dropOrder(order);
  $("now").hidden = !$("orders").firstElementChild;
  showTitle();
  sayOf(order);
  if (!isLive(order) && order === toCancel) $("stop").close("no");
}

let toCancel = null;

function askToCancel(order) {
  if (!order || order.record.cancelled || $("stop").open) return;
  toCancel = order;
  const { done, images } = order;
  $("stop-prompt").textContent = order.parameters.prompt;
  $("stop-hint").textContent = done ? `${done} of ${images.length} images are done and kept; the others are lost.` : "What is drawn so far is lost.";
  $("stop").returnValue = "no";
  $("stop").showModal();
}

// ---- what is kept ----------------------------------------------------------------------------------------------

const urls = new Map();  // id -> object URL
let viewed = null;

function urlOf(entry) {
  if (!urls.has(entry.id)) urls.set(entry.id, URL.createObjectURL(entry.blob));
  return urls.get(entry.id);
}

function tileOf(entry) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const image = new Image();
  const words = document.createElement("span");
  button.type = "button";
  button.dataset.id = entry.id;
  button.setAttribute("aria-label", `${entry.parameters.prompt}, seed ${entry.parameters.seed}`);
  image.src = urlOf(entry);
  image.alt = "";
  image.loading = "lazy";
  words.textContent = entry.parameters.prompt;
  button.append(image, words);
  button.addEventListener("click", () => view(entry));
  item.append(button);
  return item;
}

async function showKept() {
  const entries = await keptImages();
  const there = new Set(entries.map((entry) => entry.id));
  for (const [id, url] of urls)
    if (!there.has(id)) {
      URL.revokeObjectURL(url);
      urls.delete(id);
    }
  $("gallery").replaceChildren(...entries.map(tileOf));
  $("kept-none").hidden = entries.length > 0;
  $("forget").hidden = entries.length === 0;
  $("kept-count").textContent = entries.length ? String(entries.length) : "";
}

function view(entry) {
  viewed = entry;
  const p = entry.parameters;
  $("viewer-image").src = urlOf(entry);
  $("viewer-image").alt = p.prompt;
  $("viewer-title").textContent = p.prompt;
  const facts = [["Negative prompt", p.negative_prompt], ["Seed", p.seed], ["Size", `${p.width} × ${p.height}`],
    ["Steps", p.num_inference_steps], ["Guidance", p.guidance_scale], ["Scheduler", p.scheduler],
    ["Model", entry.model], ["Time", entry.seconds && duration(entry.seconds)],
    ["Created", new Date(entry.created).toLocaleString()]];
  $("viewer-facts").replaceChildren(...facts.filter(([, value]) => value || value === 0).flatMap(([name, value]) => {
    const term = document.createElement("dt"), fact = document.createElement("dd");
    term.textContent = name;
    fact.textContent = value;
    return [term, fact];
  }));
  const name = p.prompt.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 60).replace(/^-+|-+$/g, "") || "image";
  Object.assign($("viewer-save"), { href: urlOf(entry), download: `${name}-${p.seed}.png` });
  $("viewer").showModal();
}

function listen() {
  form.addEventListener("submit", (event) => { event.preventDefault(); generate(); });
  form.addEventListener("input", (event) => edited.add(event.target));
  $("which").addEventListener("change", () => learn({ model: $("which").value }).catch((error) => say(error.message)));
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) generate();
    if (event.key !== "Escape") return;
    event.preventDefault();  // it would close what it opens
    askToCancel(liveOrders().at(-1));
  });
  $("stop").addEventListener("close", () => {
    if ($("stop").returnValue === "yes" && isLive(toCancel)) toCancel.cancel();
    toCancel = null;
  });
  $("viewer-close").addEventListener("click", () => $("viewer").close());
  $("viewer").addEventListener("click", (event) => { if (event.target === $("viewer")) $("viewer").close(); });
  $("viewer-remove").addEventListener("click", async () => { await remove(viewed.id); $("viewer").close(); });
  $("viewer-again").addEventListener("click", () => {
    fill({ negative_prompt: "", ...viewed.parameters });
    for (const field of form.elements) edited.add(field);
    if (info.models.includes(viewed.model)) learn({ model: viewed.model }).catch((error) => say(error.message));
    $("viewer").close();
    $("prompt").focus();
  });
  $("forget").addEventListener("click", () => $("sure").showModal());
  $("sure").addEventListener("close", () => { if ($("sure").returnValue === "yes") removeAll(); });
  onChange(showKept);
}

listen();
followOrders(changed);
setInterval(() => liveOrders().forEach(showLine), 500);
showKept().catch(() => { $("kept-none").textContent = "This browser does not let the page keep images."; });
learn().catch(() => {}).finally(watchQueue);
