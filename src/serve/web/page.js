// The page: joins the form, the stage, the gallery and this browser's orders.
import { can, learnAbilities } from "./abilities.js";
import { $, say } from "./dom.js";
import { listenToEditor } from "./editor.js";
import { asked, check, fillAll, listenToForm, modelInfo, savedModel, saveForm, setModel, showFault } from "./form.js";
import { listenToGallery } from "./gallery.js";
import { isLive, wakeAll } from "./order.js";
import { dropEnded, dropOrder, listenToOrders, showLine, showOrder } from "./order_view.js";
import { followOrders, liveOrders, place } from "./orders.js";
import { ask } from "./server.js";
import { lookAtServer, watchServer } from "./server_state.js";
import { listenToShell, notify } from "./shell.js";
import { listenToSource, setSource } from "./source.js";
import { bringUp, listenToStage, orderEnded, refreshStage, showExamples, varyTitle, view, viewNewest, viewOrder, viewResult } from "./stage.js";
import { plural, sentence } from "./words.js";

const kVaryStrength = 0.5;

// ---- what the server has ---------------------------------------------------------------------------------------

// Of the model that was chosen, if it is still there; else of the default one.
async function infoOf(model) {
  const path = model ? `/v1/info?model=${encodeURIComponent(model)}` : "/v1/info";
  try {
    return await (await ask("GET", path)).json();
  } catch (error) {
    if (!model || error.status !== 404) throw error;
    return infoOf("");
  }
}

async function learn(model = savedModel()) {
  const [info, lists] = await Promise.all([infoOf(model), ask("GET", "/models").then((reply) => reply.json()), learnAbilities()]);
  setModel(info, lists);
  $("viewer-vary").title = varyTitle();
  showExamples((prompt) => {
    $("prompt").value = prompt;
    saveForm();
    $("prompt").focus();
  });
}

// ---- orders ----------------------------------------------------------------------------------------------------

const placedHere = new WeakSet();  // orders of what stands in the form
const randomSeed = () => String(crypto.getRandomValues(new Uint32Array(1))[0]);

async function send({ fields, seed, blobs }) {
  dropEnded();
  viewNewest();
  say("Sending");
  try {
    const order = await place(fields, seed || randomSeed(), blobs);
    placedHere.add(order);
    lookAtServer();
  } catch (error) {
    say(`This browser could not keep the request: ${error.message}`);
  }
  bringUp();
}

function generate() {
  if (!check()) return;
  saveForm();
  send(asked());
}

const heard = new WeakMap();    // order -> what was said of it
const quarter = new WeakMap();  // order -> how far it was said to be

function sayOf(order) {
  const words = order.lost ? "Connection lost, trying again"
    : { done: `Done: ${plural(order.images.length, "image", "images")} of ${order.parameters.prompt}`, failed: "Failed",
        cancelled: "Cancelled", running: "Generating", queued: "Queued" }[order.status];
  const now = Math.floor(4 * order.progress);
  if (order.status === "running" && now > (quarter.get(order) ?? 0)) {
    quarter.set(order, now);
    if (order.secondsLeft > 5) say(`${25 * now} percent`);
  }
  if (!words || heard.get(order) === words) return;
  say(words);
  heard.set(order, words);
  if (order.status === "done" || order.status === "failed") notify(words.split(":")[0], order.parameters.prompt);
}

function showTitle() {
  const orders = liveOrders();
  const mean = orders.reduce((sum, order) => sum + order.progress, 0) / orders.length;
  document.title = orders.length ? `${Math.floor(100 * mean)} % · Inkstone` : "Inkstone";
}

// A fault of a field is shown there, where the form still says what was sent.
function showAtField(order) {
  const { error } = order;
  if (!error?.param || !placedHere.has(order) || !showFault(error.param, sentence(error))) return false;
  say(sentence(error));
  dropOrder(order);
  return true;
}

function changed(order) {
  const ended = !isLive(order);
  if (order.status === "failed" && showAtField(order)) return void (showTitle(), refreshStage());
  showOrder(order);
  if (order.left) dropOrder(order);
  showTitle();
  sayOf(order);
  if (ended) orderEnded(order);
  else refreshStage();
  if (ended && order === toCancel) $("stop").close("no");
}

let toCancel = null;

function askToCancel(order) {
  if (!order || order.record.cancelled || $("stop").open) return;
  toCancel = order;
  const { done, images } = order;
  $("stop-prompt").textContent = order.parameters.prompt;
  $("stop-hint").textContent = done ? `${done} of ${images.length} images are done and kept; the others are lost.` : "What is drawn so far is lost.";
  $("stop").returnValue = "no";
  $("stop").showModal();
}

// ---- an image that is kept -------------------------------------------------------------------------------------

const orderFields = ({ parameters: { seed, ...parameters }, model }) =>
  ({ ...parameters, ...(modelInfo()?.models.length > 1 && modelInfo().models.includes(model) ? { model } : {}) });

// Of img2img: without an image they mean nothing.
const ofInput = ["strength", "resize_mode", "mask_blur", "mask_invert", "mask_fill", "only_masked", "padding", "outpaint", "keep_size"];
const without = (fields, names) => Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
const accepted = (fields) => Object.fromEntries(Object.entries(fields).filter(([name]) => can(name)));

async function again(entry) {
  if (modelInfo()?.models.length > 1 && modelInfo().models.includes(entry.model) && $("which").value !== entry.model) await learn(entry.model);
  await fillAll({ ...entry.parameters, inputs: entry.inputs });
  saveForm();
  $("prompt").focus();
}

// The same settings with a new seed; from its own input image, if there was one.
function reseed(entry) {
  const fields = accepted(orderFields(entry));
  send({ fields: entry.inputs?.image ? fields : without(fields, ofInput), seed: "", blobs: entry.inputs ?? {} });
}

function vary(entry) {
  if (!can("image")) return reseed(entry);
  const fields = without(accepted(orderFields(entry)), [...ofInput, "hires", "hires_strength", "hires_steps", "hires_upscaler"]);
  return send({ fields: { ...fields, strength: kVaryStrength }, seed: "", blobs: { image: entry.blob } });
}

async function useAsInput(entry) {
  if (!$("prompt").value) $("prompt").value = entry.parameters.prompt;
  await setSource(entry.blob, { name: `Seed ${entry.parameters.seed}` });
  $("source").scrollIntoView({ block: "nearest" });
  $("source-paint").focus();
}

// ---- joining ---------------------------------------------------------------------------------------------------

function listenToKeys() {
  $("form").addEventListener("submit", (event) => { event.preventDefault(); generate(); });
  document.addEventListener("keydown", (event) => {
    if (document.querySelector("dialog[open]")) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      generate();
    }
    if (event.key === "Escape" && liveOrders().length) {
      event.preventDefault();  // it would close what it opens
      askToCancel(liveOrders().at(-1));
    } else if (event.key === "Escape") {
      viewNewest();
    }
    if (event.target.closest("input, textarea, select, summary")) return;
    if (event.key === "ArrowLeft") $("viewer-previous").click();
    if (event.key === "ArrowRight") $("viewer-next").click();
  });
  $("stop").addEventListener("close", () => {
    if ($("stop").returnValue === "yes" && toCancel && isLive(toCancel)) toCancel.cancel();
    toCancel = null;
  });
}

listenToShell();
listenToForm((model) => learn(model).catch((error) => say(error.message)));
listenToSource(async (settings) => { await fillAll({ ...settings, keepInput: true }); saveForm(); });
listenToEditor();
listenToStage({ again, vary, reseed, useAsInput });
listenToOrders({ stop: (order) => (order.done ? askToCancel(order) : order.cancel()), opened: viewResult, chosen: viewOrder });
listenToKeys();
const kept = listenToGallery({ open: view, change: refreshStage });
kept.then(() => followOrders(changed));
setInterval(() => liveOrders().forEach(showLine), 500);
learn().catch(() => {}).finally(() => watchServer({
  heard: async (queue) => { if (!modelInfo() && queue.ready) await learn().then(wakeAll); },
  soon: () => liveOrders().length > 0 || !modelInfo(),
}));
