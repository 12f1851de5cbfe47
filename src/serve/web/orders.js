// This browser's orders that have not ended: a record of each in localStorage, which a tab has that placed it. Another
// takes it up where that one is gone.
import { dropInputs, storeInputs } from "./inputs.js";
import { isLive, Order, wakeAll } from "./order.js";

const kPrefix = "order:";
const kAnswerSeconds = 1;  // in which a tab says that it has an order

const randomId = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

const tab = sessionStorage.getItem("tab") ?? randomId();  // the same after a reload
sessionStorage.setItem("tab", tab);

const mine = new Map();    // key -> Order
const taken = new Set();   // keys that other tabs answered for
const channel = new BroadcastChannel("orders");
let tell = () => {};

const recordOf = (key) => JSON.parse(localStorage.getItem(kPrefix + key));
const save = (record) => localStorage.setItem(kPrefix + record.key, JSON.stringify(record));
const forget = (record) => {
  mine.delete(record.key);
  localStorage.removeItem(kPrefix + record.key);
  dropInputs(record.inputs).catch(() => {});
};

function begin(record) {
  const order = new Order(record, { save, forget, changed: tell });
  mine.set(record.key, order);
  save(record);
  tell(order);
  order.run();
  return order;
}

// `blobs`: the images that it begins with, by field.
export async function place(fields, seed, blobs = {}) {
  const key = randomId(), placed = Date.now();
  return begin({ key, tab, fields, inputs: await storeInputs(key, blobs), seed, placed });
}

async function adopt(key) {
  taken.delete(key);
  channel.postMessage({ asks: key });
  await new Promise((resolve) => setTimeout(resolve, kAnswerSeconds * 1000));
  const record = recordOf(key);
  if (record && !taken.has(key) && !mine.has(key)) begin({ ...record, tab });
}

// Those that this tab had, at once; those that no tab answers for.
function takeUp() {
  for (const [key, order] of mine) {
    const record = recordOf(key);
    if (!record || record.tab === tab) continue;
    mine.delete(key);  // taken while this tab was frozen
    order.leave();
    tell(order);
  }
  for (const name of Object.keys(localStorage)) {
    const key = name.startsWith(kPrefix) && name.slice(kPrefix.length);
    if (!key || mine.has(key)) continue;
    const record = recordOf(key);
    if (record.tab === tab) begin(record);
    else adopt(key);
  }
}

// `changed` is told of each order that is new, or another than before.
export function followOrders(changed) {
  tell = changed;
  channel.addEventListener("message", ({ data }) => {
    if (data.asks && mine.has(data.asks)) channel.postMessage({ has: data.asks });
    if (data.has) taken.add(data.has);
  });
  const back = () => {
    if (document.visibilityState !== "visible") return;
    takeUp();
    for (const order of mine.values()) order.doubt();
    wakeAll();
  };
  document.addEventListener("visibilitychange", back);
  addEventListener("pageshow", back);
  addEventListener("online", back);
  addEventListener("offline", () => { for (const order of mine.values()) order.doubt(0); });
  takeUp();
}

export const liveOrders = () => [...mine.values()].filter(isLive);
