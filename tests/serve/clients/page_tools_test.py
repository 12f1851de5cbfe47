"""What the page has beside drawing: gallery, input images and masks, faults at their fields, phone, colours, names."""
import glob
import os
import tempfile
import zipfile

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from browser import Browser, missing
from images import size_of, texts_of


class Tools(Browser):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.cancel_all)
        self.until(lambda: self.text("#model"), "the model's name")

    def field(self, name):
        return self.find("#" + name).get_attribute("value")


class Gallery(Tools):
    def test_reload_keeps_the_history_and_its_parameters(self):
        self.generate(1, prompt="a red apple", negative="blurry", steps=4, guidance=2, scheduler="euler", seed="18446744073709551615")
        self.browser.refresh()
        self.until(lambda: self.count(".gallery img") == 1, "the kept image")
        self.click(".gallery button")
        facts = self.content("#viewer-facts")
        for words in ("18446744073709551615", "blurry", "Euler", "4", "2"):
            self.assertIn(words, facts)
        self.fill(prompt="another", negative="", steps=7, scheduler="pndm", seed="")
        self.click("#viewer-again")
        self.until(lambda: self.field("prompt") == "a red apple", "its settings")
        self.assertEqual([self.field(name) for name in ("negative", "steps", "guidance", "scheduler", "seed")],
                         ["blurry", "4", "2", "euler", "18446744073709551615"])

    def test_images_that_an_earlier_version_kept_are_there(self):
        self.browser.get(self.server.url + "/icon.svg")
        self.browser.execute_async_script("""
          const [done] = arguments, clear = indexedDB.deleteDatabase("inkstone");
          clear.onsuccess = () => {
            const request = indexedDB.open("inkstone", 1);
            request.onupgradeneeded = () => request.result.createObjectStore("pictures", { keyPath: "id", autoIncrement: true });
            request.onsuccess = () => {
              const store = request.result.transaction("pictures", "readwrite").objectStore("pictures");
              for (const seed of ["1", "2"]) store.add({ blob: new Blob(["x"]), parameters: { prompt: "old", seed }, created: 0 });
              store.transaction.oncomplete = () => { request.result.close(); done(); };
            };
          }""")
        self.browser.get(self.server.url)
        self.until(lambda: self.count(".gallery button") == 2, "both")
        self.generate(3, prompt="a new one", steps=4, seed=3)
        self.assertEqual(self.kept_seeds(), [1, 2, 3])

    def test_download(self):
        self.generate(1, prompt="A Bee!", steps=4, seed=3)
        self.click("#viewer-save")
        path = os.path.join(self.folder, "a-bee-3.png")
        self.until(lambda: os.path.exists(path) and not glob.glob(self.folder + "/*.crdownload"), path)
        with open(path, "rb") as file:
            png = file.read()
        self.assertGreater(min(size_of(png)), 0)
        self.assertIn("Seed: 3", texts_of(png)["parameters"])

    def test_all_are_downloaded_as_one_archive(self):
        self.generate(3, prompt="a bee", steps=4, seed=5, count=3)
        self.click("#kept-zip")
        path = os.path.join(self.folder, "inkstone-images.zip")
        self.until(lambda: os.path.exists(path) and not glob.glob(self.folder + "/*.crdownload"), path)
        with zipfile.ZipFile(path) as archive:
            self.assertIsNone(archive.testzip())
            self.assertEqual(sorted(archive.namelist()), ["a-bee-5.png", "a-bee-6.png", "a-bee-7.png"])
            self.assertIn("Seed: 6", texts_of(archive.read("a-bee-6.png"))["parameters"])

    def test_words_find_images(self):
        self.generate(1, prompt="a red apple", steps=4, seed=11)
        self.generate(2, prompt="a blue heart", steps=4, seed=12)
        for words, seeds in (("red", [11]), ("a", [11, 12]), ("heart blue", [12]), ("12", [12]), ("nowhere", [])):
            self.find("#search").clear()
            self.find("#search").send_keys(words)
            self.until(lambda: self.kept_seeds() == seeds, f"{seeds} of {words}")
        self.assertIn("None has these words", self.text("#kept-none"))

    def test_deleting_can_be_undone(self):
        self.generate(1, prompt="a fox", steps=4, seed=1)
        self.generate(2, prompt="a bee", steps=4, seed=2)
        self.click("#viewer-remove")
        self.until(lambda: self.kept_seeds() == [1], "one left")
        self.click("#toast-undo")
        self.until(lambda: self.kept_seeds() == [1, 2], "both again")
        self.assertEqual(self.find(".gallery button").get_attribute("aria-label"), "a bee, seed 2", "where it was")
        self.click("#forget")
        self.find("#sure-no").click()
        self.assertEqual(self.count(".gallery img"), 2)
        self.click("#forget")
        self.find("#sure-yes").click()
        self.until(lambda: self.count(".gallery img") == 0, "none left")
        self.assertTrue(self.find("#welcome").is_displayed())

    def test_arrows_go_through_the_images_and_new_seeds_come_at_once(self):
        self.generate(1, prompt="a fox", steps=4, seed=1)
        self.generate(2, prompt="a bee", steps=4, seed=2)
        self.assertEqual(self.text("#viewer-title"), "a bee")
        self.script("document.activeElement.blur()")
        self.find("body").send_keys(Keys.ARROW_RIGHT)
        self.until(lambda: self.text("#viewer-title") == "a fox", "the older one")
        self.assertFalse(self.find("#viewer-next").is_enabled())
        self.click("#more summary")
        self.click("#viewer-seed")
        self.until(lambda: self.count(".gallery img") == 3, "another")
        self.until(lambda: self.text("#viewer-title") == "a fox", "it stands large")
        self.assertNotIn(1, [int(self.find(".gallery button").get_attribute("aria-label").split()[-1])])
        self.assertIn("4", self.content("#viewer-facts"))

    def test_a_file_brings_its_settings_back(self):
        self.generate(1, prompt="a fox, (red:1.2)", negative="blurry", steps=5, scheduler="euler", seed=9)
        self.click("#viewer-save")
        path = os.path.join(self.folder, "a-fox-red-1-2-9.png")
        self.until(lambda: os.path.exists(path) and not glob.glob(self.folder + "/*.crdownload"), path)
        self.fill(prompt="other", negative="", steps=8, scheduler="pndm", seed="")
        self.find("#source-file").send_keys(path)
        if not self.script("return document.getElementById('source').classList.contains('absent')"):
            self.until(lambda: self.find("#source-settings").is_displayed(), "the offer")
            self.click("#source-settings")
        self.until(lambda: self.field("prompt") == "a fox, (red:1.2)", "its settings")
        self.assertEqual([self.field(name) for name in ("negative", "steps", "scheduler", "seed")], ["blurry", "5", "euler", "9"])


class Form(Tools):
    def test_a_fault_stands_at_its_field(self):
        self.fill(prompt="a fox", steps=4)
        self.script("document.getElementById('width').removeAttribute('max')")
        multiple = int(self.find("#width").get_attribute("step"))
        self.fill(width=multiple * 1000)
        self.script("document.getElementById('settings').open = false")
        self.click("#generate")
        self.until(lambda: self.count("#fault-width"), "the server's reason")
        self.assertTrue(self.find("#fault-width").is_displayed(), "its fold is open")
        self.assertIn("width", self.text("#fault-width").lower())
        self.assertEqual(self.find("#width").get_attribute("aria-invalid"), "true")
        self.assertEqual(self.browser.switch_to.active_element.get_attribute("id"), "width")
        self.assertEqual((self.count(".order"), self.unfinished_records()), (0, 0))
        self.fill(width=multiple * 16)
        self.assertEqual(self.count("#fault-width"), 0)

    def test_what_the_browser_can_tell_is_told_before_it_is_sent(self):
        before = len(self.server.get("/jobs?limit=100")["jobs"])
        self.click("#generate")
        self.assertEqual(self.count("#fault-prompt"), 1)
        self.fill(prompt="a fox", steps=0)
        self.click("#generate")
        self.assertEqual((self.count("#fault-prompt"), self.count("#fault-steps")), (0, 1))
        self.assertEqual(len(self.server.get("/jobs?limit=100")["jobs"]), before)

    def test_shapes_are_of_the_models_size_and_changed_settings_show_when_folded(self):
        info = self.server.get("/v1/info")
        defaults, limits = info["defaults"], info["limits"]
        for shape, wider in (("wide", 1), ("tall", -1), ("square", 0)):
            self.script("document.getElementById(arguments[0]).click()", "shape-" + shape)
            width, height = int(self.field("width")), int(self.field("height"))
            self.assertEqual((width > height) - (width < height), wider)
            self.assertEqual((width % limits["size_multiple"], height % limits["size_multiple"]), (0, 0))
            self.assertLessEqual(width * height, defaults["width"] * defaults["height"])
        self.assertEqual((width, height), (defaults["width"], defaults["height"]))
        self.assertEqual(self.count(".chip"), 0)
        self.fill(steps=33, scheduler="euler", seed=5)
        self.script("document.getElementById('settings').open = false")
        chips = "return [...document.querySelectorAll('.chip')].map((chip) => chip.textContent)"
        self.until(lambda: self.script(chips) == ["33 steps", "Euler", "seed 5"], "the three")

    def test_the_form_survives_a_reload(self):
        self.fill(prompt="half a thought", steps=9, schedule="trailing")
        self.browser.refresh()
        self.until(lambda: self.field("steps") == "9", "the steps")
        self.assertEqual((self.field("prompt"), self.field("schedule")), ("half a thought", "trailing"))

    def test_what_the_server_lacks_is_not_offered(self):
        self.browser.execute_async_script("""
          const done = arguments[0], before = window.fetch;
          window.fetch = async (url, ...more) => {
            const reply = await before(url, ...more);
            if (!String(url).endsWith('openapi.json')) return reply;
            const text = await reply.text();
            return new Response(text.replace(/"(image|mask|hires|schedule)":\\{"type"/g, '"no_$1":{"type"'));
          };
          import(new URL('abilities.js', document.baseURI)).then(({ learnAbilities }) => learnAbilities()).then(done);""")
        self.unfold()
        for gone in ("#source", "#viewer-input", "#hires-fields", "#schedule"):
            self.assertFalse(self.find(gone).is_displayed(), gone)
        self.assertTrue(self.find("#clip_skip").is_displayed())
        self.generate(1, prompt="a fox", steps=4)

    def test_examples_fill_the_prompt(self):
        self.until(lambda: self.find("#welcome").is_displayed(), "the examples")
        self.click("#examples button")
        self.assertEqual(self.field("prompt"), self.text("#examples button"))
        self.assertEqual(self.browser.switch_to.active_element.get_attribute("id"), "prompt")


class Models(Browser):
    """Of a server with two models, and adapters for one of them."""

    @classmethod
    def setUpClass(cls):
        source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../..")
        folder = cls.enterClassContext(tempfile.TemporaryDirectory(prefix="inkstone_models_"))
        for kind, files in (("models", ("demo/model", "tests/fixtures/models/tiny-sd15")), ("loras", ("tests/fixtures/adapters/lora.safetensors",))):
            os.mkdir(os.path.join(folder, kind))
            for file in files:
                os.symlink(os.path.join(source, file), os.path.join(folder, kind, os.path.basename(file)))
        cls.flags = ("--models", folder + "/models", "--lora-dir", folder + "/loras")
        super().setUpClass()

    def test_a_model_brings_its_defaults_and_adapters_are_drawn_with(self):
        self.addCleanup(self.cancel_all)
        self.until(lambda: self.count("#which option") == 2, "both models")
        self.assertEqual(self.find("#width").get_attribute("value"), "64")
        first = self.find("#which").get_attribute("value")
        self.fill(which="tiny-sd15")
        self.until(lambda: self.find("#width").get_attribute("value") == "32", "its size")
        self.fill(**{"adapter-add": "lora"})
        self.until(lambda: self.count("#adapter-rows li") == 1, "the adapter")
        strength = self.find("#adapter-0")
        strength.clear()
        strength.send_keys("0.5", Keys.TAB)
        self.generate(1, prompt="a fox", steps=3, seed=5)
        facts = self.content("#viewer-facts")
        self.assertIn("lora:0.5", facts)
        self.assertIn("tiny-sd15", facts)
        self.fill(which=first)
        self.until(lambda: self.find("#width").get_attribute("value") == "64", "the other's size")
        self.click("#viewer-again")
        self.until(lambda: self.find("#which").get_attribute("value") == "tiny-sd15", "its model")
        self.until(lambda: self.find("#adapter-0").get_attribute("value") == "0.5", "its adapter")
        self.browser.refresh()
        self.until(lambda: self.find("#which").get_attribute("value") == "tiny-sd15", "the model is remembered")
        self.assertEqual(self.count("#adapter-rows li"), 1)


class Look(Tools):
    def test_on_a_phone_nothing_is_wider_than_the_screen_and_generate_is_in_reach(self):
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                     {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True})
        self.generate(1, prompt="a fox", steps=4)
        self.unfold()
        wide = "return [document.documentElement.scrollWidth, innerWidth]"
        self.assertEqual(self.script(wide), [360, 360])
        for place in (0, 400, 9999):
            bottom = self.script("scrollTo({top: arguments[0], behavior: 'instant'}); return document.getElementById('generate').getBoundingClientRect().bottom", place)
            self.assertLessEqual(bottom, 740)
        self.script("document.getElementById('server').open = document.getElementById('more').open = true")
        self.assertEqual(self.script(wide), [360, 360])

    def contrasts(self):
        """(what, its contrast) of texts and edges as they are computed now."""
        return self.script("""
          const parse = (text) => text.match(/[\\d.]+/g).map(Number);
          const light = (rgb) => rgb.slice(0, 3).map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
            .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
          const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
          const ground = (element) => {
            for (; element; element = element.parentElement) {
              const rgb = parse(getComputedStyle(element).backgroundColor);
              if (rgb.length < 4 || rgb[3] === 1) return light(rgb);
            }
            return 1;
          };
          const found = [];
          for (const element of document.querySelectorAll("label, legend, p, h2, h3, button, summary, dt, dd, .chip, input, textarea, select")) {
            if (!element.checkVisibility() || !element.getClientRects().length || element.disabled || element.closest(".over")) continue;
            const style = getComputedStyle(element), inside = ground(element);
            found.push([`text of ${element.tagName}#${element.id}`, ratio(light(parse(style.color)), inside), 4.5]);
            if (!element.matches("textarea, input:not([type=range], [type=radio], [type=checkbox], [type=file]), select")) continue;
            found.push([`edge of #${element.id}`, ratio(light(parse(style.borderTopColor)), ground(element.parentElement)), 3]);
            found.push([`placeholder of #${element.id}`, ratio(light(parse(getComputedStyle(element, "::placeholder").color)), inside), 4.5]);
          }
          return found;""")

    def test_light_and_dark_can_be_read(self):
        self.generate(1, prompt="a fox", steps=4)
        self.unfold()
        grounds = []
        for scheme in ("light", "dark"):
            self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [
                {"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]})
            found = self.contrasts()
            self.assertGreater(len(found), 30)
            self.assertEqual([one for one in found if one[1] < one[2]], [], scheme)
            grounds.append(self.script("return getComputedStyle(document.body).backgroundColor"))
        self.assertNotEqual(*grounds)
        for _ in range(2):  # the button: the system's, light, dark
            grounds.append(self.script("document.getElementById('theme').click(); return getComputedStyle(document.body).backgroundColor"))
        self.assertEqual(grounds[2:], grounds[:2])
        self.browser.refresh()
        self.assertEqual(self.script("return document.documentElement.dataset.theme"), "dark")

    def test_every_control_has_a_name_for_those_who_hear_the_page(self):
        self.generate(1, prompt="a fox", steps=4)
        self.unfold()
        self.script("""for (const fold of document.querySelectorAll('details')) fold.open = true;
          for (const part of document.querySelectorAll('[hidden], .absent'))
            if (!part.matches('dialog, #dropping, #banner, .order *')) { part.hidden = false; part.classList.remove('absent'); }
          document.getElementById('editor').show();""")
        roles = ("button", "textbox", "searchbox", "combobox", "spinbutton", "slider", "checkbox", "radio", "link", "dialog",
                 "application", "DisclosureTriangle", "progressbar")
        nodes = self.browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        seen = [node for node in nodes if not node.get("ignored") and node.get("role", {}).get("value") in roles]
        self.assertGreater(len(seen), 40)
        self.assertEqual([node["role"]["value"] for node in seen if not node.get("name", {}).get("value", "").strip()], [])
        ids = self.script("return [...document.querySelectorAll('[id]')].map((element) => element.id)")
        self.assertEqual(len(ids), len(set(ids)), "an id stands twice")
        broken = self.script("""
          return [...document.querySelectorAll('[for], [aria-labelledby], [aria-describedby]')].flatMap((element) =>
            ['for', 'aria-labelledby', 'aria-describedby'].flatMap((name) => (element.getAttribute(name) ?? '').split(' ').filter(Boolean)))
            .filter((id) => !document.getElementById(id))""")
        self.assertEqual(broken, [])

    def test_it_asks_no_other_host_and_says_what_happens(self):
        self.script("""
          window.heard = [];
          new MutationObserver(() => heard.push(document.getElementById('said').textContent)).observe(document.getElementById('said'), { childList: true })""")
        self.generate(1, prompt="a fox", steps=4)
        asked = self.script("return performance.getEntriesByType('resource').map((entry) => entry.name)")
        self.assertGreater(len(asked), 10)
        self.assertEqual([url for url in asked if not url.startswith((self.server.url + "/", "data:", "blob:" + self.server.url))], [])
        self.assertIn("Done: 1 image of a fox", self.script("return heard"))

    def test_the_corner_tells_operators_of_the_server(self):
        self.click("#server summary")
        self.until(lambda: "Room in the queue" in self.text("#server-facts"), "the facts")
        self.assertIn("cpu", self.text("#server-facts"))


class Inputs(Tools):
    """Of a server that draws from images."""

    def setUp(self):
        super().setUp()
        self.generate(1, prompt="a fox on a teal background", steps=6, seed=42)
        self.click("#viewer-input")
        self.until(lambda: self.find("#source-filled").is_displayed(), "the input image")

    def paint(self, *strokes):
        """Each stroke: from, to; parts of the mask's width and height."""
        canvas = self.find("#mask")
        width, height = canvas.rect["width"], canvas.rect["height"]
        for (x0, y0), (x1, y1) in strokes:
            ActionChains(self.browser, duration=0).move_to_element_with_offset(canvas, int((x0 - .5) * width), int((y0 - .5) * height)) \
                .click_and_hold().move_by_offset(int((x1 - x0) * width), int((y1 - y0) * height)).release().perform()

    def open_editor(self):
        self.click("#source-paint")
        self.until(lambda: self.find("#editor").is_displayed(), "the editor")

    def close_editor(self):
        self.find("#editor-done").click()
        self.until(lambda: not self.find("#editor").is_displayed(), "its end")

    def mask(self):
        """Width, height and the pixels' red, row by row, of the mask that would be sent; None: there is none."""
        return self.browser.execute_async_script("""
          const done = arguments[0], image = document.getElementById('source-mask');
          if (image.hidden) return void done(null);
          image.decode().then(() => {
            const canvas = Object.assign(document.createElement('canvas'), { width: image.naturalWidth, height: image.naturalHeight });
            const context = canvas.getContext('2d');
            context.drawImage(image, 0, 0);
            const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
            done([canvas.width, canvas.height, [...data].filter((_, i) => i % 4 === 0)]);
          });""")

    def share(self):
        width, height, red = self.mask()
        return sum(red) / 255 / (width * height)

    def test_a_mask_is_white_where_it_was_painted_and_as_large_as_the_image(self):
        self.open_editor()
        self.paint(((.25, .5), (.75, .5)))
        self.close_editor()
        width, height, red = self.mask()
        size = self.script("const i = document.getElementById('source-image'); return [i.naturalWidth, i.naturalHeight]")
        self.assertEqual([width, height], size)
        at = lambda x, y: red[int(y * height) * width + int(x * width)]
        for x in (.27, .4, .5, .6, .73):
            self.assertEqual(at(x, .5), 255, x)
        for spot in ((.05, .05), (.5, .1), (.5, .9), (.95, .5), (.05, .5)):
            self.assertEqual(at(*spot), 0, spot)

    def test_undo_invert_clear_and_eraser(self):
        self.open_editor()
        self.paint(((.3, .3), (.6, .3)))
        self.paint(((.3, .7), (.6, .7)))
        self.close_editor()
        two = self.share()
        self.open_editor()
        self.paint(((.3, .5), (.6, .5)))
        self.find("#mask").send_keys(Keys.CONTROL, "z")
        self.close_editor()
        self.assertAlmostEqual(self.share(), two, 2, "the third stroke is undone")
        self.open_editor()
        self.find("#mask-invert").click()
        self.close_editor()
        self.assertAlmostEqual(self.share(), 1 - two, 2)
        self.open_editor()
        self.find("#mask-invert").click()
        self.find("#tool-eraser").click()
        self.paint(((.2, .3), (.7, .3)))
        self.close_editor()
        self.assertLess(self.share(), two * .7)
        self.assertGreater(self.share(), two * .3)
        self.open_editor()
        self.find("#mask-clear").click()
        self.close_editor()
        self.assertIsNone(self.mask(), "an empty mask is none")

    def test_a_mask_is_painted_by_the_keyboard(self):
        self.open_editor()
        self.find("#mask").send_keys(" ", Keys.ARROW_RIGHT, " ")
        self.close_editor()
        self.assertGreater(self.share(), 0)

    def draw(self, kept, **fields):
        self.generate(kept, **fields)
        entry = self.browser.execute_async_script("""
          const done = arguments[0];
          import(new URL('kept.js', document.baseURI)).then(async ({ keptImages }) => {
            const [{ parameters, inputs }] = await keptImages();
            done({ parameters, inputs: Object.keys(inputs ?? {}).sort() });
          });""")
        return entry["parameters"], entry["inputs"]

    def test_an_image_is_drawn_from_the_input_with_its_mask_and_compared(self):
        self.open_editor()
        self.paint(((.3, .5), (.7, .5)))
        self.close_editor()
        self.script("const s = document.getElementById('strength'); s.value = 0.8; s.dispatchEvent(new Event('input', { bubbles: true }))")
        parameters, inputs = self.draw(2, steps=6, seed=7)
        self.assertEqual(inputs, ["image", "mask"])
        self.assertEqual(parameters["strength"], 0.8)
        self.assertEqual(self.pixels("viewer-image", [(.1, .1), (.9, .1), (.5, .9)]), self.pixels("compare-before", [(.1, .1), (.9, .1), (.5, .9)]),
                         "what was not painted is as it was")
        self.click("#viewer-compare")
        self.assertTrue(self.find("#compare").is_displayed())
        self.find("#compare-slider").send_keys(Keys.HOME)
        self.assertEqual(self.script("return document.getElementById('compare').style.getPropertyValue('--divide')"), "0%")
        self.click("#source-remove")
        self.click("#viewer-again")
        self.until(lambda: self.find("#source-filled").is_displayed() and self.mask(), "its input and mask again")
        self.assertEqual(self.field("strength"), "0.8")

    def test_an_image_is_drawn_from_the_input_alone(self):
        self.script("const s = document.getElementById('strength'); s.value = 0.3; s.dispatchEvent(new Event('input', { bubbles: true }))")
        parameters, inputs = self.draw(2, steps=10, seed=7)
        self.assertEqual((inputs, parameters["strength"]), (["image"], 0.3))
        self.assertLess(self.difference(), 40, "it is near its input")

    def pixels(self, image, spots):
        return self.browser.execute_async_script("""
          const [id, spots, done] = arguments, image = document.getElementById(id);
          image.decode().then(() => {
            const canvas = Object.assign(document.createElement('canvas'), { width: image.naturalWidth, height: image.naturalHeight });
            const context = canvas.getContext('2d');
            context.drawImage(image, 0, 0);
            done(spots.map(([x, y]) => [...context.getImageData(x * canvas.width, y * canvas.height, 1, 1).data]));
          });""", image, spots)

    def difference(self):
        """The mean difference of the image that is shown from its input, of 255."""
        return self.browser.execute_async_script("""
          const done = arguments[0];
          const pixels = async (image) => {
            await image.decode();
            const canvas = Object.assign(document.createElement('canvas'), { width: 32, height: 32 });
            const context = canvas.getContext('2d');
            context.drawImage(image, 0, 0, 32, 32);
            return context.getImageData(0, 0, 32, 32).data;
          };
          const shown = ['viewer-image', 'compare-before'].map((id) => document.getElementById(id));
          Promise.all(shown.map(pixels)).then(([a, b]) => done(a.reduce((sum, value, i) => sum + Math.abs(value - b[i]), 0) / a.length));""")

    def test_vary_draws_from_the_image_with_a_new_seed(self):
        self.click("#source-remove")
        self.click("#viewer-vary")
        self.until(lambda: self.count(".gallery img") == 2, "another")
        self.assertNotEqual(len(set(self.kept_seeds())), 1)
        self.until(lambda: self.find("#viewer-compare").is_displayed(), "it can be compared")

    def test_handles_and_fields_extend_the_image(self):
        self.open_editor()
        handle = self.find("#handle-left")
        ActionChains(self.browser, duration=0).click_and_hold(handle).move_by_offset(-80, 0).release().perform()
        self.find("#handle-top").send_keys(Keys.ARROW_UP, Keys.ARROW_UP)
        self.close_editor()
        self.unfold()
        left = int(self.field("out-left"))
        self.assertGreater(left, 0)
        self.assertEqual((left % 8, self.field("out-top"), self.field("out-right")), (0, "16", ""))
        self.assertEqual(self.field("strength"), "1", "nothing is seen there")
        parameters, _ = self.draw(2, steps=6, seed=8)
        self.assertIn(f"left={left}", str(parameters["outpaint"]))
        size = "const image = document.getElementById(arguments[0]); return [image.naturalWidth, image.naturalHeight]"
        width, height = self.script(size, "source-image")
        self.assertEqual(self.script(size, "viewer-image"), [width + left, height + 16])

    def test_a_pasted_image_becomes_the_input(self):
        self.click("#source-remove")
        self.script("""
          const canvas = Object.assign(document.createElement('canvas'), { width: 40, height: 24 });
          canvas.toBlob((blob) => {
            const data = new DataTransfer();
            data.items.add(new File([blob], 'pasted.png', { type: 'image/png' }));
            dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true }));
          });""")
        self.until(lambda: self.find("#source-filled").is_displayed(), "the input image")
        self.assertIn("40 × 24", self.text("#source-size"))
        self.assertEqual(self.count("#shape-own:checked"), 1, "its shape is the image's")

    def test_an_order_with_an_input_survives_a_reload(self):
        self.begin(prompt="a fox", steps=60, seed=20, count=2)
        self.browser.refresh()
        self.until(lambda: self.count(".gallery img") == 3, "both images")
        self.assertEqual(self.kept_seeds(), [20, 21, 42])
        left = self.browser.execute_async_script("""
          const done = arguments[0];
          const request = indexedDB.open('inkstone');
          request.onsuccess = () => {
            const count = request.result.transaction('inputs').objectStore('inputs').count();
            count.onsuccess = () => { request.result.close(); done(count.result); };
          };""")
        self.assertEqual(left, 0, "what it began with is not kept twice")
