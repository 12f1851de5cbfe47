// The shape of the image: a few by name, of about as many pixels as the model was made for, or the input image's.
import { $, make } from "./dom.js";

const ratios = [["square", "Square", 1], ["wide", "Wide", 3 / 2], ["tall", "Tall", 2 / 3]];
let room = null;  // { width, height, multiple, maxSide, maxPixels } of the model
let own = null;   // { width, height } of the input image

const floorTo = (value, multiple) => Math.max(multiple, Math.floor(value / multiple) * multiple);

// The largest that has this ratio, no more pixels than the model's own size, and sides that the server takes.
function sizeOf(ratio) {
  if (ratio === room.width / room.height) return [room.width, room.height];
  const pixels = Math.min(room.width * room.height, room.maxPixels);
  const multiple = room.width >= 512 && 64 % room.multiple === 0 ? 64 : room.multiple;
  const side = Math.min(Math.sqrt(pixels * ratio), room.maxSide, room.maxSide * ratio);
  return [floorTo(side, multiple), floorTo(side / ratio, multiple)];
}

function showSize() {
  const [width, height] = [$("width").value, $("height").value];
  const factor = $("hires").matches(":disabled") ? 1 : Number($("hires").value);
  $("shape-size").textContent = width && height ? `${width} × ${height}${factor > 1 ? `, then ${Math.round(width * factor)} × ${Math.round(height * factor)}` : ""}` : "";
  for (const input of $("shape-choices").querySelectorAll("input")) input.checked = input.value === `${width}x${height}`;
}

function choiceOf([id, title, ratio]) {
  const [width, height] = sizeOf(ratio);
  const input = make("input", { type: "radio", name: "shape", id: `shape-${id}`, value: `${width}x${height}` });
  input.addEventListener("change", () => setSize(width, height));
  const figure = make("span", { className: "figure" });
  figure.style.aspectRatio = ratio;
  return make("label", { title: `${width} × ${height}` }, input, figure, make("span", { textContent: title }));
}

function setSize(width, height) {
  for (const [side, value] of [["width", width], ["height", height]]) {
    $(side).value = value;
    $(side).dispatchEvent(new Event("input", { bubbles: true }));
  }
}

function showChoices() {
  if (!room) return;
  const shown = own ? [...ratios, ["own", "As input", own.width / own.height]] : ratios;
  $("shape-choices").replaceChildren(...shown.map(choiceOf));
  showSize();
}

// Of the model that draws.
export function setShapes({ defaults, limits }) {
  room = { width: defaults.width, height: defaults.height, multiple: limits.size_multiple, maxSide: limits.max_side, maxPixels: limits.max_pixels };
  showChoices();
}

// The input image's, or null; another image brings its shape with it.
export function setOwnShape(image) {
  const another = image && (image.width !== own?.width || image.height !== own?.height);
  own = image && { width: image.width, height: image.height };
  showChoices();
  if (another && room) setSize(...sizeOf(own.width / own.height));
}

export const listenToShapes = () => { for (const side of ["width", "height"]) $(side).addEventListener("input", showSize); };
export const refreshShapes = showSize;
