// The handles around the image in the editor: dragged outwards, or moved by arrow keys, they extend the image.
import { $ } from "./dom.js";
import { outpaintSides, setOutpaint } from "./source.js";

const kMultiple = 8, kMost = 2048;
const outwards = { left: [-1, 0], top: [0, -1], right: [1, 0], bottom: [0, 1] };
let scale = 1;  // screen pixels of one of the image's

const toMultiple = (value) => Math.min(Math.max(Math.round(value / kMultiple) * kMultiple, 0), kMost);

// `changed` is called whenever a side is another than before.
function listenToHandle(side, changed) {
  const handle = $(`handle-${side}`), [x, y] = outwards[side];
  let from = null;
  const set = (value) => {
    setOutpaint({ ...outpaintSides(), [side]: toMultiple(value) });
    $(`out-${side}`).dispatchEvent(new Event("input", { bubbles: true }));
    changed();
  };
  handle.addEventListener("pointerdown", (event) => {
    from = { at: x * event.clientX + y * event.clientY, value: outpaintSides()[side], scale };
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointermove", (event) => {
    if (from) set(from.value + (x * event.clientX + y * event.clientY - from.at) / from.scale);
  });
  for (const end of ["pointerup", "pointercancel"]) handle.addEventListener(end, () => { from = null; changed(); });
  handle.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -x, ArrowRight: x, ArrowUp: -y, ArrowDown: y }[event.key];
    if (!by) return;
    event.preventDefault();
    set(outpaintSides()[side] + by * (event.shiftKey ? 64 : kMultiple));
  });
}

export function listenToHandles(changed) {
  for (const side of Object.keys(outwards)) listenToHandle(side, changed);
}

// Of an image that stands `scale` times as large on the screen.
export function showHandles(newScale, shown) {
  scale = newScale;
  const sides = outpaintSides();
  for (const side of Object.keys(outwards)) {
    const handle = $(`handle-${side}`);
    handle.hidden = !shown;
    handle.setAttribute("aria-valuemin", 0);
    handle.setAttribute("aria-valuemax", kMost);
    handle.setAttribute("aria-valuenow", sides[side]);
    handle.setAttribute("aria-valuetext", `${sides[side]} pixels`);
    handle.textContent = sides[side] ? `+${sides[side]}` : "";
  }
}
