// Numbers, times and errors in words.

export const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

export function duration(seconds) {
  if (!(seconds >= 0)) return "";
  if (seconds < 1) return "less than 1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

export const megabytes = (bytes) => (bytes < 1e6 ? `${Math.max(1, Math.round(bytes / 1e3))} KB` : `${(bytes / 1e6).toFixed(1)} MB`);

// Of a file, from what a prompt begins with.
export const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-").slice(0, 60).replace(/^-+|-+$/g, "") || "image";

const schedulers = {
  pndm: "PNDM", ddim: "DDIM", euler: "Euler", "euler-ancestral": "Euler a", "dpm++-2m": "DPM++ 2M", "dpm++-2m-sde": "DPM++ 2M SDE",
  unipc: "UniPC", lcm: "LCM", heun: "Heun", dpm2: "DPM2", "dpm2-a": "DPM2 a", lms: "LMS", "dpm++-2s-a": "DPM++ 2S a",
  "dpm++-sde": "DPM++ SDE", "dpm++-3m-sde": "DPM++ 3M SDE", deis: "DEIS", tcd: "TCD",
};
export const schedulerTitle = (name) => schedulers[name] ?? name;

export const scheduleTitles = {
  default: "As its file says", karras: "Karras", exponential: "Exponential", beta: "Beta", trailing: "Trailing", leading: "Leading",
  linspace: "Linspace", uniform: "Uniform", "sgm-uniform": "SGM uniform", simple: "Simple", "ddim-uniform": "DDIM uniform",
  ays: "Align Your Steps", "kl-optimal": "KL optimal", lu: "Lu",
};

export const begun = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// The server's message as one sentence. Where it says when, "try again in a while" becomes the time.
export function sentence(error) {
  let text = begun(error.message.trim()).replace(/\.$/, "");
  if (error.retryAfter > 0)
    text = text.replace(/[:;,] (or )?try again[^:;,]*$/i, "") + `; try again in ${duration(error.retryAfter)}`;
  return `${text}.`;
}
