"""Pictures through the server: the command line's bytes, also under deaths; wrong files end in one line; uploads leave nothing
behind. Python's own library alone.

INKSTONE_BINARY is the program; it serves the demo model. INKSTONE_UPLOADS: how many, INKSTONE_UPLOAD_BYTES: of which size.
"""
import base64
import concurrent.futures
import http.client
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../clients"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server import Server
from service_test import LIMIT, SLOW, children, kill_at_work

UPLOADS = int(os.environ.get("INKSTONE_UPLOADS", 60 // SLOW))
UPLOAD_BYTES = int(os.environ.get("INKSTONE_UPLOAD_BYTES", 1 << 20))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, pixel, padding=0, more=b""):
    """RGB; `pixel(x, y)` gives three bytes. `padding`: bytes that no reader looks at."""
    rows = b"".join(b"\0" + b"".join(bytes(pixel(x, y)) for x in range(width)) for y in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pads = b"".join(chunk(b"paDd", random.randbytes(min(padding - at, 1 << 20))) for at in range(0, padding, 1 << 20))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + pads + more + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def sample(width=64, height=64, padding=0):
    return png(width, height, lambda x, y: (4 * x % 256, 4 * y % 256, (x ^ y) % 256), padding)


def disc(width=64, height=64):
    return png(width, height, lambda x, y: (255,) * 3 if (x - 32) ** 2 + (y - 32) ** 2 < 300 else (0,) * 3)


def form(fields):
    """A form's body and its content-type; bytes become files."""
    boundary, body = f"b{random.getrandbits(64):x}", b""
    for name, value in fields.items():
        if isinstance(value, bytes):
            body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n\r\n'.encode() + value + b"\r\n"
        else:
            body += f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
    return body + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def ask(server, fields, accept="application/json", as_form=True):
    """Status and body of the answer of POST /generate; status 0 where the connection broke."""
    body, kind = form(fields) if as_form else (json.dumps(
        {name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in fields.items()}), "application/json")
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=LIMIT)
    try:
        connection.request("POST", "/generate", body, {"Content-Type": kind, "Accept": accept})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except OSError:
        return 0, b""
    finally:
        connection.close()


def drawn(fields):
    """What `inkstone generate` draws."""
    flags = {"num_inference_steps": "steps", "guidance_scale": "guidance", "negative_prompt": "negative"}
    with tempfile.TemporaryDirectory(prefix="inkstone_pictures_") as folder:
        out = os.path.join(folder, "out.png")
        command = [os.environ["INKSTONE_BINARY"], "generate", fields["prompt"], "--out", out, "--quiet"]
        for name, value in fields.items():
            if isinstance(value, bytes):
                path = os.path.join(folder, name)
                with open(path, "wb") as file:
                    file.write(value)
                value = path
            if name != "prompt":
                flag = "--" + flags.get(name, name).replace("_", "-")
                command += [flag] if value is True else [flag, str(value)]
        subprocess.run(command, check=True, capture_output=True)
        with open(out, "rb") as file:
            return pixels(file.read())


def pixels(data):
    """The chunks of a PNG that say its pixels."""
    at, kept = 8, []
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        if kind in (b"IHDR", b"IDAT"):
            kept.append(data[at + 8:at + 8 + length])
        at += 12 + length
    return b"".join(kept)


def mixed(count, seed=1):
    draw = random.Random(seed)
    requests = []
    for _ in range(count):
        request = {"prompt": draw.choice(["a fox", "a red apple", "a bee"]), "seed": draw.randrange(1000),
                   "num_inference_steps": draw.randint(3, 8), "guidance_scale": draw.choice([1, 3, 5.5]),
                   "scheduler": draw.choice(["pndm", "ddim", "euler", "euler-ancestral", "dpm++-2m", "lcm"])}
        if draw.random() < 0.8:
            request |= {"image": sample(draw.choice([64, 90]), 64), "strength": draw.choice([0.4, 0.7, 1]),
                        "resize_mode": draw.choice(["stretch", "crop", "fill"]), "width": 64, "height": 64}
            if draw.random() < 0.5:
                request |= {"mask": disc(), "mask_blur": draw.choice([0, 4]), "image": sample()}
        requests.append(request)
    return requests


class Bytes(unittest.TestCase):
    def test_images_from_pictures_are_the_command_lines_in_company_and_under_deaths(self):
        requests = mixed(60 // SLOW)
        with Server("--max-batch", "4") as server, concurrent.futures.ThreadPoolExecutor(8) as pool:
            answers = [pool.submit(ask, server, {**request, "output_format": "png"}, "image/png", i % 2 == 0)
                       for i, request in enumerate(requests)]
            self.assertGreater(kill_at_work(server, answers, [signal.SIGKILL] * 3, all_at_once=True), 0)
            for request, answer in zip(requests, answers):
                status, body = answer.result()
                self.assertEqual(status, 200, body[:200])
                self.assertEqual(pixels(body), drawn(request), {name: value for name, value in request.items() if not isinstance(value, bytes)})

    def test_images_of_one_order_share_its_picture(self):
        with Server() as server:
            fields = {"prompt": "a bee", "seed": 3, "num_inference_steps": 3, "num_images_per_prompt": 4, "image": sample()}
            status, body = ask(server, fields)
            self.assertEqual(status, 200, body[:200])
            images = [pixels(base64.b64decode(one.split(",")[1])) for one in json.loads(body)["images"]]
            del fields["num_images_per_prompt"]
            for i, one in enumerate(images):
                self.assertEqual(one, drawn({**fields, "seed": 3 + i}), i)


def bombs():
    huge = struct.pack(">IIBBBBB", 65535, 65535, 8, 2, 0, 0, 0)
    zeros = zlib.compress(bytes(1 << 26), 9)
    good = sample()
    jpeg = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffc2001108ffffffff03012200021101031101")
    return {
        "65535x65535": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", huge) + chunk(b"IDAT", zeros) + chunk(b"IEND", b""),
        "2^31": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 1 << 31, 1, 8, 2, 0, 0, 0)) + chunk(b"IEND", b""),
        "zlib": b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zeros) + chunk(b"IEND", b""),
        "text": png(8, 8, lambda x, y: (1, 2, 3), more=chunk(b"zTXt", b"k\0\0" + zeros)),
        "profile": png(8, 8, lambda x, y: (1, 2, 3), more=chunk(b"iCCP", b"k\0\0" + zeros)),
        "truncated": good[:len(good) // 2],
        "head": good[:30],
        "jpeg 65535x65535": jpeg + b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00" * 2000 + b"\xff\xd9",
        "jpeg nothing": b"\xff\xd8\xff\xd9",
        "webp 16384x16384": b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\xff\x3f\0" * 2 + b"VP8L\0\0\0\0",
        "webp cut": b"RIFF\x10\0\0\0WEBPVP8 ",
        "gif": b"GIF89a" + bytes(20),
        "html": b"<html>http://169.254.169.254/</html>",
        "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "one byte": b"\x89",
    }


def kib(pid):
    """Of the process's own memory, and of the memory that it shares: files of pictures."""
    with open(f"/proc/{pid}/status") as file:
        rows = dict(line.split(":", 1) for line in file if ":" in line)
    return sum(int(rows[name].split()[0]) for name in ("RssAnon", "RssShmem"))


class Wrong(unittest.TestCase):
    def test_bombs_and_wrong_files_are_one_line_and_leave_the_server_as_it_was(self):
        with Server() as server:
            self.assertEqual(ask(server, {"prompt": "a", "num_inference_steps": 2, "image": sample()})[0], 200)
            workers = children(server.process.pid)
            harmless = {"zlib", "text", "profile"}  # a reader may pass over what is too much
            for round in range(2):
                for name, file in bombs().items():
                    for more in ({}, {"width": 64, "height": 64}):
                        with self.subTest(name, more=more):
                            status, body = ask(server, {"prompt": "a", "num_inference_steps": 2, "image": file, **more}, as_form=round == 0)
                            self.assertIn(status, (200, 400) if name in harmless else (400,), body[:300])
                            if status == 400:
                                error = json.loads(body)["error"]
                                self.assertIn("image", error["message"])
                                self.assertNotIn("\n", error["message"])
            self.assertEqual(children(server.process.pid), workers, "a worker died")
            self.assertLess(kib(server.process.pid), 200 << 10)
            for url in ("http://127.0.0.1:1/a.png", "https://example.org/a.png", "file:///etc/passwd", "ftp://a/b"):
                status, body = server.post("/generate", {"prompt": "a", "image": url})
                self.assertEqual(status, 400)
                self.assertIn("no URL is fetched", body["error"]["message"])


class Uploads(unittest.TestCase):
    def test_the_gateways_memory_is_flat_though_a_tenth_of_the_clients_leave(self):
        draw = random.Random(7)
        with Server("--max-batch", "4") as server:
            pid = server.process.pid

            def upload(number):
                random.seed(number)
                fields = {"prompt": "a fox", "num_inference_steps": 2, "strength": 0.5, "image": sample(padding=UPLOAD_BYTES)}
                if number % 10:
                    while True:
                        status, body = ask(server, fields, as_form=number % 2 == 0)
                        if status not in (429, 503):
                            return status
                        time.sleep(0.2)
                body, kind = form(fields)  # a tenth leave: in the body, or while it is drawn
                connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=LIMIT)
                connection.putrequest("POST", "/generate")
                connection.putheader("Content-Type", kind)
                connection.putheader("Content-Length", str(len(body)))
                try:
                    connection.endheaders(body if number % 20 else body[:len(body) // 2])
                except OSError:
                    pass
                connection.close()
                return 200

            seen = []
            with concurrent.futures.ThreadPoolExecutor(4) as pool:
                for status in pool.map(upload, range(1, UPLOADS + 1)):
                    self.assertEqual(status, 200)
                    seen.append(kib(pid))
            self.assertTrue(server.until_idle())
            figures = {"uploads": UPLOADS, "bytes": UPLOAD_BYTES, "KiB after a tenth": seen[UPLOADS // 10], "most": max(seen), "at the end": kib(pid)}
            print(json.dumps(figures), file=sys.stderr)
            # Four bodies, what is made of them and the files of four orders; not of all that came.
            early = max(seen[:max(UPLOADS // 4, 8)])
            self.assertLess(max(seen), early + 8 * UPLOAD_BYTES // 1024 + (32 << 10), figures)
            self.assertLess(kib(pid), early + (16 << 10), figures)


if __name__ == "__main__":
    unittest.main()
