// The input image: chosen, dropped, pasted, or one of the gallery; its mask, and by how much it is extended.
import { can } from "./abilities.js";
import { $, bitmapOf, blobOfCanvas, say, toast } from "./dom.js";
import { settingsOf } from "./file_settings.js";
import { begun, megabytes } from "./words.js";

const kTypes = ["image/png", "image/jpeg", "image/webp"];  // what a server reads
const kMaxSide = 4096;
const sides = ["left", "top", "right", "bottom"];

let source = null;  // { blob, width, height, url }
let mask = null;    // { blob, url }: white where it is drawn anew, black elsewhere, of the image's size
let generation = 0;
let settings = null;
const listeners = [];
const takers = { settings: () => {} };

export const onSource = (tell) => listeners.push(tell);
export const sourceImage = () => source;
export const maskBlob = () => mask?.blob;

function show() {
  const { width, height, url, blob } = source ?? {};
  $("source-empty").hidden = Boolean(source);
  $("source-filled").hidden = !source;
  if (source) {
    $("source-image").src = url;
    $("source-size").textContent = `${width} × ${height} · ${megabytes(blob.size)}`;
  }
  $("source-mask").hidden = !mask;
  if (mask) $("source-mask").src = mask.url;
  $("source-paint").querySelector("span").textContent = mask ? "Change the mask" : "Paint a mask";
  $("mask-fields").hidden = $("mask-fields").disabled = !source || !mask;
  $("outpaint").hidden = $("outpaint").disabled = !source || !can("outpaint");
  $("source-settings").hidden = !settings;
  for (const tell of listeners) tell(source);
}

function dropUrls(...kept) {
  for (const one of kept) if (one) URL.revokeObjectURL(one.url);
}

export function setMask(blob) {
  dropUrls(mask);
  mask = blob ? { blob, url: URL.createObjectURL(blob) } : null;
  show();
}

export function clearSource() {
  generation++;
  dropUrls(source, mask);
  source = mask = settings = null;
  setOutpaint({});
  show();
}

// As a server reads it, upright and not larger than it takes.
async function prepared(blob) {
  const bitmap = await bitmapOf(blob);
  const { width, height } = bitmap, scale = Math.min(1, kMaxSide / Math.max(width, height));
  try {
    if (scale === 1 && kTypes.includes(blob.type)) return { blob, width, height };
    const canvas = document.createElement("canvas");
    Object.assign(canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return { blob: await blobOfCanvas(canvas), width: canvas.width, height: canvas.height };
  } finally {
    bitmap.close();
  }
}

// `carried`: whether settings that the file carries are offered. False where it is no image.
export async function setSource(blob, { name = "", maskOf = null, outpaint = "", carried = false } = {}) {
  const own = ++generation;
  const offered = carried ? await settingsOf(blob) : null;
  if (!can("image")) {  // its settings can be had all the same
    if (offered) takers.settings(offered);
    toast(offered ? "The settings of this file are in the form" : "This server takes no input images");
    return Boolean(offered);
  }
  let next;
  try {
    next = await prepared(blob);
  } catch {
    toast("This browser can't read that image");
    return false;
  }
  if (own !== generation) return true;  // another came meanwhile
  dropUrls(source, mask);
  source = { ...next, url: URL.createObjectURL(next.blob) };
  mask = maskOf && can("mask") ? { blob: maskOf, url: URL.createObjectURL(maskOf) } : null;
  settings = offered;
  $("source-name").textContent = name || "Pasted image";
  setOutpaint(sidesOf(outpaint));
  show();
  say(`Input image: ${begun(name || "pasted")}`);
  return true;
}

// ---- how far it is extended ------------------------------------------------------------------------------------

const sidesOf = (text) => Object.fromEntries([...text.matchAll(/(left|top|right|bottom)=(\d+)/g)].map(([, side, value]) => [side, Number(value)]));

export const outpaintSides = () => Object.fromEntries(sides.map((side) => [side, Math.max(0, Math.round(Number($(`out-${side}`).value)) || 0)]));

export function setOutpaint(values) {
  for (const side of sides) $(`out-${side}`).value = values[side] || "";
  if (outpaintText()) $("extend").open = true;
}

// "left=128,top=64"; "" for none.
export function outpaintText() {
  return Object.entries(outpaintSides()).filter(([, value]) => value > 0).map(([side, value]) => `${side}=${value}`).join(",");
}

// ---- choose, drop, paste ---------------------------------------------------------------------------------------

const imageIn = (files) => [...(files ?? [])].find((file) => file.type.startsWith("image/"));

function take(file) {
  if (file) setSource(file, { name: file.name, carried: true });
}

function listenToDrops() {
  const veil = $("dropping");
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files") || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) veil.hidden = true; });
  addEventListener("drop", (event) => {
    veil.hidden = true;
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    take(imageIn(event.dataTransfer.files));
  });
}

// `takeSettings` gets the settings that a file carries, where they are wanted.
export function listenToSource(takeSettings) {
  takers.settings = takeSettings;
  $("source-choose").addEventListener("click", () => $("source-file").click());
  $("source-file").addEventListener("change", () => {
    take($("source-file").files[0]);
    $("source-file").value = "";  // the same one may be chosen again
  });
  $("source-remove").addEventListener("click", () => { clearSource(); $("source-choose").focus(); });
  $("source-settings").addEventListener("click", () => {
    takeSettings(settings);
    settings = null;
    show();
  });
  $("only_masked").addEventListener("change", () => { $("padding-row").hidden = !$("only_masked").checked; });
  addEventListener("paste", (event) => {
    const file = imageIn(event.clipboardData.files);
    if (!file || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    take(file);
  });
  listenToDrops();
  show();
}
