// The gallery: the images that this browser keeps, found by words, downloaded together, deleted and brought back.
import { $, make, say, toast } from "./dom.js";
import { keptImages, onChange, remove, removeAll, restore } from "./kept.js";
import { dropUrls, fileName, urlOf } from "./picture.js";
import { schedulerTitle } from "./words.js";
import { zipOf } from "./zip.js";

let entries = [];   // all, newest first
let found = [];     // those that the search finds
let opened = () => {}, changed = () => {};

export const allEntries = () => entries;
export const foundEntries = () => found;

const textOf = ({ parameters: p, model }) =>
  [p.prompt, p.negative_prompt, model, p.seed, p.scheduler, p.scheduler && schedulerTitle(p.scheduler), `${p.width}x${p.height}`,
    ...(p.loras ?? [])].join(" ").toLowerCase();

function tileOf(entry) {
  const { prompt, seed } = entry.parameters;
  const button = make("button", { type: "button", "aria-label": `${prompt}, seed ${seed}` },
    make("img", { src: urlOf(entry), alt: "", loading: "lazy", decoding: "async" }),
    make("span", { className: "words", textContent: prompt }), make("span", { className: "seed numbers", textContent: seed }));
  button.dataset.id = entry.id;
  button.addEventListener("click", () => opened(entry));
  return make("li", {}, button);
}

// Only what changes is touched: the focus stays where it is.
function showTiles(tiles) {
  const wanted = new Set(tiles), gallery = $("gallery");
  for (const tile of [...gallery.children]) if (!wanted.has(tile)) tile.remove();
  let at = gallery.firstElementChild;
  for (const tile of tiles) {
    if (tile === at) at = at.nextElementSibling;
    else gallery.insertBefore(tile, at);
  }
}

function show() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  found = entries.filter((entry) => words.every((word) => textOf(entry).includes(word)));
  const tiles = new Map([...$("gallery").children].map((item) => [Number(item.firstElementChild.dataset.id), item]));
  showTiles(found.map((entry) => tiles.get(entry.id) ?? tileOf(entry)));
  $("kept-none").hidden = found.length > 0;
  $("kept-none").textContent = entries.length ? "None has these words." : "Images are kept here, in this browser only, with their settings.";
  $("search").hidden = entries.length < 2 && !words.length;
  $("forget").hidden = $("kept-zip").hidden = entries.length === 0;
  $("kept-zip").textContent = words.length ? "Download these" : "Download all";
  $("kept-count").textContent = !entries.length ? "" : words.length ? `${found.length} of ${entries.length}` : String(entries.length);
  changed();
}

// Marks the one that is shown large; null: none.
export function mark(entry) {
  for (const { firstElementChild: button } of $("gallery").children) {
    if (Number(button.dataset.id) === entry?.id) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

export async function showKept() {
  entries = await keptImages();
  dropUrls(entries);
  show();
}

// ---- deleting --------------------------------------------------------------------------------------------------

export async function removeEntry(entry) {
  await remove(entry.id);
  toast("Image deleted", async () => { await restore(entry); say("The image is back"); });
}

// ---- downloading -----------------------------------------------------------------------------------------------

async function downloadFound() {
  $("kept-zip").disabled = true;
  try {
    const url = URL.createObjectURL(await zipOf(found.map((entry) => ({ name: fileName(entry), blob: entry.blob, time: entry.created }))));
    make("a", { href: url, download: "inkstone-images.zip" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
  } finally {
    $("kept-zip").disabled = false;
  }
}

// `open` gets the entry that is chosen; `change` is called where the entries are others than before.
export function listenToGallery({ open, change }) {
  opened = open;
  changed = change;
  $("search").addEventListener("input", show);
  $("kept-zip").addEventListener("click", downloadFound);
  $("forget").addEventListener("click", () => $("sure").showModal());
  $("sure").addEventListener("close", () => { if ($("sure").returnValue === "yes") removeAll(); });
  onChange(showKept);
  return showKept().catch(() => { $("kept-none").textContent = "This browser does not let the page keep images."; });
}
