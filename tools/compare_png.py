#!/usr/bin/env python3
"""How near two images of inkstone are, or whether one decodes: 8-bit RGB, not interlaced. Needs Python alone.

    compare_png.py FILE.png [OTHER.png] [--min DECIBEL]
"""
import argparse, math, pathlib, struct, sys, zlib

def chunks(data):
    if data[:8] != b"\x89PNG\r\n\x1a\n": raise SystemExit("not a PNG")
    at = 8
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4:at + 8], data[at + 8:at + 8 + length]
        if (zlib.crc32(kind + body),) != struct.unpack_from(">I", data, at + 8 + length): raise SystemExit(f"a bad sum of {kind}")
        yield kind, body
        at += 12 + length

def predicted(kind, left, up, corner):
    if kind < 4: return (0, left, up, (left + up) // 2)[kind]
    guess = left + up - corner
    return min((left, up, corner), key=lambda near: abs(guess - near))  # Paeth: the first of the nearest

def decode(path):
    parts = list(chunks(pathlib.Path(path).read_bytes()))
    width, height, *form = struct.unpack(">IIBBBBB", parts[0][1])
    if form != [8, 2, 0, 0, 0]: raise SystemExit(f"{path}: not 8-bit RGB without interlacing")
    raw = zlib.decompress(b"".join(body for kind, body in parts if kind == b"IDAT"))
    size, above, rows = 3 * width, bytes(3 * width), []
    if len(raw) != height * (size + 1): raise SystemExit(f"{path}: {len(raw)} bytes of pixels")
    for y in range(height):
        kind, *line = raw[y * (size + 1):(y + 1) * (size + 1)]
        for x in range(size):
            left, corner = (line[x - 3], above[x - 3]) if x >= 3 else (0, 0)
            line[x] = (line[x] + predicted(kind, left, above[x], corner)) & 255
        rows.append(line)
        above = line
    return width, height, [value for row in rows for value in row]

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file")
    parser.add_argument("other", nargs="?")
    parser.add_argument("--min", type=float, default=0)
    options = parser.parse_args()
    width, height, pixels = decode(options.file)
    print(f"{options.file}: {width}x{height}, values {min(pixels)} to {max(pixels)}")
    if not options.other: return
    if (other := decode(options.other))[:2] != (width, height): raise SystemExit(f"{options.other} is of another size")
    apart = [a - b for a, b in zip(pixels, other[2])]
    error = sum(d * d for d in apart) / len(apart)
    near = 10 * math.log10(255**2 / error) if error else math.inf
    print(f"{options.other}: {near:.2f} dB, at most {max(map(abs, apart))} of 255 apart" if error else f"{options.other}: the same pixels")
    sys.exit(near < options.min)

if __name__ == "__main__":
    main()
