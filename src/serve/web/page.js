// The page: asks for pictures, shows how they come about, and keeps them in this browser.
import { keptPictures, keep, remove, removeAll, onChange } from "/kept.js";
import { ask, events, Refused } from "/server.js";

const $ = (id) => document.getElementById(id);
const form = $("form");
let info = null;
let drawing = null;  // { abort, id, tiles, ... } while something is drawn

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
    Object.assign($(side), { min: limits.size_multiple, max: limits.most_side, step: limits.size_multiple });
  $("steps").max = limits.most_steps;
  $("guidance").max = limits.most_guidance;
  $("count").max = limits.most_pictures;
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
      $("queue").textContent = queue.draining ? "closing" : !queue.ready ? "getting ready"
        : queue.orders === 0 ? "nobody waits" : `${queue.running} being drawn, ${queue.queued} waiting`;
      if (!info && queue.ready) await learn();
    }
  } catch (error) {
    $("queue").textContent = error instanceof Refused ? "" : "the server can't be reached";
  }
  setTimeout(watchQueue, drawing || !info ? 1500 : 4000);
}

// ---- drawing ---------------------------------------------------------------------------------------------------

function asked() {
  const fields = Object.fromEntries(new FormData(form));
  for (const name of ["width", "height", "num_inference_steps", "guidance_scale", "num_images_per_prompt"])
    fields[name] = Number(fields[name]);
  if (!fields.negative_prompt) delete fields.negative_prompt;
  if (!fields.scheduler) delete fields.scheduler;
  return fields;
}

function easel(fields) {
  const tiles = Array.from({ length: fields.num_images_per_prompt }, () => {
    const figure = document.createElement("figure");
    const blank = document.createElement("div");
    blank.className = "blank";
    blank.style.aspectRatio = `${fields.width} / ${fields.height}`;
    const caption = document.createElement("figcaption");
    caption.textContent = "waits";
    figure.append(blank, caption);
    return figure;
  });
  $("easel").replaceChildren(...tiles);
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

const stageWords = { queued: "waits", text: "reads the prompt", steps: "", pixels: "the last touches", done: "done" };

const receivers = {
  queued(data) {
    drawing.id = data.id;
    course(data.position > 0 ? `${plural(data.position, "request", "requests")} before yours` : "begins", data.seconds_left);
  },
  step(data) {
    const words = stageWords[data.stage] || `step ${data.step} of ${data.steps}`;
    const again = data.attempt > 1 ? ", begun again" : "";
    drawing.tiles[data.picture].querySelector("figcaption").textContent = words + again;
    $("progress").value = data.progress;
    course(data.stage === "queued" ? `${plural(data.position, "request", "requests")} before yours` : words, data.seconds_left);
  },
  preview(data) { show(drawing.tiles[data.picture], data.image, "preview", drawing.fields); },
  async picture(data, text) {
    const seed = /"seed":(\d+)/.exec(text)[1];  // may be more than a number holds here
    const tile = drawing.tiles[data.picture];
    const blob = blobOf(data.image);
    show(tile, URL.createObjectURL(blob), "finished", drawing.fields);
    tile.querySelector("figcaption").textContent = `seed ${seed}`;
    const { num_images_per_prompt, ...parameters } = drawing.fields;
    await keep({ blob, parameters: { ...parameters, seed }, model: info.model.name, seconds: data.timings?.total });
  },
  done(data) {
    drawing.ended = true;
    const count = drawing.tiles.length;
    $("progress").value = 1;
    course(`${plural(count, "picture", "pictures")} in ${duration(data.timings?.total)}`);
    say(`Done: ${plural(count, "picture", "pictures")} of ${drawing.fields.prompt}`);
    if (data.warnings?.length) trouble(data.warnings.join(" "));
  },
  error(data) {
    drawing.ended = true;
    throw new Refused(0, data.error?.message ?? "The server gave up.");
  },
};

function course(words, secondsLeft) {
  const left = secondsLeft > 0 ? `, ${secondsLeft < 1 ? "" : "about "}${duration(secondsLeft)} left` : "";
  $("course").textContent = words + left;
}

async function draw() {
  if (drawing || !form.reportValidity()) return;
  trouble("");
  const fields = asked();
  const seed = $("seed").value.trim() || String(crypto.getRandomValues(new Uint32Array(1))[0]);
  sessionStorage.setItem("form", JSON.stringify(fields));
  drawing = { abort: new AbortController(), fields, tiles: easel(fields), ended: false };
  working(true);
  course("asks");
  say("Drawing");
  try {
    // A seed has up to 20 digits, more than a JavaScript number: it goes as text.
    const reply = await ask("POST", `/generate?seed=${seed}`, fields, { Accept: "text/event-stream" }, drawing.abort.signal);
    for await (const { name, data } of events(reply.body))
      if (receivers[name]) await receivers[name](JSON.parse(data), data);
    if (!drawing.ended) throw new Refused(0, "The connection was lost before the picture was done.");
  } catch (error) {
    stopped(error);
  } finally {
    drawing = null;
    working(false);
  }
}

function stopped(error) {
  if (error.name === "AbortError") {
    course("Cancelled");
    say("Cancelled");
    return;
  }
  const wait = error.retryAfter > 0 ? ` Try again in ${duration(error.retryAfter)}.` : "";
  trouble((error instanceof Refused ? error.message : "The server can't be reached.") + wait);
  if (!$("easel").querySelector("img")) $("now").hidden = true;
}

function cancel() {
  if (!drawing) return;
  if (drawing.id) ask("DELETE", `/jobs/${drawing.id}`).catch(() => {});
  drawing.abort.abort();
}

function working(on) {
  if (on) {
    $("now").hidden = false;
    $("now").scrollIntoView({ block: "nearest" });  // on a phone it is below the form
  }
  $("draw").disabled = on;
  $("draw").textContent = on ? "Drawing" : "Draw";
  $("cancel").hidden = !on;
  $("progress").hidden = !on;
  if (on) $("progress").value = 0;
}

// ---- what is kept ----------------------------------------------------------------------------------------------

const urls = new Map();  // id -> object URL
let viewed = null;

function urlOf(picture) {
  if (!urls.has(picture.id)) urls.set(picture.id, URL.createObjectURL(picture.blob));
  return urls.get(picture.id);
}

function tileOf(picture) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const image = new Image();
  const words = document.createElement("span");
  button.type = "button";
  button.dataset.id = picture.id;
  button.setAttribute("aria-label", `${picture.parameters.prompt}, seed ${picture.parameters.seed}`);
  image.src = urlOf(picture);
  image.alt = "";
  image.loading = "lazy";
  words.textContent = picture.parameters.prompt;
  button.append(image, words);
  button.addEventListener("click", () => view(picture));
  item.append(button);
  return item;
}

async function showKept() {
  const pictures = await keptPictures();
  const there = new Set(pictures.map((picture) => picture.id));
  for (const [id, url] of urls)
    if (!there.has(id)) {
      URL.revokeObjectURL(url);
      urls.delete(id);
    }
  $("gallery").replaceChildren(...pictures.map(tileOf));
  $("kept-none").hidden = pictures.length > 0;
  $("forget").hidden = pictures.length === 0;
  $("kept-count").textContent = pictures.length ? String(pictures.length) : "";
}

function view(picture) {
  viewed = picture;
  const p = picture.parameters;
  $("viewer-image").src = urlOf(picture);
  $("viewer-image").alt = p.prompt;
  $("viewer-title").textContent = p.prompt;
  const facts = [["Without", p.negative_prompt], ["Seed", p.seed], ["Size", `${p.width} × ${p.height}`],
    ["Steps", p.num_inference_steps], ["Guidance", p.guidance_scale], ["Scheduler", p.scheduler],
    ["Model", picture.model], ["Took", picture.seconds && duration(picture.seconds)],
    ["Drawn", new Date(picture.created).toLocaleString()]];
  $("viewer-facts").replaceChildren(...facts.filter(([, value]) => value || value === 0).flatMap(([name, value]) => {
    const term = document.createElement("dt"), fact = document.createElement("dd");
    term.textContent = name;
    fact.textContent = value;
    return [term, fact];
  }));
  const name = p.prompt.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 60).replace(/^-+|-+$/g, "") || "picture";
  Object.assign($("viewer-save"), { href: urlOf(picture), download: `${name}-${p.seed}.png` });
  $("viewer").showModal();
}

function listen() {
  form.addEventListener("submit", (event) => { event.preventDefault(); draw(); });
  $("cancel").addEventListener("click", cancel);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) draw();
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
showKept().catch(() => { $("kept-none").textContent = "This browser does not let the page keep pictures."; });
learn().catch(() => {}).finally(watchQueue);
