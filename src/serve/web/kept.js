// The images that this browser keeps, newest first, in IndexedDB: they outlive the tab, and other tabs are told.
// The database calls its store "pictures"; browsers have such stores already.
const kMax = 500;
const channel = new BroadcastChannel("kept");
let opened = null;

function finished(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = (event) => {
      event.preventDefault();
      reject(request.error);
    };
  });
}

function upgrade({ target, oldVersion }) {
  if (oldVersion < 1) target.result.createObjectStore("pictures", { keyPath: "id", autoIncrement: true });
  // An image's address on the server: none is kept twice, whatever tabs do.
  target.transaction.objectStore("pictures").createIndex("source", "source", { unique: true });
}

function database() {
  if (!opened) {
    const request = indexedDB.open("inkstone", 2);
    request.onupgradeneeded = upgrade;
    opened = finished(request);
    opened.then((base) => { base.onversionchange = () => { base.close(); opened = null; }; }, () => {});
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

// Takes { blob, parameters, model, seconds, source }. Beyond kMax entries the oldest are deleted.
export async function keep(entry) {
  try {
    await finished((await store("readwrite")).add({ ...entry, created: Date.now() }));
  } catch (error) {
    if (error.name === "ConstraintError") return;  // it is kept
    throw error;
  }
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
