// The settings that an image file carries: the text "parameters" of a PNG, as AUTOMATIC1111 writes it and Inkstone does.

const kMaxText = 1 << 20;

// The texts of a PNG by their names. { } of what is none.
function textsOf(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), texts = {};
  const latin = new TextDecoder("latin1"), utf8 = new TextDecoder();
  if (bytes.length < 8 || latin.decode(bytes.subarray(1, 4)) !== "PNG") return texts;
  for (let at = 8; at + 12 <= bytes.length;) {
    const length = view.getUint32(at), kind = latin.decode(bytes.subarray(at + 4, at + 8));
    if (at + 12 + length > bytes.length) break;
    const data = bytes.subarray(at + 8, at + 8 + length), end = data.indexOf(0);
    if (kind === "tEXt" && end > 0 && length < kMaxText) texts[latin.decode(data.subarray(0, end))] = utf8.decode(data.subarray(end + 1));
    if (kind === "iTXt" && end > 0 && length < kMaxText && data[end + 1] === 0) {  // not compressed
      const language = data.indexOf(0, end + 3), translated = data.indexOf(0, language + 1);
      texts[latin.decode(data.subarray(0, end))] = utf8.decode(data.subarray(translated + 1));
    }
    at += 12 + length;
  }
  return texts;
}

// The fields of POST /generate by the web UI's names.
const names = {
  Steps: ["num_inference_steps", Number], "CFG scale": ["guidance_scale", Number], Seed: ["seed", String], Sampler: ["scheduler", String],
  "Clip skip": ["clip_skip", Number], "Denoising strength": ["strength", Number], "CFG Rescale": ["guidance_rescale", Number], Model: ["model", String],
};
const usual = ["Automatic", "Uniform"];  // schedule types that stand for the scheduler's own

// { prompt, negative_prompt, seed, ... }; null where the text has no such form.
export function settingsOfText(text) {
  const lines = text.split("\n");
  const last = lines.findLastIndex((line) => /^Steps: \d+, /.test(line));
  if (last < 0) return null;
  const negative = lines.findIndex((line) => line.startsWith("Negative prompt: "));
  const settings = {
    prompt: lines.slice(0, negative < 0 ? last : negative).join("\n").trim(),
    negative_prompt: negative < 0 ? "" : lines.slice(negative, last).join("\n").slice("Negative prompt: ".length),
  };
  for (const [, name, quoted, plain] of lines[last].matchAll(/([A-Z][\w ]*?): (?:"((?:[^"\\]|\\.)*)"|([^,]*))(?:, |$)/g)) {
    const value = plain ?? JSON.parse(`"${quoted}"`);
    const size = name === "Size" && /^(\d+)x(\d+)$/.exec(value);
    if (size) Object.assign(settings, { width: Number(size[1]), height: Number(size[2]) });
    if (name in names) settings[names[name][0]] = names[name][1](value);
    if (name === "Schedule type" && !usual.includes(value)) settings.schedule = value.toLowerCase().replaceAll(" ", "-");
  }
  return settings;
}

export async function settingsOf(blob) {
  try {
    const { parameters } = textsOf(new Uint8Array(await blob.arrayBuffer()));
    return parameters ? settingsOfText(parameters) : null;
  } catch {
    return null;
  }
}
