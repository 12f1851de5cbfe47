"""Several models and adapters through one server: whatever the mix, the company and the deaths, each file is the one that the
command line writes. Python's own library alone.

INKSTONE_BINARY is the program, INKSTONE_SOURCE the source tree, whose demo and tiny models are served.
"""
import base64
import concurrent.futures
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import unittest
import urllib.error

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../clients"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server import Server
from service_test import LIMIT, SLOW, ask, kill_at_work, until

SOURCE = os.environ.get("INKSTONE_SOURCE", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
MIXES = 30 // SLOW
SIZES = {"demo": [64, 84, 128], "tiny-sd15": [32, 40, 64], "tiny-sdxl": [32, 48, 64]}
SMALL = ("--max-side", "128", "--max-pixels", "16384", "--max-batch", "2")


def header_of(path):
    with open(path, "rb") as file:
        return json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))


def write_lora(path, unet, seed):
    """A LoRA of rank 2 for every key and value of the cross-attentions of a U-Net's file."""
    draw = random.Random(seed)
    tensors, data = {}, b""
    for name, tensor in sorted(header_of(unet).items()):
        if not name.endswith(("attn2.to_k.weight", "attn2.to_v.weight")):
            continue
        rows, columns = tensor["shape"]
        for part, shape in (("lora_A", [2, columns]), ("lora_B", [rows, 2])):
            numbers = struct.pack(f"<{shape[0] * shape[1]}f", *(draw.gauss(0, 0.3) for _ in range(shape[0] * shape[1])))
            tensors[f"unet.{name.removesuffix('.weight')}.{part}.weight"] = {
                "dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(numbers)]}
            data += numbers
    head = json.dumps(tensors).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(head)) + head + data)


class Folders:
    """Models and LoRAs as an operator has them, in a folder that goes with the tests."""

    def __init__(self):
        self.place = tempfile.TemporaryDirectory(prefix="inkstone_mixes_")
        self.models, self.loras = (os.path.join(self.place.name, name) for name in ("models", "loras"))
        os.makedirs(os.path.join(self.loras, "below"))
        for name, source in (("demo", "demo/model"), ("tiny-sd15", "tests/fixtures/models/tiny-sd15"),
                             ("tiny-sdxl", "tests/fixtures/models/tiny-sdxl")):
            shutil.copytree(os.path.join(SOURCE, source), os.path.join(self.models, name))
            unet = os.path.join(self.models, name, "unet/diffusion_pytorch_model.safetensors")
            for number in range(2):
                write_lora(os.path.join(self.loras, "below" if number else "", f"{name}-{number}.safetensors"), unet, f"{name} {number}")
        for name in ("lora", "second"):
            shutil.copy(os.path.join(SOURCE, f"tests/fixtures/adapters/{name}.safetensors"), os.path.join(self.loras, f"sd15-{name}.safetensors"))
        with open(os.path.join(self.models, "broken.safetensors"), "w") as file:
            file.write("no model")
        shutil.copy(os.path.join(self.loras, "sd15-lora.safetensors"), os.path.join(self.models, "an-adapter.safetensors"))
        self.flags = ("--models", self.models, "--lora-dir", self.loras)

    def model(self, name):
        return os.path.join(self.models, name)


def mixes(count, seed):
    draw = random.Random(seed)
    result = []
    for _ in range(count):
        model = draw.choice(list(SIZES))
        names = [f"{model}-0", f"{model}-1"] + (["sd15-lora", "sd15-second"] if model == "tiny-sd15" else [])
        tags = "".join(f" <lora:{name}:{draw.choice(['0.5', '0.8', '1', '-0.3', '0.4:0.9'])}>"
                       for name in draw.sample(names, draw.choice([0, 0, 1, 1, 2])))
        result.append({"model": model, "prompt": draw.choice(["a fox", "a (red:1.2) apple", "a [bee:rocket:0.5]"]) + tags,
                       "negative_prompt": draw.choice(["", "blurry"]), "seed": draw.randrange(1000),
                       "num_inference_steps": draw.randint(2, 6), "guidance_scale": draw.choice([1, 3, 5.5]),
                       "width": draw.choice(SIZES[model]), "height": draw.choice(SIZES[model]),
                       "scheduler": draw.choice(["ddim", "euler", "euler-ancestral", "dpm++-2m", "unipc", "heun", "lcm"])})
    return result


def command_line(folders, request, out):
    """The file that the command line writes for it."""
    flags = {"seed": "seed", "num_inference_steps": "steps", "guidance_scale": "guidance", "width": "width", "height": "height",
             "scheduler": "scheduler", "negative_prompt": "negative"}
    words = [word for name, flag in flags.items() for word in (f"--{flag}", str(request[name]))]
    subprocess.run([os.environ["INKSTONE_BINARY"], "generate", request["prompt"], "--model", folders.model(request["model"]),
                    "--lora-dir", folders.loras, "--out", out, "--quiet", *words], check=True, timeout=LIMIT)
    with open(out, "rb") as file:
        return file.read()


def tight_budget(folders):
    """So little that few variants are in memory at once: a little more than the largest model takes."""
    with Server(*folders.flags, *SMALL) as server:
        planned = server.get("/queue")["workers"][0]["memory"][0]  # of the demo model: "111 MiB planned: ..."
    number, unit = planned.split()[:2]
    return ("--memory-budget", f"{int(float(number) * (1024 if unit == 'GiB' else 1)) + 20}MiB")


def all_read(server):
    return all(model["state"] != "reading" for model in server.get("/models")["models"])


class Mixes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folders = Folders()

    @classmethod
    def tearDownClass(cls):
        cls.folders.place.cleanup()

    def test_each_is_the_command_lines_file_under_kills(self):
        seed = int(os.environ.get("INKSTONE_MIX_SEED", "1"))
        requests = mixes(MIXES, seed)
        right = [command_line(self.folders, request, os.path.join(self.folders.place.name, "out.png")) for request in requests]

        def drawn(number):
            request = requests[number]
            if number % 3:
                status, _, png = ask(server, request, {"Accept": "image/png"})
                return png if status == 200 else (status, png)
            asked = {**request, "size": f"{request['width']}x{request['height']}", "response_format": "b64_json"}
            del asked["width"], asked["height"]
            status, answer = server.post("/v1/images/generations", asked)
            return base64.b64decode(answer["data"][0]["b64_json"]) if status == 200 else (status, answer)

        with Server(*self.folders.flags, *SMALL, *tight_budget(self.folders), "--workers", "2", "--threads", "1", "--watchdog-min", "5") as server, \
                concurrent.futures.ThreadPoolExecutor(10) as pool:
            self.assertTrue(until(lambda: all_read(server)))
            answers = [pool.submit(drawn, number) for number in range(MIXES)]
            self.assertGreater(kill_at_work(server, answers, (signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL)), 0)
            for number, answer in enumerate(answers):
                self.assertEqual(answer.result(), right[number], (number, requests[number]))
            with open(server.log.name) as log:
                loaded = [line.split("model=")[1].rsplit(" seconds=", 1)[0] for line in log if " model_loaded " in line]
            print(f"{len(loaded)} times one of {len(set(loaded))} models with their adapters was brought in", file=sys.stderr)

    def test_what_cannot_be_run_is_left_out_with_a_line_and_new_files_are_taken(self):
        with Server(*self.folders.flags, *SMALL) as server:
            self.assertTrue(until(lambda: all_read(server)))
            states = {model["name"]: model["state"] for model in server.get("/models")["models"]}
            self.assertEqual(states, {"demo": "ready", "tiny-sd15": "ready", "tiny-sdxl": "ready", "broken": "unusable", "an-adapter": "unusable"})
            for name in ("broken.safetensors", "an-adapter.safetensors"):
                self.assertIn(name, server.said())
            self.assertEqual([model["id"] for model in server.get("/v1/models")["data"]], ["demo", "tiny-sd15", "tiny-sdxl"])
            status, answer = server.post("/generate", {"prompt": "a fox", "model": "tiny-sd16"})
            self.assertEqual(status, 404)
            self.assertIn("tiny-sd15", answer["error"]["message"])
            status, answer = server.post("/generate", {"prompt": "a fox <lora:tiny-sd15-2>", "model": "tiny-sd15"})
            self.assertEqual(status, 400)
            self.assertIn("tiny-sd15-", answer["error"]["message"])
            self.assertNotIn(self.folders.place.name, json.dumps(answer))
            status, answer = server.post("/generate", {"prompt": "a fox <lora:demo-0>", "model": "tiny-sd15"})
            self.assertEqual(status, 400, answer)
            self.assertIn("demo-0", answer["error"]["message"])
            self.assertNotIn(self.folders.place.name, json.dumps(answer))
            with self.assertRaises(urllib.error.HTTPError):
                server.get("/v2/models/other")
            self.assertEqual(server.get("/v2/models/tiny-sdxl")["name"], "tiny-sdxl")
            shutil.copytree(self.folders.model("tiny-sd15"), self.folders.model("later"))
            shutil.copy(os.path.join(self.folders.loras, "tiny-sd15-0.safetensors"), os.path.join(self.folders.loras, "new.safetensors"))
            try:
                self.assertEqual(server.post("/sdapi/v1/refresh-checkpoints", {})[0], 200)
                self.assertTrue(until(lambda: all_read(server)))
                self.assertIn("new", [lora["name"] for lora in server.get("/sdapi/v1/loras")])
                titles = {model["model_name"]: model["title"] for model in server.get("/sdapi/v1/sd-models")}
                self.assertIn("later", titles)
                status, answer = server.post("/sdapi/v1/txt2img", {"prompt": "a fox <lora:new:0.7>", "steps": 2, "width": 32, "height": 32,
                                                                   "override_settings": {"sd_model_checkpoint": titles["later"]}})
                self.assertEqual(status, 200, answer)
                info = json.loads(answer["info"])
                self.assertEqual(info["sd_model_name"], "later")
                self.assertIn("Model: later", info["infotexts"][0])
                self.assertIn("<lora:new:0.7>", info["infotexts"][0])
            finally:
                shutil.rmtree(self.folders.model("later"))
                os.remove(os.path.join(self.folders.loras, "new.safetensors"))
            self.assertEqual(server.post("/models", {})[0], 200)
            self.assertEqual(server.post("/generate", {"prompt": "a fox", "model": "later"})[0], 404)

    def test_a_file_that_changes_is_not_drawn_from_before_it_was_looked_at_again(self):
        folder = self.folders.model("changing")
        shutil.copytree(self.folders.model("tiny-sd15"), folder)
        request = {"prompt": "a fox", "seed": 1, "num_inference_steps": 2, "guidance_scale": 3, "width": 32, "height": 32,
                   "scheduler": "ddim", "negative_prompt": "", "model": "changing"}
        try:
            with Server(*self.folders.flags, *SMALL) as server:
                self.assertTrue(until(lambda: all_read(server)))
                self.assertEqual(ask(server, request, {"Accept": "image/png"})[0], 200)
                unet = os.path.join(folder, "unet/diffusion_pytorch_model.safetensors")
                with open(unet, "rb") as file:
                    bytes_of = bytearray(file.read())
                for at in range(len(bytes_of) - 40000, len(bytes_of), 4):
                    bytes_of[at + 3] ^= 0x80  # signs
                os.remove(unet)
                with open(unet, "wb") as file:
                    file.write(bytes_of)
                status, answer = server.post("/generate", request)
                self.assertEqual((status, answer["error"]["code"]), (503, "model_changed"), answer)
                self.assertEqual(ask(server, {**request, "model": "tiny-sd15"}, {"Accept": "image/png"})[0], 200)
                self.assertEqual(server.post("/models", {})[0], 200)
                self.assertTrue(until(lambda: all_read(server)))
                status, _, png = ask(server, request, {"Accept": "image/png"})
                self.assertEqual(status, 200, png)
                self.assertEqual(png, command_line(self.folders, request, os.path.join(self.folders.place.name, "changed.png")))
        finally:
            shutil.rmtree(folder)

    def test_a_start_that_cannot_be_says_why(self):
        with tempfile.TemporaryDirectory() as empty:
            for flags, word in (["--models", empty], "no model in it"), (["--models", "/no/such/folder"], "/no/such/folder"), \
                    (["--models", self.folders.models, "--vae", "x.safetensors"], "--vae"), \
                    (["--models", self.folders.models, "--lora", "x.safetensors"], "--lora"), \
                    (["--models", self.folders.models, "--lora-dir", "/no/loras"], "/no/loras"):
                done = subprocess.run([os.environ["INKSTONE_BINARY"], "serve", "--port", "0", *flags], capture_output=True, text=True, timeout=LIMIT)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(word, done.stderr)
                self.assertNotIn("worker_started", done.stderr, flags)


if __name__ == "__main__":
    unittest.main()
