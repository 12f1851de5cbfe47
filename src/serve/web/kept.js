// The images that this browser keeps, newest first, in IndexedDB: they outlive the tab, and other tabs are told.
// The database calls its store "pictures"; browsers have such stores already.
const kMax = 500;
const channel = new BroadcastChannel("kept");
let opened = null;

function finished(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function database() {
  if (!opened) {
    const request = indexedDB.open("inkstone", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("pictures", { keyPath: "id", autoIncrement: true });
    opened = finished(request);
  }
  return opened;
}

async function store(mode) {
  return (await database()).transaction("pictures", mode).objectStore("pictures");
}

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
  return (await finished((await store("readonly")).getAll())).reverse();
}

// Takes { blob, parameters, model, seconds }. Beyond kMax entries the oldest are deleted.
export async function keep(entry) {
  await finished((await store("readwrite")).add({ ...entry, created: Date.now() }));
  const keys = await finished((await store("readonly")).getAllKeys());
  for (const key of keys.slice(0, Math.max(keys.length - kMax, 0))) await finished((await store("readwrite")).delete(key));
  changed();
}

export async function remove(id) {
  await finished((await store("readwrite")).delete(id));
  changed();
}

export async function removeAll() {
  await finished((await store("readwrite")).clear());
  changed();
}
