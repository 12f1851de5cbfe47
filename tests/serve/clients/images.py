"""What the tests want to know of an image."""
import base64
import struct
import zlib


def size_of(png):
    assert png[:8] == b"\x89PNG\r\n\x1a\n", png[:16]
    return struct.unpack(">II", png[16:24])


def pixels_of(png):
    """The unpacked image data, filtered as it is: equal for equal images of one encoder."""
    data, at = b"", 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at:at + 8])
        if kind == b"IDAT":
            data += png[at + 8:at + 8 + length]
        at += 12 + length
    return zlib.decompress(data)


def of_base64(text):
    return base64.b64decode(text, validate=True)


def texts_of(png):
    texts, at = {}, 8
    while at < len(png):
        length, kind = struct.unpack(">I4s", png[at:at + 8])
        if kind == b"tEXt":
            name, text = png[at + 8:at + 8 + length].split(b"\0", 1)
            texts[name.decode()] = text.decode("latin-1")
        at += 12 + length
    return texts


def png_of(width, height, pixel, channels=3):
    """A PNG whose pixel(x, y) are so many bytes: 3 of colour, or 4 with alpha."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def sample():
    return png_of(64, 64, lambda x, y: (4 * x, 4 * y, x ^ y))
