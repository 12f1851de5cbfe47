"""PyPI's `openai`, unmodified, against the server: what its users rely on."""
import io
import time
import unittest
import urllib.request

import openai
from PIL import Image

from images import of_base64, pixels_of, png_of, sample, size_of
from server import Server

KEY = "correct-horse"
QUICK = {"num_inference_steps": 4, "seed": 5}
LONG = {"num_inference_steps": 200, "seed": 5}


def rows_of(png):
    """Of an RGB image."""
    with io.BytesIO(png) as file, Image.open(file) as image:
        data, width = image.convert("RGB").tobytes(), image.width
    return [data[at:at + 3 * width] for at in range(0, len(data), 3 * width)]


class OpenAiClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server(keys={"anna": KEY, "bela": "other-horse"}))
        cls.client = openai.OpenAI(base_url=cls.server.url + "/v1", api_key=KEY, max_retries=0, timeout=120)
        cls.model = cls.client.models.list().data[0].id

    def draw(self, prompt="a fox", extra=QUICK, client=None, **more):
        return (client or self.client).images.generate(prompt=prompt, response_format="b64_json", extra_body=extra, **more)

    def png(self, **more):
        return of_base64(self.draw(**more).data[0].b64_json)

    def test_models_are_listed_and_found(self):
        self.assertEqual(self.client.models.retrieve(self.model).id, self.model)
        with self.assertRaises(openai.NotFoundError):
            self.client.models.retrieve("nobody")

    def test_an_image(self):
        answer = self.draw(model=self.model)
        self.assertEqual(len(answer.data), 1)
        self.assertGreater(answer.created, 1_600_000_000)
        self.assertGreater(min(size_of(of_base64(answer.data[0].b64_json))), 0)

    def test_the_same_request_gives_the_same_image(self):
        self.assertEqual(pixels_of(self.png()), pixels_of(self.png()))
        self.assertNotEqual(pixels_of(self.png()), pixels_of(self.png(extra={**QUICK, "seed": 6})))

    def test_several_images_are_those_of_following_seeds(self):
        both = [of_base64(one.b64_json) for one in self.draw(n=2).data]
        self.assertEqual(len(both), 2)
        self.assertEqual(pixels_of(both[0]), pixels_of(self.png()))
        self.assertEqual(pixels_of(both[1]), pixels_of(self.png(extra={**QUICK, "seed": 6})))

    def test_a_url_can_be_fetched_without_a_key(self):
        answer = self.client.images.generate(prompt="a bee", extra_body=QUICK)
        url = answer.data[0].url
        self.assertTrue(url.startswith(self.server.url + "/"), url)
        self.assertGreater(min(size_of(urllib.request.urlopen(url, timeout=30).read())), 0)

    def test_a_stream_has_partial_images_in_order_and_then_the_image(self):
        steps = {"num_inference_steps": 40, "seed": 5}
        events = list(self.client.images.generate(prompt="a fox", stream=True, partial_images=2, extra_body=steps))
        kinds = [event.type for event in events]
        partials = len(kinds) - 1  # a quick image may have fewer than were asked for, in OpenAI's contract too
        self.assertIn(partials, (1, 2))
        self.assertEqual(kinds, ["image_generation.partial_image"] * partials + ["image_generation.completed"])
        self.assertEqual([event.partial_image_index for event in events[:-1]], list(range(partials)))
        whole = self.png(extra=steps)
        self.assertEqual(pixels_of(of_base64(events[-1].b64_json)), pixels_of(whole))
        self.assertEqual(size_of(of_base64(events[0].b64_json)), size_of(whole))

    def test_a_bad_size_says_so_in_the_error(self):
        for size in ("0x0", "7x7", "99999x99999", "big"):
            with self.subTest(size=size), self.assertRaises(openai.BadRequestError) as caught:
                self.draw(size=size)
            self.assertEqual(caught.exception.param, "size")
            self.assertEqual(caught.exception.type, "invalid_request_error")
            self.assertTrue(caught.exception.code)
            self.assertTrue(caught.exception.request_id)

    def test_an_unknown_field_is_named(self):
        with self.assertRaises(openai.BadRequestError) as caught:
            self.draw(extra={"sed": 1})
        self.assertIn("sed", str(caught.exception))

    def test_an_unknown_model(self):
        with self.assertRaises((openai.NotFoundError, openai.BadRequestError)) as caught:
            self.draw(model="dall-e-9")
        self.assertEqual(caught.exception.code, "model_not_found")

    def test_a_wrong_key(self):
        stranger = openai.OpenAI(base_url=self.server.url + "/v1", api_key="wrong", max_retries=0, timeout=60)
        with self.assertRaises(openai.AuthenticationError) as caught:
            self.draw(client=stranger)
        self.assertNotIn("wrong", str(caught.exception))

    def test_edits_and_variations(self):
        file = ("a.png", sample(), "image/png")
        edited = self.client.images.edit(image=file, prompt="a hat", n=2, response_format="b64_json", extra_body=QUICK)
        self.assertEqual([size_of(of_base64(one.b64_json)) for one in edited.data], [(64, 64)] * 2)
        one = self.client.images.edit(image=[file], prompt="a hat", size="128x64", response_format="b64_json", extra_body=QUICK)
        self.assertEqual(size_of(of_base64(one.data[0].b64_json)), (128, 64))
        varied = self.client.images.create_variation(image=file, response_format="b64_json", extra_body={**QUICK, "strength": 0.3})
        self.assertEqual(size_of(of_base64(varied.data[0].b64_json)), (64, 64))
        self.assertTrue(self.client.images.create_variation(image=file, extra_body=QUICK).data[0].url)
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.images.edit(image=[file, file], prompt="a hat", extra_body=QUICK)
        self.assertIn("image[]", str(caught.exception))
        with self.assertRaises(openai.BadRequestError):
            self.client.images.edit(image=("a.png", b"no picture", "image/png"), prompt="a hat")

    def test_a_mask_says_by_its_transparency_what_is_drawn(self):
        file = ("a.png", sample(), "image/png")
        mask = ("m.png", png_of(64, 64, lambda x, y: (0, 0, 0, 0 if x < 32 else 255), 4), "image/png")
        edited = self.client.images.edit(image=file, mask=mask, prompt="a hat", response_format="b64_json",
                                         extra_body={**QUICK, "mask_blur": 0, "output_format": "png"})
        before, after = rows_of(sample()), rows_of(of_base64(edited.data[0].b64_json))
        self.assertEqual([row[3 * 32:] for row in before], [row[3 * 32:] for row in after])
        self.assertNotEqual([row[:3 * 32] for row in before], [row[:3 * 32] for row in after])
        opaque = ("m.png", sample(), "image/png")
        with self.assertRaises(openai.BadRequestError) as caught:
            self.client.images.edit(image=file, mask=opaque, prompt="a hat", extra_body=QUICK)
        self.assertIn("transparen", str(caught.exception))

    def test_an_edit_can_be_streamed(self):
        file = ("a.png", sample(), "image/png")
        events = list(self.client.images.edit(image=file, prompt="a hat", stream=True, partial_images=1, extra_body=QUICK))
        self.assertEqual(events[-1].type, "image_edit.completed")

    def test_leaving_the_stream_cancels(self):
        started = time.monotonic()
        for _ in self.client.images.generate(prompt="a fox", stream=True, partial_images=3, extra_body=LONG):
            break
        else:
            self.fail("no event came")
        self.client.close()
        type(self).client = openai.OpenAI(base_url=self.server.url + "/v1", api_key=KEY, max_retries=0, timeout=120)
        self.assertTrue(self.server.until_idle(Authorization=f"Bearer {KEY}"), f"still at work {time.monotonic() - started:.1f} s later")

    def test_a_client_that_times_out_leaves_no_work_behind(self):
        hasty = openai.OpenAI(base_url=self.server.url + "/v1", api_key=KEY, max_retries=0, timeout=0.3)
        with self.assertRaises(openai.APITimeoutError):
            self.draw(client=hasty, extra=LONG, n=4)
        hasty.close()
        self.assertTrue(self.server.until_idle(Authorization=f"Bearer {KEY}"))


class NamedServer(unittest.TestCase):
    def test_the_operators_names_are_models_and_gpt_image_answers_in_base64(self):
        with Server("--model-alias", "dall-e-2,gpt-image-1") as server:
            client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0, timeout=120,
                                   default_query={"api-version": "2025-04-01-preview"})
            answer = client.images.generate(model="gpt-image-1", prompt="a fox", background="auto", quality="auto", size="auto",
                                            extra_body=QUICK)
            self.assertGreater(min(size_of(of_base64(answer.data[0].b64_json))), 0)
            self.assertTrue(client.images.generate(model="dall-e-2", prompt="a fox", extra_body=QUICK).data[0].url)
            with self.assertRaises(openai.NotFoundError):
                client.images.generate(model="dall-e-3", prompt="a fox")


class FullServer(unittest.TestCase):
    def test_too_many_are_told_when_to_come_back(self):
        with Server("--max-queue", "2") as server:
            client = openai.OpenAI(base_url=server.url + "/v1", api_key="none", max_retries=0, timeout=120)
            status, job = server.post("/generate", {"prompt": "a fox", "num_images_per_prompt": 2, **LONG}, Prefer="respond-async")
            self.assertEqual(status, 202)
            with self.assertRaises(openai.RateLimitError) as caught:
                client.images.generate(prompt="a fox", response_format="b64_json", extra_body=QUICK)
            self.assertIn(caught.exception.code, ("queue_full", "quota"))
            self.assertEqual(caught.exception.type, "rate_limit_error")
            self.assertGreater(float(caught.exception.response.headers["retry-after"]), 0)
            urllib.request.urlopen(urllib.request.Request(f"{server.url}/jobs/{job['id']}", method="DELETE"), timeout=30)
            self.assertEqual(len(client.images.generate(prompt="a fox", n=2, response_format="b64_json",
                                                        extra_body=QUICK).data), 2)
