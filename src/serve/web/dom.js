// The document, in fewer words.

export const $ = (id) => document.getElementById(id);

// An element with these properties; texts and elements in it. "aria-..." and "data-..." are set as attributes.
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.includes("-")) element.setAttribute(name, value);
    else element[name] = value;
  }
  element.append(...children);
  return element;
}

// The rows of a list of facts: those that have a value.
export function showFacts(list, facts) {
  list.replaceChildren(...facts.filter(([, value]) => value || value === 0).flatMap(([name, value]) =>
    [make("dt", { textContent: name }), make("dd", { textContent: value })]));
}

// To those who hear the page.
export const say = (text) => { $("said").textContent = text; };

let timer = 0, undoing = null;

// To everyone, for some seconds; with a button that undoes what was done, if it can be.
export function toast(text, undo = null) {
  undoing = undo;
  $("toast-text").textContent = text;
  $("toast-undo").hidden = !undo;
  $("toast-undo").onclick = () => { $("toast").hidden = true; undoing?.(); };
  $("toast").hidden = false;
  clearTimeout(timer);
  timer = setTimeout(() => { $("toast").hidden = true; }, undo ? 10000 : 5000);
}

// A decoded image of a Blob; the caller closes it.
export const bitmapOf = (blob) => createImageBitmap(blob);

export function blobOfCanvas(canvas, type = "image/png") {
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the browser has no memory for this image"))), type);
  });
}

export function dataUrlOf(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

// How large an image may stand: small ones at most four times their size, and pixel by pixel.
export function fitFrame(element, width, height) {
  element.style.setProperty("--ratio", width / height);
  element.style.setProperty("--most", `${4 * width}px`);
  element.classList.toggle("pixelated", Math.max(width, height) < 128);
}
