// The images that this browser keeps, newest first: they outlive the tab, and other tabs are told.
import { finished, store } from "./database.js";

const kMax = 1000;
const channel = new BroadcastChannel("kept");
const changes = [];

function changed() {
  channel.postMessage("changed");
  for (const tell of changes) tell();
}

export function onChange(tell) {
  changes.push(tell);
  channel.addEventListener("message", tell);
}

export async function keptImages() {
  return (await finished((await store("pictures")).getAll())).reverse();
}

// Takes { blob, parameters, model, seconds, source }, and of an image that was made from others `inputs`: their Blobs by
// field. Beyond kMax entries the oldest are deleted.
export async function keep(entry) {
  try {
    await finished((await store("pictures", "readwrite")).add({ ...entry, created: Date.now() }));
  } catch (error) {
    if (error.name === "ConstraintError") return;  // it is kept
    throw error;
  }
  const keys = await finished((await store("pictures")).getAllKeys());
  for (const key of keys.slice(0, Math.max(keys.length - kMax, 0))) await finished((await store("pictures", "readwrite")).delete(key));
  changed();
}

export async function remove(id) {
  await finished((await store("pictures", "readwrite")).delete(id));
  changed();
}

// One that was removed, where it was.
export async function restore(entry) {
  await finished((await store("pictures", "readwrite")).put(entry));
  changed();
}

export async function removeAll() {
  await finished((await store("pictures", "readwrite")).clear());
  changed();
}
