// Numbers, times and errors in words.

export const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

export function duration(seconds) {
  if (!(seconds >= 0)) return "";
  if (seconds < 1) return "less than 1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return `${Math.round(seconds / 3600)} h`;
}

export const begun = (text) => text.charAt(0).toUpperCase() + text.slice(1);

// The server's message as one sentence. Where it says when, "try again in a while" becomes the time.
export function sentence(error) {
  let text = begun(error.message.trim()).replace(/\.$/, "");
  if (error.retryAfter > 0)
    text = text.replace(/[:;,] (or )?try again[^:;,]*$/i, "") + `; try again in ${duration(error.retryAfter)}`;
  return `${text}.`;
}
