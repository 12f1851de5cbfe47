// The server's state in the page's corner: a word for everyone, and on a click what operators want to know.
import { $, showFacts } from "./dom.js";
import { ask, Refused } from "./server.js";
import { duration, plural } from "./words.js";

const kGigabyte = 2 ** 30;
let listener = () => {};

function words(queue) {
  if (queue.draining) return "Shutting down";
  if (!queue.ready) return `Getting ready, ${duration(queue.uptime)} so far`;
  return queue.orders === 0 ? "Idle" : `${queue.running} running, ${queue.queued} queued`;
}

// What one step of one image takes, at the size that was measured.
function speedOf(worker) {
  const curve = worker.curves.find((one) => one.steps.length > 0);
  return curve ? `, ${curve.width} × ${curve.height}: ${curve.steps[0].seconds < 1 ? `${Math.round(curve.steps[0].seconds * 1000)} ms` : duration(curve.steps[0].seconds)} a step` : "";
}

function memoryOf({ memory_total: total, memory_used: used }) {
  return total ? `, ${(used / kGigabyte).toFixed(1)} of ${(total / kGigabyte).toFixed(1)} GiB` : "";
}

const workerFact = (worker) => [worker.device, `${worker.state}${worker.restarts ? `, restarted ${plural(worker.restarts, "time", "times")}` : ""}${speedOf(worker)}${memoryOf(worker)}`];

function show(queue) {
  $("queue").textContent = words(queue);
  $("light").dataset.state = queue.draining || !queue.ready ? "starts" : queue.orders ? "works" : "idle";
  $("banner").hidden = true;
  if (!$("server").open) return;
  showFacts($("server-facts"), [
    ["Images", `${queue.running} running, ${queue.queued} queued, ${queue.done} done`],
    ["Failed", queue.failed], ["Cancelled", queue.cancelled], ["Room in the queue", `${queue.max_queue - queue.queued} of ${queue.max_queue}`],
    ["Up for", duration(queue.uptime)], ...queue.workers.map(workerFact),
  ]);
}

function showLost(error) {
  const refused = error instanceof Refused;
  $("queue").textContent = refused ? "" : "Out of reach";
  $("light").dataset.state = "lost";
  if (refused) return;
  $("banner").textContent = "The server can't be reached. What was asked for goes on there; this page tries again by itself.";
  $("banner").hidden = false;
}

export async function lookAtServer() {
  try {
    const queue = await (await ask("GET", "/queue")).json();
    show(queue);
    await listener(queue);
  } catch (error) {
    showLost(error);
  }
}

// `heard` gets each state; `soon` says whether the next look is soon.
export function watchServer({ heard, soon }) {
  listener = heard;
  const look = async () => {
    if (document.visibilityState === "visible") await lookAtServer();
    setTimeout(look, soon() ? 1500 : 4000);
  };
  $("server").addEventListener("toggle", () => { if ($("server").open) lookAtServer(); });
  look();
}
