"""PyPI's `webuiapi`, unmodified: AUTOMATIC1111's API as its Python users call it."""
import os
import sys
import tempfile
import threading
import time
import unittest
from urllib.parse import urlsplit

import webuiapi
from PIL import Image

from server import Server

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../program"))
from tiny_upscaler import write_upscaler

QUICK = {"steps": 4, "seed": 5, "width": 64, "height": 64, "cfg_scale": 3}


def difference(a, b):
    """Of all bytes together."""
    return sum(abs(x - y) for x, y in zip(a.convert("RGB").tobytes(), b.convert("RGB").tobytes()))


class WebUiClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="inkstone_webuiapi_"))
        write_upscaler(os.path.join(folder, "tiny_x4.safetensors"), 2)
        cls.server = cls.enterClassContext(Server("--upscaler", os.path.join(folder, "tiny_x4.safetensors")))
        place = urlsplit(cls.server.url)
        cls.api = webuiapi.WebUIApi(host=place.hostname, port=place.port)

    def test_an_image_of_the_size_that_was_asked_for(self):
        result = self.api.txt2img(prompt="a fox", **QUICK)
        self.assertEqual(result.image.size, (64, 64))
        self.assertEqual(result.info["seed"], 5)
        self.assertEqual(result.info["all_seeds"], [5])
        self.assertIn("Steps: 4", result.info["infotexts"][0])

    def test_a_batch_has_following_seeds_and_the_same_images_as_alone(self):
        batch = self.api.txt2img(prompt="a fox", batch_size=2, **QUICK)
        self.assertEqual(batch.info["all_seeds"], [5, 6])
        for image, seed in zip(batch.images, (5, 6)):
            alone = self.api.txt2img(prompt="a fox", **{**QUICK, "seed": seed}).image
            self.assertEqual(image.tobytes(), alone.tobytes())

    def test_samplers_that_it_lists_draw(self):
        names = [sampler["name"] for sampler in self.api.get_samplers()]
        self.assertIn("Euler a", names)
        for name in names:
            with self.subTest(sampler=name):
                self.assertEqual(len(self.api.txt2img(prompt="a bee", sampler_name=name, **QUICK).images), 1)

    def test_a_sampler_with_its_schedule_in_the_name(self):
        self.assertEqual(len(self.api.txt2img(prompt="a bee", sampler_name="DPM++ 2M Karras", **QUICK).images), 1)

    def test_an_unknown_sampler_is_an_error(self):
        for name in ("Nonsense", "Restart"):  # the latter exists elsewhere and would draw another image
            with self.subTest(name), self.assertRaises(RuntimeError):
                self.api.txt2img(prompt="a bee", sampler_name=name, **QUICK)

    def test_the_schedules_that_it_lists_draw_with_euler_a(self):
        drawn = set()
        for schedule in self.api.get_schedulers():
            result = self.api.txt2img(prompt="a bee", sampler_name="Euler a", scheduler=schedule["name"], **QUICK)
            self.assertEqual(result.info["warnings"], [])
            drawn.add(result.image.tobytes())
        self.assertGreater(len(drawn), 6, "automatic is uniform, and polyexponential exponential; the others differ")

    def test_the_nearest_sampler_is_taken_and_said(self):
        near = self.api.txt2img(prompt="a bee", sampler_name="DPM fast", scheduler="karras", **QUICK)
        self.assertIn("DPM fast", near.info["warnings"][0])
        self.assertEqual(near.info["sampler_name"], "DPM++ 2M")
        same = self.api.txt2img(prompt="a bee", sampler_name="DPM++ 2M", scheduler="karras", **QUICK)
        self.assertEqual(near.image.tobytes(), same.image.tobytes())

    def test_weights_count_and_networks_that_are_not_there_are_refused(self):
        plain, weighted = (self.api.txt2img(prompt=prompt, **QUICK) for prompt in ("a bee", "a (bee:1.6)"))
        self.assertEqual(weighted.info["warnings"], [])
        self.assertNotEqual(plain.image.tobytes(), weighted.image.tobytes())
        with self.assertRaises(RuntimeError):
            self.api.txt2img(prompt="a bee <lora:foo:0.8>", **QUICK)

    def test_the_lists_are_there(self):
        self.assertTrue(self.api.get_sd_models()[0]["title"])
        for get in (self.api.get_schedulers, self.api.get_upscalers, self.api.get_latent_upscale_modes, self.api.get_cmd_flags,
                    self.api.get_hypernetworks, self.api.get_face_restorers, self.api.get_realesrgan_models,
                    self.api.get_prompt_styles, self.api.get_embeddings, self.api.get_memory, self.api.get_scripts):
            with self.subTest(get.__name__):
                self.assertIsNotNone(get())

    def test_options_go_there_and_back(self):
        self.api.set_options({"send_seed": False})
        self.assertIs(self.api.get_options()["send_seed"], False)
        self.api.set_options({"send_seed": True})
        self.assertIs(self.api.get_options()["send_seed"], True)

    def test_progress_is_the_callers_and_interrupt_gives_the_image_early(self):
        self.api.util_wait_for_ready(check_interval=0.05)
        results = []
        thread = threading.Thread(target=lambda: results.append(
            self.api.txt2img(prompt="a fox", **{**QUICK, "steps": 200})))
        thread.start()
        end, seen = time.monotonic() + 30, 0
        while seen == 0 and time.monotonic() < end:
            seen = self.api.get_progress()["progress"]
            time.sleep(0.01)
        self.assertGreater(seen, 0)
        self.api.interrupt()
        thread.join(60)
        self.assertEqual(len(results), 1)
        self.assertEqual(results[0].image.size, (64, 64))
        self.api.util_wait_for_ready(check_interval=0.05)
        self.assertEqual(self.api.get_progress()["state"]["job_count"], 0)

    def test_img2img(self):
        image = self.api.txt2img(prompt="a fox", **QUICK).image
        low, high = (self.api.img2img(images=[image], prompt="a bee", denoising_strength=d, **QUICK) for d in (0.3, 0.9))
        self.assertEqual(low.image.size, (64, 64))
        self.assertAlmostEqual(low.info["denoising_strength"], 0.3, 5)
        self.assertLess(difference(low.image, image), difference(high.image, image))
        larger = self.api.img2img(images=[image], prompt="a bee", resize_mode=1, **{**QUICK, "width": 128})
        self.assertEqual(larger.image.size, (128, 64))
        with self.assertRaises(RuntimeError):
            self.api.img2img(images=[image, image], prompt="a bee", **QUICK)
        with self.assertRaises(RuntimeError):
            self.api.img2img(images=[], prompt="a bee", **QUICK)

    def test_inpainting_leaves_the_rest_as_it_was(self):
        image = self.api.txt2img(prompt="a fox", **QUICK).image
        mask = Image.new("RGB", (64, 64))
        mask.paste((255, 255, 255), (0, 0, 32, 64))
        for more in ({"inpaint_full_res": False}, {"inpaint_full_res": True, "inpaint_full_res_padding": 8},
                     {"inpaint_full_res": False, "inpainting_fill": 1}):
            with self.subTest(**more):
                drawn = self.api.img2img(images=[image], mask_image=mask, mask_blur=0, prompt="a bee", **more, **QUICK).image
                kept = (32, 0, 64, 64)
                self.assertEqual(drawn.convert("RGB").crop(kept).tobytes(), image.convert("RGB").crop(kept).tobytes())
                self.assertGreater(difference(drawn, image), 0)
        other = self.api.img2img(images=[image], mask_image=mask, mask_blur=0, inpainting_mask_invert=1, prompt="a bee",
                                 inpaint_full_res=False, **QUICK).image
        self.assertEqual(other.convert("RGB").crop((0, 0, 32, 64)).tobytes(), image.convert("RGB").crop((0, 0, 32, 64)).tobytes())

    def test_hires_fix_and_extras_by_a_network(self):
        self.assertEqual({row["name"]: row["scale"] for row in self.api.get_upscalers()}["tiny_x4"], 4)
        image = self.api.txt2img(prompt="a fox", enable_hr=True, hr_scale=1.5, hr_upscaler="tiny_x4", denoising_strength=0.5, **QUICK).image
        self.assertEqual(image.size, (96, 96))
        single = self.api.extra_single_image(image, upscaler_1="tiny_x4", upscaling_resize=2)
        self.assertEqual(single.image.size, (192, 192))
        self.assertGreater(difference(single.image, image.resize((192, 192), Image.LANCZOS)), 0)
        batch = self.api.extra_batch_images([image, image.resize((32, 48))], upscaler_1="tiny_x4", upscaling_resize=2)
        self.assertEqual([one.size for one in batch.images], [(192, 192), (64, 96)])
        self.assertEqual(batch.images[0].tobytes(), single.image.tobytes())
        with self.assertRaises(RuntimeError):
            self.api.extra_single_image(image, upscaler_1="no such upscaler")

    def test_png_info_reads_what_it_wrote(self):
        image = self.api.txt2img(prompt="a fox", **QUICK).image
        self.assertIn("a fox", self.api.png_info(image).info)


class WebUiControlNet(unittest.TestCase):
    """The ControlNet extension's units, with a model and a ControlNet of the fixtures."""

    @classmethod
    def setUpClass(cls):
        fixtures = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../fixtures")
        cls.server = cls.enterClassContext(Server("--model", os.path.join(fixtures, "models/tiny-sd15"), "--control",
                                                  os.path.join(fixtures, "control/edges")))
        place = urlsplit(cls.server.url)
        cls.api = webuiapi.WebUIApi(host=place.hostname, port=place.port)
        cls.hint = Image.open(os.path.join(fixtures, "control_0.png"))

    def drawn(self, *units, **more):
        return self.api.txt2img(prompt="a fox", controlnet_units=list(units), **{**QUICK, **more}).image

    def test_it_lists_the_controlnets_and_draws_with_one(self):
        self.assertEqual(self.api.controlnet_model_list(), ["edges"])
        free = self.drawn()
        held = self.drawn(webuiapi.ControlNetUnit(image=self.hint, model="edges"))
        self.assertGreater(difference(free, held), 0)
        self.assertEqual(self.drawn(webuiapi.ControlNetUnit(image=self.hint, model="edges", weight=0.0)).tobytes(), free.tobytes())
        self.assertEqual(self.drawn(webuiapi.ControlNetUnit(image=self.hint, model="edges", enabled=False)).tobytes(), free.tobytes())

    def test_a_unit_without_an_image_takes_img2imgs(self):
        alone = self.api.img2img(images=[self.hint], prompt="a fox", controlnet_units=[webuiapi.ControlNetUnit(model="edges")], **QUICK).image
        said = self.api.img2img(images=[self.hint], prompt="a fox",
                                controlnet_units=[webuiapi.ControlNetUnit(image=self.hint, model="edges")], **QUICK).image
        self.assertEqual(alone.tobytes(), said.tobytes())

    def test_what_is_not_here_is_an_error(self):
        for wrong in ({"model": "depth"}, {"model": "edges", "module": "canny"}, {"model": "edges", "control_mode": 2}):
            with self.subTest(**wrong), self.assertRaises(RuntimeError):
                self.drawn(webuiapi.ControlNetUnit(image=self.hint, **wrong))
