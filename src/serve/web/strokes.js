// A mask as the list of what was done: strokes of a brush or an eraser, inversions, clearings. Undoing takes the last
// away. Sizes and places are in pixels of the image.

export class Strokes {
  #done = [];
  #first;  // an image of a mask to begin with: white where it is drawn anew

  constructor(width, height, first = null) {
    Object.assign(this, { width, height });
    this.#first = first;
    this.canvas = Object.assign(document.createElement("canvas"), { width, height });
    this.#replay();
  }

  get #context() { return this.canvas.getContext("2d", { willReadFrequently: true }); }
  get canUndo() { return this.#done.length > 0; }

  // White on nothing, drawn on `canvas`; nothing is where the image stays.
  begin({ size, erase, x, y }) {
    this.#done.push({ size, erase, points: [[x, y]] });
    this.#draw(this.#done.at(-1), 0);
  }

  extend(x, y) {
    const stroke = this.#done.at(-1), from = stroke.points.length - 1;
    stroke.points.push([x, y]);
    this.#draw(stroke, from);
  }

  invert() {
    this.#done.push({ invert: true });
    this.#apply(this.#done.at(-1));
  }

  clear() {
    this.#done.push({ clear: true });
    this.#apply(this.#done.at(-1));
  }

  undo() {
    this.#done.pop();
    this.#replay();
  }

  // Whether anything is painted.
  get isEmpty() {
    const { data } = this.#context.getImageData(0, 0, this.width, this.height);
    for (let at = 3; at < data.length; at += 4) if (data[at] > 0) return false;
    return true;
  }

  // White where it is painted, black elsewhere.
  toImage() {
    const image = Object.assign(document.createElement("canvas"), { width: this.width, height: this.height });
    const context = image.getContext("2d");
    context.fillStyle = "#000";
    context.fillRect(0, 0, this.width, this.height);
    context.drawImage(this.canvas, 0, 0);
    return image;
  }

  #replay() {
    this.#context.clearRect(0, 0, this.width, this.height);
    if (this.#first) this.#drawFirst();
    for (const step of this.#done) this.#apply(step);
  }

  // Its brightness becomes the opacity of white.
  #drawFirst() {
    const context = this.#context;
    context.drawImage(this.#first, 0, 0, this.width, this.height);
    const pixels = context.getImageData(0, 0, this.width, this.height), { data } = pixels;
    for (let at = 0; at < data.length; at += 4) {
      data[at + 3] = data[at];
      data[at] = data[at + 1] = data[at + 2] = 255;
    }
    context.putImageData(pixels, 0, 0);
  }

  #apply(step) {
    const context = this.#context;
    if (step.points) return this.#draw(step, 0);
    if (step.clear) return context.clearRect(0, 0, this.width, this.height);
    context.globalCompositeOperation = "source-out";  // white where nothing was
    context.fillStyle = "#fff";
    context.fillRect(0, 0, this.width, this.height);
    context.globalCompositeOperation = "source-over";
    return undefined;
  }

  #draw({ size, erase, points }, from) {
    const context = this.#context;
    context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    context.strokeStyle = context.fillStyle = "#fff";
    Object.assign(context, { lineWidth: size, lineCap: "round", lineJoin: "round" });
    context.beginPath();
    if (points.length === 1) {
      context.arc(...points[0], size / 2, 0, 2 * Math.PI);
      context.fill();
    } else {
      context.moveTo(...points[from]);
      for (const point of points.slice(from + 1)) context.lineTo(...point);
      context.stroke();
    }
    context.globalCompositeOperation = "source-over";
  }
}
