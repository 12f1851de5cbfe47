// An image that is kept, shown large: what it is, what can be done with it, and how it looked before.
import { $, fitFrame, showFacts } from "./dom.js";
import { duration, plural, schedulerTitle, scheduleTitles, slug } from "./words.js";

const urls = new Map();  // id -> { blob, url }
let beforeUrl = "";

export function urlOf(entry) {
  if (!urls.has(entry.id)) urls.set(entry.id, URL.createObjectURL(entry.blob));
  return urls.get(entry.id);
}

// Those of images that are no longer kept are given back.
export function dropUrls(entries) {
  const there = new Set(entries.map((entry) => entry.id));
  for (const [id, url] of urls) {
    if (there.has(id)) continue;
    URL.revokeObjectURL(url);
    urls.delete(id);
  }
}

const endings = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp" };
export const fileName = (entry) => `${slug(entry.parameters.prompt)}-${entry.parameters.seed}.${endings[entry.blob.type] ?? "png"}`;

const factsOf = ({ parameters: p, model, seconds, created }) => [
  ["Negative prompt", p.negative_prompt], ["Model", model], ["Adapters", p.loras?.join(", ")], ["Size", `${p.width} × ${p.height}`],
  ["Steps", p.num_inference_steps], ["Guidance", p.guidance_scale], ["Scheduler", p.scheduler && schedulerTitle(p.scheduler)],
  ["Schedule", p.schedule && p.schedule !== "default" && (scheduleTitles[p.schedule] ?? p.schedule)], ["Seed", p.seed],
  ["Strength", p.strength], ["Extended", p.outpaint], ["High resolution", p.hires > 1 && `${p.hires} ×`],
  ["Time", seconds && duration(seconds)], ["Created", new Date(created).toLocaleString()],
];

const summaryOf = ({ parameters: p, seconds }) =>
  [`Seed ${p.seed}`, p.num_inference_steps && plural(p.num_inference_steps, "step", "steps"), p.scheduler && schedulerTitle(p.scheduler),
    seconds && duration(seconds)].filter(Boolean).join(" · ");

// ---- before and after ------------------------------------------------------------------------------------------

// Where the input lies in the image: the rest of it is what it was extended by.
function placeBefore(image, outpaint = "") {
  const side = (name) => Number(new RegExp(`${name}=(\\d+)`).exec(outpaint)?.[1] ?? 0);
  const [left, top, right, bottom] = ["left", "top", "right", "bottom"].map(side);
  const wide = image.naturalWidth + left + right, high = image.naturalHeight + top + bottom;
  Object.assign(image.style, { left: `${100 * left / wide}%`, top: `${100 * top / high}%`,
    width: `${100 * image.naturalWidth / wide}%`, height: `${100 * image.naturalHeight / high}%` });
}

const showDivide = () => $("compare").style.setProperty("--divide", `${$("compare-slider").value}%`);

export function compare(on) {
  $("compare").hidden = !on;
  $("viewer-compare").setAttribute("aria-pressed", String(on));
}

function setBefore(entry) {
  const before = entry.inputs?.image;
  compare(false);
  $("viewer-compare").hidden = !before;
  if (beforeUrl) URL.revokeObjectURL(beforeUrl);
  beforeUrl = before ? URL.createObjectURL(before) : "";
  if (!before) return;
  const image = $("compare-before");
  image.onload = () => placeBefore(image, entry.parameters.outpaint);
  image.src = beforeUrl;
  $("compare-slider").value = 50;
  showDivide();
}

export function listenToCompare() {
  $("viewer-compare").addEventListener("click", () => compare($("compare").hidden));
  $("compare-slider").addEventListener("input", showDivide);
}

// ---- the whole -------------------------------------------------------------------------------------------------

// `newer`, `older`: whether there are such.
export function showPicture(entry, { newer, older }) {
  const { parameters } = entry, image = $("viewer-image"), url = urlOf(entry);
  fitFrame($("shown"), parameters.width, parameters.height);
  image.onload = () => fitFrame($("shown"), image.naturalWidth, image.naturalHeight);
  image.src = url;
  image.alt = parameters.prompt;
  $("viewer-title").textContent = parameters.prompt;
  $("viewer-summary").textContent = summaryOf(entry);
  showFacts($("viewer-facts"), factsOf(entry));
  Object.assign($("viewer-save"), { href: url, download: fileName(entry) });
  $("viewer-open").href = url;
  $("viewer-previous").disabled = !newer;
  $("viewer-next").disabled = !older;
  setBefore(entry);
}
