// How an order is shown: a bar and a line for all of it, a tile for each image.
import { $, fitFrame, make } from "./dom.js";
import { isLive } from "./order.js";
import { begun, duration, plural, sentence } from "./words.js";

const views = new Map();  // order -> its element

const left = (order, now) => {
  if (!(order.secondsLeft > 0)) return "";
  return `, about ${duration(Math.max(order.secondsLeft - (now - order.leftAt) / 1000, 1))} left`;
};

function runningLine(order, now) {
  const { images, done } = order;
  const some = images.length > 1 ? `${done} of ${images.length} done` : "";
  const first = images.every((image) => image.step === 0 && !image.url);
  const steps = Math.max(...images.map((image) => image.steps));
  if (first && steps > 0) {
    const clock = `step 1 of ${steps} … ${duration(Math.max((now - order.record.begun) / 1000, 1))}`;
    return `${some ? `${some}, ${clock}` : `S${clock.slice(1)}`}${left(order, now)}`;
  }
  const finishing = images.every((image) => image.url || image.stage === "decode" || image.stage === "done");
  if (finishing) return some ? `${some}, finishing` : "Finishing";
  return (some || `Step ${images[0].step} of ${steps}`) + left(order, now);
}

export function lineOf(order, now = Date.now()) {
  const { images, done } = order;
  if (order.status === "done") return `${plural(images.length, "image", "images")} in ${duration(order.seconds)}`;
  if (order.status === "failed") return done ? `Failed; ${done} of ${images.length} done` : "Failed";
  if (order.status === "cancelled") return done ? `Cancelled; ${done} of ${images.length} done` : "Cancelled";
  if (order.lost) return "Connection lost, trying again";
  if (order.record.cancelled) return "Cancelling";
  if (order.status === "sending") return "Sending";
  if (order.status === "starting") return `The server is getting ready, ${duration((now - order.record.placed) / 1000)} so far`;
  if (order.status === "running") return runningLine(order, now);
  const ahead = order.position > 0 ? `, ${plural(order.position, "request", "requests")} ahead` : "";
  return `Queued${ahead}${left(order, now)}`;
}

const stageWords = { queued: "Queued", encode: "Reading the prompt", decode: "Finishing", failed: "Failed", cancelled: "Cancelled" };

function captionOf(order, image) {
  if (image.url) return `Seed ${image.seed}`;
  if (order.status === "failed" || order.status === "cancelled") return stageWords[order.status];
  const words = stageWords[image.stage] ?? (image.step ? `Step ${image.step} of ${image.steps}` : `Step 1 of ${image.steps} …`);
  return words + (image.attempt > 1 ? ", restarted" : "");
}

function showImage(figure, order, image) {
  const { prompt } = order.parameters;
  const source = image.url ?? image.preview;
  let shown = figure.querySelector(".image");
  if (source && shown.tagName !== "IMG") {
    shown.replaceWith(make("img", { className: "image" }));
    shown = figure.querySelector(".image");
  }
  figure.querySelector("figcaption").textContent = captionOf(order, image);
  figure.setAttribute("aria-label", `Image ${order.images.indexOf(image) + 1} of ${order.images.length}`);
  if (!source || shown.src === source) return;
  shown.src = source;
  shown.className = `image ${image.url ? "finished" : "preview"}`;
  shown.alt = image.url ? prompt : `Preview: ${prompt}`;
  if (!image.url) return;
  figure.tabIndex = 0;
  figure.setAttribute("role", "button");
}

function newTile(order, index) {
  const open = () => { if (order.images[index].url) opened(order, index); };
  const figure = make("figure", {}, make("div", { className: "image blank" }), make("figcaption"));
  figure.addEventListener("click", open);
  figure.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    open();
  });
  return figure;
}

let stop = () => {}, opened = () => {}, chosen = () => {};

// What is called where a row's button cancels, an image that is done is opened, and an order is to be shown large.
export function listenToOrders(does) {
  ({ stop, opened, chosen } = does);
}

function newView(order) {
  const view = $("order").content.firstElementChild.cloneNode(true);
  view.querySelector(".cancel").addEventListener("click", () => stop(order));
  view.querySelector(".show").addEventListener("click", () => chosen(order));
  const earlier = [...views].findLast(([other]) => other.record.placed <= order.record.placed);
  if (earlier) earlier[1].after(view);
  else $("orders").prepend(view);
  views.set(order, view);
  return view;
}

export function showLine(order) {
  const view = views.get(order);
  if (view) view.querySelector(".line").textContent = lineOf(order);
}

function showFailure(part, order) {
  part.hidden = !order.error;
  if (order.error && !part.textContent) part.textContent = sentence(order.error);
}

export function showOrder(order) {
  const view = views.get(order) ?? newView(order);
  const part = (name) => view.querySelector(name);
  const live = isLive(order);
  view.classList.toggle("ended", !live);
  view.dataset.status = order.status;
  part(".line").classList.toggle("lost", order.lost);
  part(".prompt").textContent = order.parameters.prompt;
  part("progress").value = order.progress;
  part("progress").hidden = part(".cancel").hidden = !live;
  part(".cancel").disabled = Boolean(order.record.cancelled);
  part(".warning").hidden = order.warnings.length === 0;
  part(".warning summary").textContent = order.warnings.map(begun).join(" · ");
  showFailure(part(".failure"), order);
  showLine(order);
  const tiles = part(".tiles");
  while (tiles.children.length < order.images.length) tiles.append(newTile(order, tiles.children.length));
  if (!live && order.done === 0) tiles.replaceChildren();
  fitFrame(tiles, order.parameters.width || 1, order.parameters.height || 1);
  const columns = Math.ceil(Math.sqrt(order.images.length));
  tiles.style.setProperty("--columns", columns);
  tiles.style.setProperty("--rows", Math.ceil(order.images.length / columns));
  [...tiles.children].forEach((figure, i) => showImage(figure, order, order.images[i]));
}

// Which one stands large; null: none.
export function showLarge(large) {
  for (const [order, view] of views) view.classList.toggle("large", order === large);
}

export const shownOrders = () => [...views.keys()].sort((a, b) => a.record.placed - b.record.placed);

export function dropOrder(order) {
  for (const image of order.images) if (image.url) URL.revokeObjectURL(image.url);
  views.get(order)?.remove();
  views.delete(order);
}

export function dropEnded() {
  for (const order of views.keys()) if (!isLive(order)) dropOrder(order);
}
