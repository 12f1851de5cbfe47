// The images that orders begin with, from their placing to their end: an order that is taken up after a reload may still
// have to send them. An order's record names them by { field: key }.
import { finished, store } from "./database.js";

// `blobs`: { field: Blob }.
export async function storeInputs(key, blobs) {
  const inputs = {};
  for (const [field, blob] of Object.entries(blobs)) {
    inputs[field] = `${key}:${field}`;
    await finished((await store("inputs", "readwrite")).put(blob, inputs[field]));
  }
  return inputs;
}

export async function loadInputs(inputs = {}) {
  const blobs = {};
  for (const [field, key] of Object.entries(inputs)) {
    blobs[field] = await finished((await store("inputs")).get(key));
    if (!blobs[field]) throw new Error(`this browser no longer has the ${field} of this request`);
  }
  return blobs;
}

export async function dropInputs(inputs = {}) {
  for (const key of Object.values(inputs)) await finished((await store("inputs", "readwrite")).delete(key));
}
