// The page: requests images, shows their progress, and keeps them in this browser.
import { keptImages, keep, remove, removeAll, onChange } from "./kept.js";
import { ask, events, Refused } from "./server.js";

const $ = (id) => document.getElementById(id);
const form = $("form");
let info = null;
let running = null;  // { abort, id, tiles, ... } while a request runs

// ---- words -----------------------------------------------------------------------------------------------------

const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

function duration(seconds) {
  if (!(seconds >= 0)) return "";
  if (seconds < 1) return "less than a second";
  if (seconds < 90) return plural(Math.round(seconds), "second", "seconds");
  return plural(Math.round(seconds / 60), "minute", "minutes");
}

function trouble(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

function blobOf(dataUrl) {  // fetch() of a data URL is what the page's own policy forbids
  const comma = dataUrl.indexOf(",");
  return new Blob([Uint8Array.from(atob(dataUrl.slice(comma + 1)), (c) => c.charCodeAt(0))], { type: dataUrl.slice(5, dataUrl.indexOf(";")) });
}

const say = (text) => { $("said").textContent = text; };

// ---- what the server is and does -------------------------------------------------------------------------------

async function learn() {
  info = await (await ask("GET", "/v1/info")).json();
  const { model, defaults, limits, schedulers } = info;
  $("model").textContent = model.name;
  for (const side of ["width", "height"])
    Object.assign($(side), { min: limits.size_multiple, max: limits.max_side, step: limits.size_multiple });
  $("steps").max = limits.max_steps;
  $("guidance").max = limits.max_guidance;
  $("count").max = limits.max_images;
  $("scheduler").replaceChildren(...schedulers.map((name) => new Option(name, name, false, name === defaults.scheduler)));
  fill({ ...defaults, ...JSON.parse(sessionStorage.getItem("form") ?? "{}"), seed: undefined });
}

function fill(values) {
  for (const field of form.elements)
    if (field.name && values[field.name] !== undefined) field.value = values[field.name];
  $("seed").value = values.seed ?? "";
}

async function watchQueue() {
  try {
    if (document.visibilityState === "visible") {
      const queue = await (await ask("GET", "/queue")).json();
      $("queue").textContent = queue.draining ? "shutting down" : !queue.ready ? "starting"
        : queue.orders === 0 ? "queue empty" : `${queue.running} running, ${queue.queued} queued`;
      if (!info && queue.ready) await learn();
    }
  } catch (error) {
    $("queue").textContent = error instanceof Refused ? "" : "the server can't be reached";
  }
  setTimeout(watchQueue, running || !info ? 1500 : 4000);
}

// ---- a request -------------------------------------------------------------------------------------------------

function asked() {
  const fields = Object.fromEntries(new FormData(form));
  for (const name of ["width", "height", "num_inference_steps", "guidance_scale", "num_images_per_prompt"])
    fields[name] = Number(fields[name]);
  if (!fields.negative_prompt) delete fields.negative_prompt;
  if (!fields.scheduler) delete fields.scheduler;
  return fields;
}

function makeTiles(fields) {
  const tiles = Array.from({ length: fields.num_images_per_prompt }, () => {
    const figure = document.createElement("figure");
    const blank = document.createElement("div");
    blank.className = "blank";
    blank.style.aspectRatio = `${fields.width} / ${fields.height}`;
    const caption = document.createElement("figcaption");
    caption.textContent = "queued";
    figure.append(blank, caption);
    return figure;
  });
  $("tiles").replaceChildren(...tiles);
  return tiles;
}

function show(tile, url, kind, fields) {
  let image = tile.querySelector("img");
  if (!image) {
    image = new Image();
    image.style.aspectRatio = `${fields.width} / ${fields.height}`;
    tile.querySelector(".blank").replaceWith(image);
  }
  image.src = url;
  image.className = kind;
  image.alt = kind === "preview" ? `Preview: ${fields.prompt}` : fields.prompt;
}

const stageWords = { queued: "queued", encode: "encoding the prompt", denoise: "", decode: "decoding", done: "done" };

const receivers = {
  queued(data) {
    running.id = data.id;
    showStatus(data.position > 0 ? `${plural(data.position, "request", "requests")} ahead` : "starting", data.seconds_left);
  },
  step(data) {
    const words = stageWords[data.stage] || `step ${data.step} of ${data.steps}`;
    const again = data.attempt > 1 ? ", restarted" : "";
    running.tiles[data.index].querySelector("figcaption").textContent = words + again;
    $("progress").value = data.progress;
    showStatus(data.stage === "queued" ? `${plural(data.position, "request", "requests")} ahead` : words, data.seconds_left);
  },
  preview(data) { show(running.tiles[data.index], data.image, "preview", running.fields); },
  async image(data, text) {
    const seed = /"seed":(\d+)/.exec(text)[1];  // may be more than a number holds here
    const tile = running.tiles[data.index];
    const blob = blobOf(data.image);
    show(tile, URL.createObjectURL(blob), "finished", running.fields);
    tile.querySelector("figcaption").textContent = `seed ${seed}`;
    const { num_images_per_prompt, ...parameters } = running.fields;
    await keep({ blob, parameters: { ...parameters, seed }, model: info.model.name, seconds: data.timings?.total });
  },
  done(data) {
    running.ended = true;
    const count = running.tiles.length;
    $("progress").value = 1;
    showStatus(`${plural(count, "image", "images")} in ${duration(data.timings?.total)}`);
    say(`Done: ${plural(count, "image", "images")} of ${running.fields.prompt}`);
    if (data.warnings?.length) trouble(data.warnings.join(" "));
  },
  error(data) {
    running.ended = true;
    throw new Refused(0, data.error?.message ?? "The server gave up.");
  },
};

function showStatus(words, secondsLeft) {
  const left = secondsLeft > 0 ? `, ${secondsLeft < 1 ? "" : "about "}${duration(secondsLeft)} left` : "";
  $("status").textContent = words + left;
}

async function generate() {
  if (running || !form.reportValidity()) return;
  trouble("");
  const fields = asked();
  const seed = $("seed").value.trim() || String(crypto.getRandomValues(new Uint32Array(1))[0]);
  sessionStorage.setItem("form", JSON.stringify(fields));
  running = { abort: new AbortController(), fields, tiles: makeTiles(fields), ended: false };
  working(true);
  showStatus("sending");
  say("Generating");
  try {
    // A seed has up to 20 digits, more than a JavaScript number: it goes as text.
    const reply = await ask("POST", `/generate?seed=${seed}`, fields, { Accept: "text/event-stream" }, running.abort.signal);
    for await (const { name, data } of events(reply.body))
      if (receivers[name]) await receivers[name](JSON.parse(data), data);
    if (!running.ended) throw new Refused(0, "The connection was lost before the image was done.");
  } catch (error) {
    stopped(error);
  } finally {
    running = null;
    working(false);
  }
}

function stopped(error) {
  if (error.name === "AbortError") {
    showStatus("Cancelled");
    say("Cancelled");
    return;
  }
  const wait = error.retryAfter > 0 ? ` Try again in ${duration(error.retryAfter)}.` : "";
  trouble((error instanceof Refused ? error.message : "The server can't be reached.") + wait);
  if (!$("tiles").querySelector("img")) $("now").hidden = true;
}

function cancel() {
  if (!running) return;
  if (running.id) ask("DELETE", `/jobs/${running.id}`).catch(() => {});
  running.abort.abort();
}

function working(on) {
  if (on) {
    $("now").hidden = false;
    $("now").scrollIntoView({ block: "nearest" });  // on a phone it is below the form
  }
  $("generate").disabled = on;
  $("generate").textContent = on ? "Generating" : "Generate";
  $("cancel").hidden = !on;
  $("progress").hidden = !on;
  if (on) $("progress").value = 0;
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
  $("cancel").addEventListener("click", cancel);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) generate();
    if (event.key === "Escape" && !document.querySelector("dialog[open]")) cancel();
  });
  addEventListener("pagehide", cancel);  // a page that the browser keeps for "back" would keep its stream too
  $("viewer-close").addEventListener("click", () => $("viewer").close());
  $("viewer").addEventListener("click", (event) => { if (event.target === $("viewer")) $("viewer").close(); });
  $("viewer-remove").addEventListener("click", async () => { await remove(viewed.id); $("viewer").close(); });
  $("viewer-again").addEventListener("click", () => {
    fill({ negative_prompt: "", ...viewed.parameters });
    $("viewer").close();
    $("prompt").focus();
  });
  $("forget").addEventListener("click", () => $("sure").showModal());
  $("sure").addEventListener("close", () => { if ($("sure").returnValue === "yes") removeAll(); });
  onChange(showKept);
}

listen();
showKept().catch(() => { $("kept-none").textContent = "This browser does not let the page keep images."; });
learn().catch(() => {}).finally(watchQueue);
