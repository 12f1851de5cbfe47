// Talks to the server: asks for an API key when it needs one, turns errors into sentences, reads events.

export class Refused extends Error {
  constructor(status, message, { code = "", param = "", retryAfter = 0 } = {}) {
    super(message);
    Object.assign(this, { status, code, param, retryAfter });  // param: the field that is meant
  }
}

export class Lost extends Error {}  // the connection: no answer, or no end of one

// Where the server's addresses begin: this script lies there, whatever path a proxy shows the server below.
const base = new URL(".", import.meta.url).pathname;
const below = (path) => (path.startsWith(base) ? path : base + path.slice(1));

let asking = null;  // one dialog, however many requests wait for the key

function askForKey() {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("key-dialog"), key = document.getElementById("key");
    key.value = "";
    dialog.addEventListener("close", () => {
      asking = null;
      if (key.value) sessionStorage.setItem("key", key.value);
      resolve(Boolean(key.value));
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}

async function refusal(reply) {
  const retryAfter = Number(reply.headers.get("Retry-After")) || 0;
  let said = {};
  try {
    said = (await reply.json()).error ?? {};
  } catch { /* not JSON: the number must do */ }
  return new Refused(reply.status, said.message ?? `The server answered ${reply.status}`, { code: said.code, param: said.param ?? "", retryAfter });
}

async function connected(work) {
  try {
    return await work();
  } catch (error) {
    throw new Lost(error.message);
  }
}

export async function ask(method, path, { body, headers = {}, signal } = {}) {
  for (;;) {
    const key = sessionStorage.getItem("key");
    const reply = await connected(() => fetch(below(path), {
      method, signal, cache: "no-store",
      headers: { ...headers, ...(key ? { Authorization: `Bearer ${key}` } : {}), ...(body ? { "Content-Type": "application/json" } : {}) },
      body: body && JSON.stringify(body),
    }));
    if (reply.ok) return reply;
    if (reply.status !== 401) throw await refusal(reply);
    if (key && key === sessionStorage.getItem("key")) sessionStorage.removeItem("key");  // it was not the right one
    if (!sessionStorage.getItem("key") && !(await askForKey())) throw await refusal(reply);
  }
}

export const textOf = (reply) => connected(() => reply.text());
export const blobOf = (reply) => connected(() => reply.blob());

// Server-sent events: { name, data } of each, read to the end of the body. `heard` is called whenever anything comes,
// the server's pings too.
export async function* events(body, heard) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", name = "", data = [];
  for (;;) {
    const { value, done } = await connected(() => reader.read());
    if (done) return;
    heard();
    const lines = (rest + value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("event: ")) name = line.slice(7);
      else if (line.startsWith("data: ")) data.push(line.slice(6));
      else if (line === "" && data.length) {
        yield { name, data: data.join("\n") };
        name = "";
        data = [];
      }
    }
  }
}
