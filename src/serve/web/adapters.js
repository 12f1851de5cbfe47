// The adapters (LoRA) that an image is drawn with: by the server's names, each with its strength.
import { can } from "./abilities.js";
import { $, make } from "./dom.js";

let names = [];
let chosen = [];  // { name, text }: strengths as "0.8" or "0.8:0.5" (text encoder, U-Net)

export const adapterList = () => chosen.map(({ name, text }) => (text === "1" ? name : `${name}:${text}`));

const changed = () => $("adapters").dispatchEvent(new Event("input", { bubbles: true }));

function rowOf(use) {
  const id = `adapter-${chosen.indexOf(use)}`;
  const number = make("input", { id, type: "number", step: "0.05", min: -100, max: 100, value: use.text.split(":").pop(), title: "1 is as it was trained" });
  const slide = make("input", { type: "range", min: -1, max: 2, step: 0.05, value: number.value, "aria-label": `Strength of ${use.name}` });
  const take = (value) => {
    use.text = String(Number(value));
    number.value = slide.value = use.text;
  };
  slide.addEventListener("input", () => take(slide.value));
  number.addEventListener("change", () => take(number.value || 0));
  const drop = make("button", { type: "button", className: "small plain", textContent: "Remove", "aria-label": `Remove ${use.name}` });
  drop.addEventListener("click", () => {
    chosen = chosen.filter((other) => other !== use);
    show();
    changed();
    $("adapter-add").focus();
  });
  return make("li", {}, make("label", { htmlFor: id, textContent: use.name }), slide, number, drop);
}

function show() {
  $("adapter-rows").replaceChildren(...chosen.map(rowOf));
  const rest = names.filter((name) => !chosen.some((use) => use.name === name));
  $("adapter-add").replaceChildren($("adapter-add").options[0], ...rest.map((name) => new Option(name, name)));
  $("adapter-add").value = "";
  $("adapter-add").hidden = rest.length === 0;
}

// `list`: as POST /generate takes them.
export function setAdapters(list) {
  chosen = list.map((use) => {
    const [, name, text = "1"] = /^(.*?)((?::-?[\d.]+)+)?$/.exec(use);
    return { name, text: text.replace(/^:/, "") };
  });
  show();
}

export function offerAdapters(list) {
  names = list;
  const here = can("loras") && names.length > 0;
  $("adapters").hidden = !here;
  $("adapters").disabled = !here;
  show();
}

export function listenToAdapters() {
  $("adapter-add").addEventListener("change", () => {
    if (!$("adapter-add").value) return;
    chosen.push({ name: $("adapter-add").value, text: "1" });
    show();
    changed();
    $("adapter-rows").lastElementChild.querySelector("input").focus();
  });
}
