"""Pictures that a server makes larger and does not draw on (AUTOMATIC1111's extras): the command line's pixels, beside images that are drawn, and under deaths;
wrong files end in one line. Python's own library alone.

INKSTONE_BINARY is the program; it serves the demo model.
"""
import base64
import concurrent.futures
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../clients"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from pictures_test import pixels, sample
from server import Server
from service_test import LIMIT, children, until
from tiny_upscaler import write_upscaler

SMALL = ("--max-side", "256", "--max-pixels", "65536", "--max-batch", "2", "--threads", "1")
SINGLE, BATCH = "/sdapi/v1/extra-single-image", "/sdapi/v1/extra-batch-images"


def text(picture):
    return base64.b64encode(picture).decode()


def metrics(server):
    with urllib.request.urlopen(server.url + "/metrics", timeout=LIMIT) as answer:
        return answer.read().decode()


class Extras(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="inkstone_extras_"))
        cls.network, cls.slow = (os.path.join(cls.folder, name) for name in ("tiny_x4.safetensors", "slow_x2.safetensors"))
        write_upscaler(cls.network, 2)
        write_upscaler(cls.slow, 1, channels=48)
        cls.flags = (*SMALL, "--upscaler", cls.network, "--upscaler", cls.slow)

    def upscaled(self, picture, scale, network="tiny_x4"):
        """What `inkstone upscale` makes of it."""
        path, out = (os.path.join(self.folder, name) for name in ("in.png", "out.png"))
        with open(path, "wb") as file:
            file.write(picture)
        subprocess.run([os.environ["INKSTONE_BINARY"], "upscale", path, "--upscaler", os.path.join(self.folder, network + ".safetensors"), "--scale", str(scale),
                        "--out", out, "--quiet"], check=True, timeout=LIMIT)
        with open(out, "rb") as file:
            return pixels(file.read())

    def enlarged(self, server, picture, scale, network="tiny_x4"):
        status, answer = server.post(SINGLE, {"image": text(picture), "upscaler_1": network, "upscaling_resize": scale})
        self.assertEqual(status, 200, answer)
        return pixels(base64.b64decode(answer["image"]))

    def test_pixels_are_the_command_lines_beside_images_that_are_drawn(self):
        pictures = [sample(40, 30), sample(64, 64), sample(17, 90)]
        right = [self.upscaled(picture, scale) for picture, scale in zip(pictures, (4, 2, 1.5))]
        for batching in ("step", "static", "off"):
            with Server(*self.flags, "--batching", batching) as server, concurrent.futures.ThreadPoolExecutor(8) as pool:
                drawn = [pool.submit(server.post, "/generate", {"prompt": "a fox", "seed": seed, "num_inference_steps": 6}) for seed in range(3)]
                answers = [pool.submit(self.enlarged, server, picture, scale) for picture, scale in zip(pictures, (4, 2, 1.5))]
                for number, answer in enumerate(answers):
                    self.assertEqual(answer.result(), right[number], number)
                for answer in drawn:
                    self.assertEqual(answer.result()[0], 200)
                status, batch = server.post(BATCH, {"upscaler_1": "tiny_x4", "upscaling_resize": 2,
                                                    "imageList": [{"data": text(picture), "name": "a.png"} for picture in pictures[:2]]})
                self.assertEqual(status, 200, batch)
                self.assertEqual(pixels(base64.b64decode(batch["images"][1])), right[1])
                self.assertIn("Postprocess upscaler: tiny_x4", batch["html_info"])
                drawn = server.post("/sdapi/v1/txt2img", {"prompt": "a fox", "seed": 1, "steps": 2, "width": 64, "height": 64})[1]["images"][0]
                larger = server.post(SINGLE, {"image": drawn, "upscaler_1": "tiny_x4"})[1]["image"]
                info = server.post("/sdapi/v1/png-info", {"image": larger})[1]["info"]
                self.assertTrue(info.startswith("a fox\nSteps: 2, "), info)
                self.assertTrue(info.endswith(", Postprocess upscale to: 128x128, Postprocess upscaler: tiny_x4"), info)
                self.assertEqual(server.get("/queue")["workers"][0]["restarts"], 0)

    def test_a_picture_whose_worker_died_is_made_again(self):
        picture = sample(128, 128)
        right = self.upscaled(picture, 2, "slow_x2")
        with Server(*self.flags) as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(self.enlarged, server, picture, 2, "slow_x2")
            self.assertTrue(until(lambda: server.get("/queue")["running"] > 0))
            os.kill(children(server.process.pid)[0], signal.SIGKILL)
            self.assertEqual(answer.result(), right)
            self.assertIn("inkstone_worker_deaths_total 1", metrics(server))

    def test_a_picture_is_cancelled_by_its_client_and_others_go_on(self):
        picture = sample(128, 128)
        with Server(*self.flags) as server:
            connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=LIMIT)
            connection.request("POST", SINGLE, json.dumps({"image": text(picture), "upscaler_1": "slow_x2"}), {"Content-Type": "application/json"})
            self.assertTrue(until(lambda: server.get("/queue")["running"] > 0))
            connection.close()
            self.assertTrue(until(lambda: "inkstone_images_total{end=\"cancelled\"} 1" in metrics(server)), metrics(server))
            self.assertEqual(self.enlarged(server, sample(16, 16), 2), self.upscaled(sample(16, 16), 2))

    def test_what_cannot_be_is_one_clear_line_and_the_server_goes_on(self):
        with Server(*self.flags) as server:
            good = text(sample(40, 30))
            broken = text(sample(40, 30)[:200])
            for asked, status, word in ({"image": broken, "upscaler_1": "tiny_x4"}, 400, "image"), \
                    ({"image": good, "upscaler_1": "nope_x4"}, 400, "tiny_x4"), \
                    ({"image": good, "upscaler_1": "tiny_x4", "upscaling_resize": 8}, 400, "320x240"), \
                    ({"image": good, "upscaler_1": "tiny_x4", "gfpgan_visibility": 1}, 422, "gfpgan_visibility"), \
                    ({"image": text(sample(300, 20)), "upscaler_1": "tiny_x4", "upscaling_resize": 1}, 400, "300x20"):
                found, answer = server.post(SINGLE, asked)
                self.assertEqual(found, status, answer)
                self.assertIn(word, json.dumps(answer), asked)
            self.enlarged(server, sample(16, 16), 2)
            self.assertEqual(server.get("/queue")["workers"][0]["restarts"], 0)
        for flag, word in (self.network + "x", "No such file"), (__file__, "extras_test.py"):
            done = subprocess.run([os.environ["INKSTONE_BINARY"], "serve", "--port", "0", "--upscaler", flag], capture_output=True, text=True, timeout=LIMIT)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(word, done.stderr)

    def test_an_upscaler_is_in_the_planned_memory(self):
        def planned(*flags):
            with Server(*SMALL, *flags) as server:
                number, unit = server.get("/queue")["workers"][0]["memory"][0].split()[:2]
                return float(number) * (1024 if unit == "GiB" else 1)

        self.assertGreater(planned("--upscaler", self.slow), planned())


if __name__ == "__main__":
    unittest.main()
