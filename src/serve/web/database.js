// The database of this browser: "pictures", the images that it keeps, and "inputs", the images that orders begin with.
// The first is called so because browsers have such stores already.

export function finished(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = (event) => {
      event.preventDefault();
      reject(request.error);
    };
  });
}

function upgrade({ target, oldVersion }) {
  const base = target.result;
  if (oldVersion < 1) base.createObjectStore("pictures", { keyPath: "id", autoIncrement: true });
  // An image's address on the server: none is kept twice, whatever tabs do.
  if (oldVersion < 2) target.transaction.objectStore("pictures").createIndex("source", "source", { unique: true });
  if (oldVersion < 3) base.createObjectStore("inputs");
}

let opened = null;

function database() {
  if (!opened) {
    const request = indexedDB.open("inkstone", 3);
    request.onupgradeneeded = upgrade;
    opened = finished(request);
    opened.then((base) => { base.onversionchange = () => { base.close(); opened = null; }; }, () => {});
  }
  return opened;
}

export async function store(name, mode = "readonly") {
  return (await database()).transaction(name, mode).objectStore(name);
}
