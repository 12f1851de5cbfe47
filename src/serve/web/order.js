// An order: placed as a job, followed by the job's events until its end, taken up again whenever the connection was
// lost. Its record says what a page needs that takes it up later.
import { dataUrlOf } from "./dom.js";
import { loadInputs } from "./inputs.js";
import { keep } from "./kept.js";
import { ask, blobOf, events, Lost, Refused, textOf } from "./server.js";

const kMaxStreams = 2;    // a browser opens six connections to a server, for all of its tabs
const kLookSeconds = 2;   // between two looks at an order that has no stream
const kFirstPause = 0.3, kMaxPause = 15;  // seconds between two tries
const kPingSeconds = 12;  // the server says something every ten
const kLongWait = 30;     // a server that says so long does not just start

let streams = 0;
const sleepers = new Set();

function pause(seconds) {
  return new Promise((resolve) => {
    const wake = () => {
      clearTimeout(timer);
      sleepers.delete(wake);
      resolve();
    };
    const timer = setTimeout(wake, seconds * 1000);
    sleepers.add(wake);
  });
}

export function wakeAll() {
  for (const wake of [...sleepers]) wake();
}

function passes(error, placing) {
  if (error instanceof Lost) return true;
  if (!(error instanceof Refused)) return false;
  if (!placing) return error.status >= 500 || error.status === 429 || error.status === 408;
  if (error.code === "not_ready" || error.code === "busy") return error.retryAfter < kLongWait;
  return !error.code && error.status >= 500;  // of a proxy
}

const newImage = () => ({ stage: "queued", step: 0, steps: 0, attempt: 1 });

export const isLive = (order) => !["done", "failed", "cancelled"].includes(order.status);

export class Order {
  status = "sending";  // "starting", "queued", "running"; "done", "failed", "cancelled"
  lost = false;        // the connection
  progress = 0;
  position = 0;
  secondsLeft = 0;
  heardAt = Date.now();
  images = [];         // { stage, step, steps, attempt, seed, preview, url }
  warnings = [];
  seconds = 0;         // in all, once it is done
  #stream = null;
  #fetches = new Map();

  // `record` is { key, fields, inputs, seed, placed, id, kept, cancelled }; save() and forget() keep it for later.
  constructor(record, { save, forget, changed }) {
    Object.assign(this, { record, save, forget, changed, parameters: record.fields });
    this.images = Array.from({ length: record.fields.num_images_per_prompt ?? 1 }, newImage);
  }

  get path() { return `/jobs/${this.record.id}`; }
  get done() { return this.images.filter((image) => image.url).length; }

  async run() {
    try {
      await this.#patiently(() => this.#place(), true);
      await this.#patiently(() => this.#follow(), false);
    } catch (error) {
      if (error.status === 404) error.message = "the server does not know this request any more: it was restarted, or the request ended too long ago";
      this.#end("failed", error);
    }
  }

  async cancel() {
    this.record.cancelled = true;
    this.save(this.record);
    if (this.status === "starting") return this.#end("cancelled");
    this.changed(this);
    if (!this.record.id) return undefined;  // its place is taken first
    return ask("DELETE", this.path).catch(() => this.#stream?.abort());  // and is asked again
  }

  leave() {  // it belongs to another tab
    this.left = true;
    this.status = "cancelled";
    this.#stream?.abort();
  }

  // What is silent for longer than the server is has ended unnoticed.
  doubt(silentSeconds = kPingSeconds) {
    if (Date.now() - this.heardAt >= silentSeconds * 1000) this.#stream?.abort();
  }

  async #patiently(work, placing) {
    for (let tries = 0; isLive(this);) {
      const before = this.heardAt;
      try {
        return await work();
      } catch (error) {
        if (!isLive(this)) return undefined;
        if (!passes(error, placing)) throw error;
        this.lost = error instanceof Lost;
        if (error.code === "not_ready") this.status = "starting";
        tries = this.heardAt === before ? tries + 1 : 0;
        this.changed(this);
        await pause(error.retryAfter || (tries ? Math.min(2 ** tries, kMaxPause) : kFirstPause));
      }
    }
    return undefined;
  }

  // Safe to repeat: the same key is the same job. A seed has up to 20 digits, more than a JavaScript number: it goes as text.
  async #place() {
    if (this.record.id) return;
    const headers = { Prefer: "respond-async", "Idempotency-Key": this.record.key };
    const body = { ...this.record.fields, previews: true };
    for (const [field, blob] of Object.entries(await loadInputs(this.record.inputs))) body[field] = await dataUrlOf(blob);
    const reply = await ask("POST", `/generate?seed=${this.record.seed}`, { body, headers });
    this.record.id = reply.headers.get("Location").split("/").pop();
    this.save(this.record);
    this.#state(await textOf(reply));
  }

  async #follow() {
    if (this.record.cancelled) await ask("DELETE", this.path);
    while (streams >= kMaxStreams && isLive(this) && !(await this.#look())) await pause(kLookSeconds);
    if (!isLive(this)) return;
    streams++;
    const abort = this.#stream = new AbortController();
    const watch = setInterval(() => this.doubt(2 * kPingSeconds), 1000);
    try {
      const reply = await ask("GET", `${this.path}/events`, { headers: { Accept: "text/event-stream" }, signal: abort.signal });
      this.#heard();
      for await (const { name, data } of events(reply.body, () => this.#heard())) await this.#receive(name, data);
      if (isLive(this)) throw new Lost("the events ended too early");
    } finally {
      clearInterval(watch);
      abort.abort();
      this.#stream = null;
      streams--;
    }
  }

  // Whether it has ended.
  async #look() {
    const state = this.#state(await textOf(await ask("GET", this.path)));
    await Promise.all(this.#fetches.values());
    return ["done", "failed", "cancelled"].includes(state.status);
  }

  #heard() {
    this.heardAt = Date.now();
    if (!this.lost) return;
    this.lost = false;
    this.changed(this);
  }

  #time(data) {
    this.lost = false;
    this.progress = data.progress ?? this.progress;
    this.position = data.position ?? 0;
    this.secondsLeft = data.seconds_left ?? 0;
    this.leftAt = Date.now();
  }

  // The job's JSON, or its event "queued".
  #state(text) {
    const data = JSON.parse(text);
    const seeds = /"seeds":\[([\d,]*)\]/.exec(text)[1].split(",");  // may be more than numbers hold here
    if (data.status === "queued") this.status = "queued";
    if (data.status === "running") this.#begin();
    this.parameters = data.parameters ?? this.parameters;
    this.warnings = data.warnings ?? [];
    seeds.forEach((seed, i) => { this.images[i] = Object.assign(this.images[i] ?? newImage(), { seed }); });
    for (const { index, status, step, steps, attempt, url, timings } of Array.isArray(data.images) ? data.images : []) {
      Object.assign(this.images[index], { stage: status, step, steps, attempt });
      if (url) this.#fetch(index, timings);
    }
    this.#time(data);
    this.changed(this);
    return data;
  }

  async #receive(name, text) {
    if (name === "queued") return void this.#state(text);
    const data = JSON.parse(text);
    const image = this.images[data.index];
    if (name === "step") {
      const { stage, step, steps, attempt } = data;
      Object.assign(image, { stage, step, steps, attempt });
      if (stage !== "queued") this.#begin();
      this.#time(data);
    } else if (name === "preview") {
      image.preview = data.image;
    } else if (name === "image") {
      this.#fetch(data.index, data.timings).catch(() => this.#stream?.abort());
    } else if (name === "done" || name === "error") {
      await Promise.all(this.#fetches.values());
      this.#finish(data);
    }
    this.changed(this);
    return undefined;
  }

  #begin() {
    this.status = "running";
    if (this.record.begun) return;
    this.record.begun = Date.now();
    this.save(this.record);
  }

  #finish(data) {
    if (!data.error) {
      this.warnings = data.warnings ?? this.warnings;
      this.seconds = data.timings?.total;
      this.progress = 1;
      this.#end("done");
    } else if (data.error.code === "cancelled") {
      this.#end("cancelled");
    } else {
      this.#end("failed", new Refused(0, data.error.message, { code: data.error.code, param: data.error.param }));
    }
  }

  // Once for each image; again where it failed.
  #fetch(index, timings) {
    if (!this.#fetches.has(index)) {
      const fetching = this.#fetchOnce(index, timings);
      this.#fetches.set(index, fetching);
      fetching.catch(() => this.#fetches.delete(index));
    }
    return this.#fetches.get(index);
  }

  async #fetchOnce(index, timings) {
    const image = this.images[index], source = `${this.path}/images/${index}`;
    const blob = await blobOf(await ask("GET", source));
    image.url = URL.createObjectURL(blob);
    this.changed(this);
    this.record.kept ??= [];
    if (this.record.kept.includes(index)) return;
    const { num_images_per_prompt, output_format, model, image: _, mask: __, ...parameters } = { ...this.record.fields, ...this.parameters };
    try {
      const inputs = await loadInputs(this.record.inputs).catch(() => ({}));
      await keep({ blob, parameters: { ...parameters, seed: image.seed }, model, seconds: timings?.total, source, inputs });
    } catch (error) {
      this.warnings = [...this.warnings, `this browser could not keep the image: ${error.message}`];
    }
    this.record.kept.push(index);
    if (isLive(this)) this.save(this.record);
  }

  #end(status, error = null) {
    if (!isLive(this)) return;
    Object.assign(this, { status, error, lost: false });
    this.forget(this.record);
    this.changed(this);
  }
}
