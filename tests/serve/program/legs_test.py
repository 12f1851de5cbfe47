"""Images of several legs through the server: SDXL's base and refiner, and hires fixes. Whatever the company, the memory and the deaths between the legs,
each file is the one that the command line writes. Python's own library alone.

INKSTONE_BINARY is the program, INKSTONE_SOURCE the source tree, whose tiny models are served.
"""
import base64
import concurrent.futures
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../clients"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from mixes_test import SMALL, SOURCE, all_read, write_lora
from server import Server
from service_test import LIMIT, SLOW, ask, children, kill_at_work, until
from tiny_upscaler import write_upscaler

IMAGES = 20 // SLOW
PNG = {"Accept": "image/png"}
FLAGS = {"seed": "seed", "num_inference_steps": "steps", "guidance_scale": "guidance", "width": "width", "height": "height", "scheduler": "scheduler", "schedule": "schedule",
         "negative_prompt": "negative", "refiner_start": "refiner-start", "hires": "hires", "hires_strength": "hires-strength",
         "hires_steps": "hires-steps", "hires_upscaler": "hires-upscaler"}


class Folders:
    """A base, another family and a refiner as an operator has them."""

    def __init__(self):
        self.place = tempfile.TemporaryDirectory(prefix="inkstone_legs_")
        self.models, self.loras = (os.path.join(self.place.name, name) for name in ("models", "loras"))
        os.makedirs(self.loras)
        fixtures = os.path.join(SOURCE, "tests/fixtures/models")
        for name in ("tiny-sdxl", "tiny-sd15", "tiny-refiner"):
            shutil.copytree(os.path.join(fixtures, name), self.model(name))
        with open(os.path.join(fixtures, "tiny-refiner/golden.json")) as file:
            for part, place in json.load(file)["parts"].items():
                shutil.copytree(os.path.join(fixtures, place), os.path.join(self.model("tiny-refiner"), part))
        write_lora(os.path.join(self.loras, "style.safetensors"), os.path.join(self.model("tiny-sdxl"), "unet/diffusion_pytorch_model.safetensors"), "style")
        self.upscaler = os.path.join(self.place.name, "tiny_x4.safetensors")
        write_upscaler(self.upscaler, 2)
        self.flags = ("--models", self.models, "--model", "tiny-sdxl", "--lora-dir", self.loras, "--upscaler", self.upscaler)

    def model(self, name):
        return os.path.join(self.models, name)


def of_legs(count, seed):
    draw = random.Random(seed)
    result = []
    for _ in range(count):
        request = {"model": "tiny-sdxl", "prompt": draw.choice(["a fox", "a (red:1.2) apple", "a [bee:rocket:0.5]", "a fox <lora:style:0.7>"]),
                   "negative_prompt": draw.choice(["", "blurry"]), "seed": draw.randrange(1000), "num_inference_steps": draw.randint(4, 8),
                   "guidance_scale": draw.choice([1, 3, 5.5]), "width": draw.choice([32, 48, 64]), "height": draw.choice([32, 64])}
        if draw.random() < 0.6:
            request["scheduler"] = draw.choice(["ddim", "euler", "euler-ancestral", "dpm++-2m", "unipc", "heun"])
        kind = draw.choice(["refined", "refined", "enlarged", "enlarged", "plain"])
        if kind == "refined":
            request["refiner"] = "tiny-refiner"
            request["refiner_start"] = draw.choice([0.3, 0.5, 0.7])
        if kind == "enlarged":
            request["model"] = draw.choice(["tiny-sdxl", "tiny-sd15"])
            request["prompt"] = request["prompt"].split(" <")[0]
            request["hires"] = draw.choice([1.5, 2])
            request["hires_upscaler"] = draw.choice(["latent", "latent-bicubic-antialiased", "latent-nearest-exact", "lanczos", "bicubic", "tiny_x4", "tiny_x4"])
            request.update(draw.choice([{}, {"hires_steps": 3}, {"hires_strength": 0.4}]))
        result.append(request)
    return result


def command_line(folders, request, out):
    """The file that the command line writes for it."""
    request = dict(request)
    if request.get("hires_upscaler") == "tiny_x4":
        request["hires_upscaler"] = folders.upscaler
    words = [word for name, flag in FLAGS.items() if name in request for word in (f"--{flag}", str(request[name]))]
    if "refiner" in request:
        words += ["--refiner", folders.model(request["refiner"])]
    subprocess.run([os.environ["INKSTONE_BINARY"], "generate", request["prompt"], "--model", folders.model(request["model"]),
                    "--lora-dir", folders.loras, "--out", out, "--quiet", *words], check=True, timeout=LIMIT)
    with open(out, "rb") as file:
        return file.read()


def pixels(png):
    """The bytes of its IDAT chunks, unpacked: the same image, whatever its texts say."""
    data, at = b"", 8
    while at < len(png):
        size = int.from_bytes(png[at:at + 4], "big")
        data += png[at + 8:at + 8 + size] if png[at + 4:at + 8] == b"IDAT" else b""
        at += size + 12
    return zlib.decompress(data)


def little_memory(folders):
    """A budget that holds one of the models at a time."""
    with Server(*folders.flags, *SMALL) as server:
        planned = server.get("/queue")["workers"][0]["memory"][0]  # of the base: "111 MiB planned: ..."
    number, unit = planned.split()[:2]
    return ("--memory-budget", f"{int(float(number) * (1024 if unit == 'GiB' else 1)) + 4}MiB")


class Legs(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folders = Folders()
        cls.out = os.path.join(cls.folders.place.name, "out.png")

    @classmethod
    def tearDownClass(cls):
        cls.folders.place.cleanup()

    def drawn(self, server, request):
        status, _, png = ask(server, request, PNG)
        return png if status == 200 else (status, png)

    def expect_the_command_lines_files(self, *flags, kills=()):
        requests = of_legs(IMAGES, seed=len(flags))
        right = [command_line(self.folders, request, self.out) for request in requests]
        with Server(*self.folders.flags, *SMALL, "--threads", "1", *flags) as server, concurrent.futures.ThreadPoolExecutor(10) as pool:
            self.assertTrue(until(lambda: all_read(server)))
            answers = [pool.submit(self.drawn, server, request) for request in requests]
            if kills:
                self.assertGreater(kill_at_work(server, answers, kills), 0)
            for number, answer in enumerate(answers):
                self.assertEqual(answer.result(), right[number], (number, requests[number]))

    def test_files_are_the_command_lines_in_any_company(self):
        self.expect_the_command_lines_files("--batching", "step")

    def test_files_are_the_command_lines_one_at_a_time_and_in_waves(self):
        self.expect_the_command_lines_files("--batching", "off")
        self.expect_the_command_lines_files("--batching", "static", "--verbose")

    def test_files_are_the_command_lines_where_one_model_is_in_memory_and_workers_die(self):
        self.expect_the_command_lines_files(*little_memory(self.folders), "--workers", "2", "--watchdog-min", "5",
                                            kills=(signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL))

    def test_a_worker_killed_in_the_second_leg_begins_again_and_gives_the_same_file(self):
        request = {"model": "tiny-sdxl", "prompt": "a fox", "negative_prompt": "", "seed": 3, "num_inference_steps": 200, "guidance_scale": 3,
                   "width": 64, "height": 64, "scheduler": "euler", "refiner": "tiny-refiner", "refiner_start": 0.7}
        right = command_line(self.folders, request, self.out)
        with Server(*self.folders.flags, *SMALL, "--threads", "1") as server:
            self.assertTrue(until(lambda: all_read(server)))
            job = server.post("/generate", {**request, "async": True, "output_format": "png"})[1]
            state = lambda: server.get(f"/jobs/{job['id']}")["images"][0]
            self.assertEqual(state()["steps"], 200)
            self.assertTrue(until(lambda: state()["step"] > 160))  # the base makes 140
            os.kill(children(server.process.pid)[0], signal.SIGKILL)
            self.assertTrue(until(lambda: state()["status"] == "done"))
            self.assertEqual(state()["attempt"], 2)
            self.assertEqual(self.drawn(server, request), right)

    def test_a_servers_own_refiner_finishes_the_default_models_images(self):
        request = {"model": "tiny-sdxl", "prompt": "a fox", "negative_prompt": "", "seed": 4, "num_inference_steps": 6, "guidance_scale": 3, "width": 32,
                   "height": 48, "refiner": "tiny-refiner", "refiner_start": 0.5}
        right = command_line(self.folders, request, self.out)
        base = command_line(self.folders, {name: value for name, value in request.items() if not name.startswith("refiner")}, self.out)
        self.assertNotEqual(right, base)
        for name in ("model", "refiner", "refiner_start"):
            del request[name]
        with Server("--model", self.folders.model("tiny-sdxl"), "--refiner", self.folders.model("tiny-refiner"), "--refiner-start", "0.5",
                    "--lora-dir", self.folders.loras, *SMALL) as server:
            self.assertTrue(until(lambda: all_read(server)))
            self.assertEqual(self.drawn(server, request), right)
            self.assertEqual(self.drawn(server, {**request, "refiner": "none"}), base)

    def test_what_is_no_pair_is_one_clear_line(self):
        with Server(*self.folders.flags, *SMALL) as server:
            self.assertTrue(until(lambda: all_read(server)))
            self.assertNotIn("tiny-refiner", [model["id"] for model in server.get("/v1/models")["data"]])
            self.assertIn({"tiny-refiner": True}, [{model["name"]: model["refiner"]} for model in server.get("/models")["models"]])
            for asked, word in ({"model": "tiny-refiner"}, "is SDXL's refiner"), ({"refiner": "tiny-sdxl"}, "is no refiner"), \
                    ({"model": "tiny-sd15", "refiner": "tiny-refiner"}, "is no SDXL model"), ({"refiner": "tiny-refinery"}, "did you mean \"tiny-refiner\""), \
                    ({"refiner": "tiny-refiner", "refiner_start": 0.01, "num_inference_steps": 4}, "leaves the base model none"), \
                    ({"refiner": "tiny-refiner", "refiner_start": 0.999, "num_inference_steps": 4}, "leaves the refiner none"), \
                    ({"refiner_start": 0.5}, "which refiner"), ({"refiner": "tiny-refiner", "refiner_start": 2}, "refiner_start"):
                status, answer = server.post("/generate", {"prompt": "a fox", "width": 32, "height": 32, **asked})
                self.assertIn(status, (400, 404), answer)
                self.assertIn(word, answer["error"]["message"], asked)
        for flags, word in (["--model", self.folders.model("tiny-sdxl"), "--refiner", self.folders.model("tiny-sd15")], "no refiner of SDXL"), \
                (["--model", self.folders.model("tiny-sd15"), "--refiner", self.folders.model("tiny-refiner")], "no SDXL model"), \
                (["--model", self.folders.model("tiny-refiner")], "is SDXL's refiner"), \
                (["--model", self.folders.model("tiny-sdxl"), "--refiner-start", "0.5"], "which refiner"):
            done = subprocess.run([os.environ["INKSTONE_BINARY"], "serve", "--port", "0", *flags], capture_output=True, text=True, timeout=LIMIT)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(word, done.stderr)

    def test_automatic1111s_fields_mean_the_same(self):
        request = {"prompt": "a fox", "seed": 5, "steps": 6, "cfg_scale": 3, "width": 32, "height": 32, "sampler_name": "Euler",
                   "refiner_checkpoint": "tiny-refiner", "refiner_switch_at": 0.5}
        with Server(*self.folders.flags, *SMALL) as server:
            self.assertTrue(until(lambda: all_read(server)))
            info = {}
            for name, more in {"both": {}, "none": {"refiner_checkpoint": "None"}, "never": {"refiner_switch_at": 1}}.items():
                status, answer = server.post("/sdapi/v1/txt2img", {**request, **more})
                self.assertEqual(status, 200, answer)
                info[name] = (answer["images"], json.loads(answer["info"])["infotexts"][0])
            self.assertIn("Refiner: tiny-refiner, Refiner switch at: 0.5", info["both"][1])
            self.assertEqual(info["none"], info["never"])
            self.assertNotEqual(info["both"][0], info["none"][0])
            self.assertNotIn("Refiner", info["none"][1])

    def test_automatic1111s_hires_fields_mean_the_same(self):
        own = {"model": "tiny-sd15", "prompt": "a fox", "negative_prompt": "", "seed": 5, "num_inference_steps": 5, "guidance_scale": 3, "width": 32, "height": 48,
               "scheduler": "euler", "schedule": "uniform", "hires": 1.5, "hires_strength": 0.6, "hires_steps": 4, "hires_upscaler": "latent-bicubic"}
        right = command_line(self.folders, own, self.out)
        request = {"prompt": "a fox", "seed": 5, "steps": 5, "cfg_scale": 3, "width": 32, "height": 48, "sampler_name": "Euler", "enable_hr": True, "hr_scale": 1.5,
                   "denoising_strength": 0.6, "hr_second_pass_steps": 4, "hr_upscaler": "Latent (bicubic)", "hr_sampler_name": "Use same sampler", "hr_prompt": "",
                   "override_settings": {"sd_model_checkpoint": "tiny-sd15"}, "scheduler": "Automatic"}
        with Server(*self.folders.flags, *SMALL) as server:
            self.assertTrue(until(lambda: all_read(server)))
            self.assertIn({"name": "Latent (bicubic)"}, server.get("/sdapi/v1/latent-upscale-modes"))
            for more in ({}, {"hr_resize_x": 48}, {"hr_resize_x": 48, "hr_resize_y": 72, "hr_scale": 4}):
                status, answer = server.post("/sdapi/v1/txt2img", {**request, **more})
                self.assertEqual(status, 200, answer)
                self.assertIn("Size: 32x48, Hires upscale: 1.5, Denoising strength: 0.6, Hires steps: 4, Hires upscaler: Latent (bicubic)",
                              json.loads(answer["info"])["infotexts"][0])
                self.assertEqual(pixels(base64.b64decode(answer["images"][0])), pixels(right))
            for more, word in ({"hr_prompt": "a bee"}, "hr_prompt"), ({"hr_sampler_name": "DDIM"}, "hr_sampler_name"), ({"hr_resize_x": 48, "hr_resize_y": 48}, "hr_resize_y"), \
                    ({"hr_upscaler": "R-ESRGAN 4x+"}, "hr_upscaler"), ({"hr_scale": 4, "width": 64}, "longest side"), ({"hr_checkpoint_name": "other"}, "hr_checkpoint_name"):
                status, answer = server.post("/sdapi/v1/txt2img", {**request, **more})
                self.assertIn(status, (400, 422), answer)
                self.assertIn(word, json.dumps(answer))

    def test_a_job_interrupted_shows_the_leg_that_it_is_in(self):
        request = {"prompt": "a fox", "seed": 3, "steps": 200, "cfg_scale": 3, "width": 64, "height": 64, "sampler_name": "Euler",
                   "refiner_checkpoint": "tiny-refiner", "refiner_switch_at": 0.5}
        with Server(*self.folders.flags, *SMALL, "--threads", "1") as server, concurrent.futures.ThreadPoolExecutor(1) as pool:
            self.assertTrue(until(lambda: all_read(server)))
            for least in (1, 120):  # of 100 calls each
                answer = pool.submit(server.post, "/sdapi/v1/txt2img", request)
                self.assertTrue(until(lambda: server.get("/sdapi/v1/progress")["state"]["sampling_step"] >= least))
                self.assertEqual(server.post("/sdapi/v1/interrupt", {})[0], 200)
                status, made = answer.result()
                self.assertEqual(status, 200, made)
                self.assertEqual("Refiner" in json.loads(made["info"])["infotexts"][0], least > 100)


if __name__ == "__main__":
    unittest.main()
