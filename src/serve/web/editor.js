// The editor of the input image: paints its mask with a brush, by pointer or keyboard, and extends it by its handles.
import { can } from "./abilities.js";
import { $, bitmapOf, blobOfCanvas } from "./dom.js";
import { listenToHandles, showHandles } from "./outpaint.js";
import { maskBlob, outpaintSides, setMask, sourceImage } from "./source.js";
import { Strokes } from "./strokes.js";

const dialog = $("editor"), canvas = $("mask"), ring = $("ring");
let strokes = null;
let erase = false;
let drawing = false;
let scale = 1;          // screen pixels of one of the image's
let spot = [0, 0];      // of the brush, in the image's pixels
let cleared = false;    // whether there was something to clear
let due = 0;            // the frame in which it is redrawn

const kMaxShown = 1280;  // pixels of a side that are drawn on the screen

// The slider goes from a thousandth of the shorter side to half of it, finely where it is small.
const brushSize = () => Math.max(1, ((Number($("brush-size").value) / 100) ** 2) * Math.min(strokes.width, strokes.height));

// ---- showing ---------------------------------------------------------------------------------------------------

function redraw() {
  due ||= requestAnimationFrame(() => {
    due = 0;
    if (strokes) drawMask();
  });
}

function drawMask() {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(strokes.canvas, 0, 0, canvas.width, canvas.height);
  context.globalCompositeOperation = "source-in";
  context.fillStyle = getComputedStyle(canvas).color;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.globalCompositeOperation = "source-over";
  $("mask-undo").disabled = !strokes.canUndo;
  $("mask-clear").disabled = !strokes.canUndo && !cleared;
}

function showRing(shown = true) {
  ring.hidden = !shown;
  if (!strokes) return;
  const size = brushSize() * scale;
  Object.assign(ring.style, { left: `${spot[0] * scale}px`, top: `${spot[1] * scale}px`, width: `${size}px`, height: `${size}px` });
  ring.classList.toggle("erases", erase);
}

// The image with its extension as large as there is room.
function layOut() {
  if (!strokes) return;
  const { left, top, right, bottom } = outpaintSides();
  const wide = strokes.width + left + right, high = strokes.height + top + bottom;
  const room = $("easel"), margin = 56;
  scale = Math.min((room.clientWidth - margin) / wide, (room.clientHeight - margin) / high, 8);
  Object.assign($("extent").style, { width: `${wide * scale}px`, height: `${high * scale}px` });
  Object.assign($("paper").style, { left: `${left * scale}px`, top: `${top * scale}px`, width: `${strokes.width * scale}px`, height: `${strokes.height * scale}px` });
  showHandles(scale, can("outpaint"));
  showRing(!ring.hidden);
}

function choose(tool) {
  erase = tool === "eraser";
  $("tool-brush").setAttribute("aria-pressed", String(!erase));
  $("tool-eraser").setAttribute("aria-pressed", String(erase));
  showRing(!ring.hidden);
}

// ---- painting --------------------------------------------------------------------------------------------------

function pointOf(event) {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) * strokes.width / box.width, (event.clientY - box.top) * strokes.height / box.height];
}

function begin() {
  strokes.begin({ size: brushSize(), erase, x: spot[0], y: spot[1] });
  redraw();
}

function listenToPointer() {
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0 || !strokes) return;
    canvas.setPointerCapture(event.pointerId);
    drawing = true;
    spot = pointOf(event);
    showRing();
    begin();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!strokes) return;
    spot = pointOf(event);
    showRing();
    if (!drawing) return;
    for (const one of event.getCoalescedEvents?.() ?? []) strokes.extend(...pointOf(one));
    strokes.extend(...spot);
    redraw();
  });
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { drawing = false; });
  canvas.addEventListener("pointerleave", () => { if (!drawing) showRing(false); });
}

function move(x, y) {
  const by = Math.max(brushSize() / 2, 1);
  spot = [Math.min(Math.max(spot[0] + x * by, 0), strokes.width), Math.min(Math.max(spot[1] + y * by, 0), strokes.height)];
  showRing();
}

function change(act) {
  if (!strokes) return;
  if (act === "undo" && !strokes.canUndo) return;
  strokes[act]();
  redraw();
}

function resize(by) {
  $("brush-size").value = Number($("brush-size").value) + by;
  showRing();
}

const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const keys = {
  b: () => choose("brush"), e: () => choose("eraser"), i: () => change("invert"), "[": () => resize(-5), "]": () => resize(5),
};

function pressed(event) {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") {
    event.preventDefault();
    return change("undo");
  }
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  if (event.target === canvas && event.key in arrows) {
    event.preventDefault();
    return move(...arrows[event.key]);
  }
  if (event.target === canvas && event.key === " ") {
    event.preventDefault();
    return begin();
  }
  return keys[event.key.toLowerCase()]?.();
}

// ---- opening and closing ---------------------------------------------------------------------------------------

export async function openEditor() {
  const { width, height, url } = sourceImage();
  const first = maskBlob() ? await bitmapOf(maskBlob()) : null;
  strokes = new Strokes(width, height, first);
  cleared = Boolean(first);
  const shown = Math.min(1, kMaxShown / Math.max(width, height));
  Object.assign(canvas, { width: Math.ceil(width * shown), height: Math.ceil(height * shown) });
  spot = [width / 2, height / 2];
  $("editor-image").src = url;
  $("editor-hint").textContent = "What is painted is drawn anew; the rest stays as it is."
    + (can("outpaint") ? " Drag the bars at its edges to extend the image." : "");
  choose("brush");
  dialog.showModal();
  ring.hidden = true;
  layOut();
  redraw();
  canvas.focus();
}

// The mask is there before the editor is gone: what is sent next has it.
async function finish() {
  const done = strokes;
  strokes = null;
  if (!done) return;
  setMask(done.isEmpty ? null : await blobOfCanvas(done.toImage()));
  dialog.close();
  $("source-paint").focus();
}

export function listenToEditor() {
  $("source-paint").addEventListener("click", openEditor);
  $("tool-brush").addEventListener("click", () => choose("brush"));
  $("tool-eraser").addEventListener("click", () => choose("eraser"));
  $("brush-size").addEventListener("input", () => { if (strokes) { spot = [strokes.width / 2, strokes.height / 2]; showRing(); } });
  for (const act of ["undo", "invert", "clear"]) $(`mask-${act}`).addEventListener("click", () => change(act));
  $("editor-done").addEventListener("click", finish);
  dialog.addEventListener("cancel", (event) => { event.preventDefault(); finish(); });
  dialog.addEventListener("keydown", (event) => { if (strokes) pressed(event); });
  addEventListener("resize", () => { if (dialog.open) layOut(); });
  listenToPointer();
  listenToHandles(layOut);
}
