// Files as one ZIP archive, stored as they are: images are compressed already.

const table = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
  return n;
});

function crcOf(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = table[(crc ^ byte) & 255] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

// Numbers of 2 (positive width) or 4 bytes, little end first: [[width, value], ...].
function record(...numbers) {
  const view = new DataView(new ArrayBuffer(numbers.reduce((sum, [width]) => sum + width, 0)));
  let at = 0;
  for (const [width, value] of numbers) {
    if (width === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += width;
  }
  return view;
}

function dosTime(milliseconds) {
  const t = new Date(milliseconds), year = Math.max(t.getFullYear(), 1980) - 1980;
  return [[2, (t.getHours() << 11) | (t.getMinutes() << 5) | (t.getSeconds() >> 1)], [2, (year << 9) | ((t.getMonth() + 1) << 5) | t.getDate()]];
}

// Two files of one name would become one where the archive is unpacked.
function different(name, taken) {
  const dot = name.lastIndexOf(".");
  let own = name;
  for (let number = 2; taken.has(own); number++) own = `${name.slice(0, dot)}-${number}${name.slice(dot)}`;
  taken.add(own);
  return own;
}

// `files`: [{ name, blob, time }], together less than 4 GB; a Blob.
export async function zipOf(files) {
  const parts = [], directory = [], taken = new Set();
  let at = 0, size = 0;
  for (const { name, blob, time } of files) {
    const path = new TextEncoder().encode(different(name, taken));
    const about = [[2, 20], [2, 0x800], [2, 0], ...dosTime(time), [4, crcOf(new Uint8Array(await blob.arrayBuffer()))],
      [4, blob.size], [4, blob.size], [2, path.length], [2, 0]];  // names are UTF-8
    parts.push(record([4, 0x04034b50], ...about), path, blob);
    directory.push(record([4, 0x02014b50], [2, 20], ...about, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]), path);
    at += 30 + path.length + blob.size;
    size += 46 + path.length;
  }
  const end = record([4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, size], [4, at], [2, 0]);
  return new Blob([...parts, ...directory, end], { type: "application/zip" });
}
