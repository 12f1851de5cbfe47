// What stands large: the order that is being drawn, an image that is kept, or, before there is any, what could be drawn.
import { can } from "./abilities.js";
import { $, make, say, toast } from "./dom.js";
import { modelInfo } from "./form.js";
import { allEntries, foundEntries, mark, removeEntry } from "./gallery.js";
import { isLive } from "./order.js";
import { showLarge, shownOrders } from "./order_view.js";
import { listenToCompare, showPicture } from "./picture.js";

let chosen = null;     // { order } or { entry }: what somebody asked to see; null: what is newest
let viewed = null;     // the entry that is shown
let wanted = "";       // its id, where it was shown last

// ---- examples --------------------------------------------------------------------------------------------------

// Of the demo model, which draws these well; of others a few words to begin with.
const demo = ["a red apple", "a fox on a teal background", "a blue heart on an orange background", "a penguin",
  "a snowman on a blue background", "a smiley on a red background", "a rocket on a blue background", "a cherry on a white background"];
const others = ["a lighthouse in a storm, oil painting", "a quiet street in Lisbon after rain, photograph", "a red fox in snow, ink drawing",
  "a bowl of lemons on a blue table, soft morning light"];

// `write` puts a prompt into the form.
export function showExamples(write) {
  const isDemo = modelInfo()?.model.name === "demo";
  $("welcome-hint").replaceChildren(...(isDemo
    ? ["The demo model knows about a hundred things, such as these. For more: ", make("code", { textContent: "inkstone serve --model NAME" })]
    : ["For example:"]));
  $("examples").classList.toggle("pictured", isDemo);
  $("examples").replaceChildren(...(isDemo ? demo : others).map((prompt, i) => {
    const button = make("button", { type: "button" }, ...(isDemo ? [make("span", { className: `example example-${i}` })] : []), make("span", { textContent: prompt }));
    button.addEventListener("click", () => write(prompt));
    return make("li", {}, button);
  }));
}

// ---- which -----------------------------------------------------------------------------------------------------

function kept(id) {
  return allEntries().find((entry) => entry.id === id);
}

function toShow() {
  if (chosen?.order && shownOrders().includes(chosen.order)) return chosen;
  if (chosen?.entry) {
    const entry = kept(chosen.entry.id);
    if (entry) return { entry };
    chosen = null;
  }
  const live = shownOrders().find(isLive);
  if (live) return { order: live };
  return { entry: allEntries()[0] };
}

export function refreshStage() {
  const { order = null, entry = null } = toShow();
  showLarge(order);
  $("picture").hidden = !entry;
  $("welcome").hidden = Boolean(order || entry);
  $("viewer-close").hidden = chosen === null;
  mark(entry);
  viewed = entry;
  const at = foundEntries().findIndex((other) => other.id === entry?.id);
  const around = { newer: at > 0, older: at >= 0 && at + 1 < foundEntries().length };
  if (entry && (wanted !== entry.id || around.newer === $("viewer-previous").disabled || around.older === $("viewer-next").disabled)) showPicture(entry, around);
  wanted = entry?.id ?? "";
}

export const viewedEntry = () => viewed;

// To where it is seen: on a phone it is above the form, and above the gallery everywhere.
export function bringUp() {
  const { top } = $("stage").getBoundingClientRect();
  if (top >= 0 && top < innerHeight / 2) return;
  $("stage").scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth" });
}

export function view(entry) {
  chosen = { entry };
  refreshStage();
  bringUp();
}

// The image of an order, once it is kept.
export function viewResult(order, index) {
  const entry = allEntries().find((other) => other.source === `${order.path}/images/${index}`);
  if (entry) view(entry);
}

export function viewOrder(order) {
  chosen = { order };
  refreshStage();
}

// What is newest, and what is drawn from now on.
export function viewNewest() {
  chosen = null;
  refreshStage();
}

// An order ended well: it gives way to its first image, unless something else is looked at.
export function orderEnded(order) {
  if (chosen?.order === order) chosen = null;
  refreshStage();
}

export function step(by) {
  const at = foundEntries().findIndex((entry) => entry.id === viewed?.id);
  const next = at < 0 ? undefined : foundEntries()[at + by];
  if (!next) return;
  view(next);
  say(`${next.parameters.prompt}, seed ${next.parameters.seed}`);
}

// `does`: { again, vary, reseed, useAsInput } with the entry that is shown.
export function listenToStage(does) {
  const on = (id, act) => $(id).addEventListener("click", () => { if (viewed) act(viewed); });
  on("viewer-previous", () => step(-1));
  on("viewer-next", () => step(1));
  on("viewer-close", viewNewest);
  on("viewer-again", does.again);
  on("viewer-vary", does.vary);
  on("viewer-seed", does.reseed);
  on("viewer-input", does.useAsInput);
  on("viewer-copy", async (entry) => {
    try {
      await navigator.clipboard.writeText(entry.parameters.prompt);
      toast("The prompt is copied");
    } catch {
      toast("This browser does not let the page copy");
    }
    $("more").open = false;
  });
  on("viewer-remove", async (entry) => {
    const at = foundEntries().findIndex((other) => other.id === entry.id);
    const next = foundEntries()[at + 1] ?? foundEntries()[at - 1];
    if (chosen) chosen = next ? { entry: next } : null;
    await removeEntry(entry);
  });
  listenToCompare();
}

export const varyTitle = () => (can("image") ? "Draws it again from this image, with a new seed" : "Draws it again with a new seed");
