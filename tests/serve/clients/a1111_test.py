"""AUTOMATIC1111's behaviours that clients rely on, one by one, without a client in between (serving notes 2.3 and 2.6)."""
import base64
import json
import threading
import time
import unittest

from images import of_base64, size_of, texts_of
from server import Server

SMALL = {"prompt": "a fox", "width": 64, "height": 64, "steps": 3, "seed": 1}


class A1111(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server(keys={"anna": "anna-s-key", "bela": "bela-s-key"}))

    def get(self, name, key="anna-s-key"):
        return self.server.get("/sdapi/v1/" + name, Authorization=f"Bearer {key}")

    def post(self, name, body, key="anna-s-key"):
        return self.server.post("/sdapi/v1/" + name, body, Authorization=f"Bearer {key}")

    def draw(self, **more):
        status, answer = self.post("txt2img", {**SMALL, **more})
        self.assertEqual(status, 200, answer)
        return answer

    def test_the_answer_has_its_three_parts(self):
        answer = self.draw()
        self.assertFalse(answer["images"][0].startswith("data:"))
        self.assertEqual(size_of(of_base64(answer["images"][0])), (64, 64))
        self.assertEqual(answer["parameters"]["steps"], 3)
        self.assertIsInstance(answer["info"], str)
        info = json.loads(answer["info"])
        for name in ("seed", "all_seeds", "width", "height", "sampler_name", "cfg_scale", "steps", "infotexts", "sd_model_hash",
                     "job_timestamp", "index_of_first_image", "all_prompts"):
            self.assertIn(name, info)
        self.assertEqual(info["index_of_first_image"], 0)  # no grid

    def test_the_image_carries_its_parameters(self):
        texts = texts_of(of_base64(self.draw(negative_prompt="blurry")["images"][0]))
        self.assertIn("parameters", texts)
        for words in ("a fox\n", "Negative prompt: blurry\n", "Steps: 3", "Seed: 1", "Size: 64x64"):
            self.assertIn(words, texts["parameters"])

    def test_what_clients_send_is_taken(self):
        for more in ({"sampler_name": "PLMS"}, {"sampler_name": "DDIM"}, {"sampler_name": "UniPC"},
                     {"sampler_index": "Euler"}, {"sampler_name": "k_euler_a"}, {"sampler_name": "DPM++ 2M Karras"},
                     {"sampler_name": "Euler", "scheduler": "Karras"}, {"scheduler": "automatic"},
                     {"restore_faces": False, "tiling": False}, {"enable_hr": False, "hr_upscaler": "Latent"},
                     {"alwayson_scripts": {}, "script_args": [], "script_name": None}, {"nobody_knows_this": 1},
                     {"styles": [], "override_settings": {}, "eta": 1.0}, {"seed": -1}, {"subseed": -1, "subseed_strength": 0},
                     {"prompt": "((fox)), (bee:1.1), [a:b:0.3], [a|b]"}, {"prompt": ""}, {"n_iter": 2}):
            with self.subTest(more=more):
                self.assertEqual(len(self.draw(**more)["images"]), more.get("n_iter", 1))

    def test_seed_minus_one_is_drawn_and_told(self):
        info = json.loads(self.draw(seed=-1)["info"])
        self.assertTrue(0 <= info["seed"] < 2**32 - 2, info["seed"])

    def test_faults_are_4xx_in_its_shape(self):
        for more, statuses in (({"sampler_name": "Nonsense"}, (400, 404, 422)), ({"width": 7}, (400, 422)),
                               ({"steps": 10**9}, (400, 422)), ({"steps": "many"}, (422, 400)), ({"batch_size": 10**6}, (400, 422))):
            with self.subTest(more=more):
                status, answer = self.post("txt2img", {**SMALL, **more})
                self.assertIn(status, statuses, answer)
                self.assertTrue("detail" in answer, answer)

    def test_all_the_lists_answer(self):
        for name in ("cmd-flags", "samplers", "schedulers", "upscalers", "latent-upscale-modes", "sd-models", "sd-vae",
                     "hypernetworks", "face-restorers", "realesrgan-models", "prompt-styles", "embeddings", "scripts",
                     "script-info", "loras", "extensions", "memory", "options", "progress"):
            with self.subTest(name):
                self.assertIsNotNone(self.get(name))
        self.assertNotIn("forge_preset", self.get("options"))
        model = self.get("sd-models")[0]
        for name in ("title", "model_name", "hash", "sha256", "filename", "config"):
            self.assertIn(name, model)
        self.assertFalse((model["filename"] or "").startswith("/"), "a path of the server's")

    def test_idle_progress_is_zero(self):
        progress = self.get("progress")
        self.assertEqual(progress["progress"], 0)
        self.assertEqual(progress["state"]["job_count"], 0)

    def test_a_stranger_neither_sees_nor_interrupts(self):
        done = []
        thread = threading.Thread(target=lambda: done.append(self.post("txt2img", {**SMALL, "steps": 150})))
        thread.start()
        end = time.monotonic() + 30
        while self.get("progress")["progress"] == 0 and time.monotonic() < end:
            time.sleep(0.01)
        self.assertEqual(self.get("progress", key="bela-s-key")["state"]["job_count"], 0)
        self.assertEqual(self.post("interrupt", {}, key="bela-s-key")[0], 200)
        time.sleep(0.1)
        self.assertEqual(self.get("progress")["state"]["job_count"], 1)
        self.assertEqual(self.post("interrupt", {})[0], 200)
        thread.join(60)
        self.assertEqual(done[0][0], 200, done)
        self.assertEqual(size_of(of_base64(done[0][1]["images"][0])), (64, 64))

    def test_png_info(self):
        status, answer = self.post("png-info", {"image": self.draw()["images"][0]})
        self.assertEqual(status, 200)
        self.assertIn("Steps: 3", answer["info"])
        self.assertIn(self.post("png-info", {"image": "nonsense"})[0], (400, 422))
        self.assertIn(self.post("png-info", {"image": "http://127.0.0.1/x.png"})[0], (400, 422))

    def test_basic_names_and_keys_are_taken(self):
        basic = base64.b64encode(b"anna:anna-s-key").decode()
        self.assertTrue(self.server.get("/sdapi/v1/samplers", Authorization=f"Basic {basic}"))
        status, _ = self.server.post("/sdapi/v1/txt2img", SMALL)
        self.assertEqual(status, 401)
