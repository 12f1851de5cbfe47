"""The page in headless Chromium: type, watch, cancel, download, come back; lost connections, two tabs, a phone, a key."""
import glob
import os
import re
import shutil
import signal
import tempfile
import time
import unittest

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from images import size_of, texts_of
from server import Server

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
WAIT_SECONDS = 240  # a machine may be busy


def missing():
    return "" if BROWSER and DRIVER else "chromium and chromium-driver are not there"


class Browser(unittest.TestCase):
    keys = None
    expected = ()  # what the browser's log may say
    flags = ()
    path = ""

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server(*cls.flags, keys=cls.keys))

    def setUp(self):
        self.folder = self.enterContext(tempfile.TemporaryDirectory(prefix="inkstone_page_"))
        self.browser = self.open_browser()
        self.addCleanup(self.browser.quit)
        self.browser.get(self.server.url + self.path)

    def cancel_all(self):  # orders outlive their page
        for job in self.server.get("/jobs?limit=100")["jobs"]:
            if job["status"] in ("queued", "running"):
                self.server.delete(f"/jobs/{job['id']}")

    def tearDown(self):  # a broken policy or script says so here; a refusal that a test asked for is none
        said = [line["message"] for line in self.browser.get_log("browser") if line["level"] == "SEVERE"]
        expected = ("responded with a status of 4", *self.expected)
        self.assertEqual([line for line in said if not any(words in line for words in expected)], [])

    def open_browser(self):
        options = Options()
        options.binary_location = BROWSER
        for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--window-size=1200,900",
                     "--disable-background-networking", "--disable-component-update", "--no-first-run",
                     "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"--user-data-dir={self.folder}/profile"):
            options.add_argument(flag)
        options.add_experimental_option("prefs", {"download.default_directory": self.folder})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        browser = webdriver.Chrome(service=Service(DRIVER), options=options)
        browser.set_page_load_timeout(WAIT_SECONDS)
        return browser

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def count(self, selector):
        return len(self.browser.find_elements(By.CSS_SELECTOR, selector))

    def text(self, selector):
        return self.find(selector).text

    def until(self, holds, what):
        return WebDriverWait(self.browser, WAIT_SECONDS, 0.05).until(lambda _: holds(), f"never came: {what}")

    def fill(self, **fields):
        for name, value in fields.items():
            field = self.find("#" + name)
            if field.tag_name == "select":
                field.find_element(By.CSS_SELECTOR, f"option[value='{value}']").click()
            else:
                field.clear()
                field.send_keys(str(value))

    def line(self):
        return self.text(".order .line")

    def live(self):
        return self.count(".order progress:not([hidden])")

    def begin(self, **fields):
        self.fill(**fields)
        self.find("#generate").click()
        self.until(lambda: re.search("tep |done| in ", self.line()), "a step")

    def kept_seeds(self):
        return sorted(int(re.search(r"seed (\d+)$", item.get_attribute("aria-label"))[1])
                      for item in self.browser.find_elements(By.CSS_SELECTOR, ".gallery button"))

    def unfinished_records(self):
        return self.browser.execute_script("return Object.keys(localStorage).filter((key) => key.startsWith('order:')).length")

    def generate(self, kept, **fields):
        self.fill(**fields)
        self.find("#generate").click()
        self.until(lambda: self.count(".gallery img") == kept, f"{kept} kept images")
        self.until(lambda: self.live() == 0, "the end")


class Page(Browser):
    def setUp(self):
        super().setUp()
        self.addCleanup(self.cancel_all)
        self.until(lambda: self.text("#model"), "the model's name")

    def test_type_watch_and_keep(self):
        self.begin(prompt="a fox on a teal background", steps=40, seed=7)
        self.until(lambda: self.count(".tiles img.preview"), "a preview")
        self.until(lambda: self.count(".tiles img.finished"), "the image")
        self.assertGreater(self.browser.execute_script("return document.querySelector('.tiles img').naturalWidth"), 0)
        self.assertIn("Seed 7", self.text(".tiles figcaption"))
        self.until(lambda: self.count(".gallery img") == 1, "the kept image")
        self.until(lambda: self.line().startswith("1 image in "), "the end")
        self.assertEqual(self.unfinished_records(), 0)

    def test_bar_line_and_title_are_of_the_whole_order_and_agree(self):
        self.begin(prompt="six foxes", steps=12, seed=1, count=6)
        last = 0
        while self.live():
            bar, line, title = self.browser.execute_script("""
              const order = document.querySelector('.order');
              return [order.querySelector('progress').value, order.querySelector('.line').textContent, document.title]""")
            if "images in" in line:
                break
            self.assertEqual(title, f"{int(100 * bar)} % · Inkstone")
            self.assertGreaterEqual(bar, last)
            last = bar
            done = re.match(r"(\d) of 6 done", line)
            self.assertTrue(done, line)
            self.assertGreaterEqual(bar + 1e-6, int(done[1]) / 6 if int(done[1]) < 6 else 0.99)
        self.until(lambda: self.line().startswith("6 images in "), "the end")
        self.assertEqual(self.browser.title, "Inkstone")

    def test_steps_are_those_that_were_asked_for(self):
        self.fill(prompt="a fox", steps=20, scheduler="pndm", seed=1)
        self.find("#generate").click()
        lines = set()
        self.until(lambda: lines.add(self.line()) or self.live() == 0, "the end")
        steps = [re.match(r"Step (\d+) of (\d+)", line) for line in lines]
        steps = [(int(step[1]), int(step[2])) for step in steps if step]
        self.assertTrue(steps, lines)
        self.assertEqual({of for _, of in steps}, {20})
        self.assertLessEqual(max(step for step, _ in steps), 20)

    def test_an_order_survives_a_reload(self):
        before = len(self.server.get("/jobs?limit=100")["jobs"])
        self.begin(prompt="three bees", steps=40, seed=20, count=3)
        self.browser.refresh()
        self.until(lambda: self.count(".order") == 1 and "done" in self.line(), "the order again")
        self.assertEqual(self.text(".order .prompt"), "three bees")
        self.until(lambda: self.live() == 0, "the end")
        self.until(lambda: self.line().startswith("3 images in "), "all of them")
        self.assertEqual(self.kept_seeds(), [20, 21, 22])
        self.assertEqual(self.count(".tiles img.finished"), 3)
        self.assertEqual(len(self.server.get("/jobs?limit=100")["jobs"]), before + 1, "it was placed once")
        self.browser.refresh()
        self.until(lambda: self.count(".gallery img") == 3, "they are kept")
        self.assertEqual((self.count(".order"), self.unfinished_records()), (0, 0))

    def test_an_order_goes_on_while_the_page_is_away_and_its_images_are_fetched(self):
        self.begin(prompt="a castle", steps=60, seed=30, count=2)
        self.browser.get("about:blank")
        self.assertTrue(self.server.until_idle())
        self.browser.get(self.server.url)
        self.until(lambda: self.count(".gallery img") == 2, "both images")
        self.until(lambda: self.line().startswith("2 images in "), "the end")
        self.assertEqual(self.kept_seeds(), [30, 31])

    def test_draw_again_while_it_draws(self):
        self.begin(prompt="first", steps=60, seed=1)
        for number, prompt in enumerate(("second", "third"), 2):
            self.fill(prompt=prompt, steps=20, seed=number)
            self.find("#generate").click()
        self.assertEqual([item.text for item in self.browser.find_elements(By.CSS_SELECTOR, ".order .prompt")], ["third", "second", "first"])
        self.until(lambda: self.live() == 0 and self.count(".order") == 3, "the end of all")
        self.assertEqual(self.kept_seeds(), [1, 2, 3])

    def test_reload_keeps_the_history_and_its_parameters(self):
        self.generate(1, prompt="a red apple", negative="blurry", steps=4, guidance=2, scheduler="euler", seed="18446744073709551615")
        self.browser.refresh()
        self.until(lambda: self.count(".gallery img") == 1, "the kept image")
        self.find(".gallery button").click()
        facts = self.text("#viewer-facts")
        for words in ("18446744073709551615", "blurry", "euler", "4", "2"):
            self.assertIn(words, facts)
        self.find("#viewer-again").click()
        self.assertEqual(self.find("#prompt").get_attribute("value"), "a red apple")
        self.assertEqual(self.find("#seed").get_attribute("value"), "18446744073709551615")

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
        self.find(".gallery button").click()
        self.find("#viewer-save").click()
        path = os.path.join(self.folder, "a-bee-3.png")
        self.until(lambda: os.path.exists(path) and not glob.glob(self.folder + "/*.crdownload"), path)
        with open(path, "rb") as file:
            png = file.read()
        self.assertGreater(min(size_of(png)), 0)
        self.assertIn("Seed: 3", texts_of(png)["parameters"])

    def test_escape_asks_and_cancelling_frees_the_server(self):
        self.begin(prompt="a castle", steps=200, count=4)
        self.find("body").send_keys(Keys.ESCAPE)
        self.until(lambda: self.find("#stop").is_displayed(), "the question")
        self.find("#stop-no").click()
        self.assertEqual(self.live(), 1)
        self.find("body").send_keys(Keys.ESCAPE)
        self.until(lambda: self.find("#stop").is_displayed(), "the question")
        self.find("#stop-no").send_keys(Keys.ESCAPE)
        self.until(lambda: not self.find("#stop").is_displayed(), "Escape goes on")
        self.assertEqual(self.live(), 1)
        self.find("body").send_keys(Keys.ESCAPE)
        self.until(lambda: self.find("#stop").is_displayed(), "the question")
        self.find("#stop-yes").click()
        self.until(lambda: self.line() == "Cancelled", "the cancelling")
        self.assertTrue(self.server.until_idle())
        self.assertEqual((self.count(".gallery img"), self.unfinished_records()), (0, 0))

    def test_the_cancel_button_asks_where_images_are_done(self):
        self.begin(prompt="a castle", steps=200, count=4)
        self.find(".order .cancel").click()
        self.until(lambda: self.line() == "Cancelled", "the cancelling, unasked")
        self.begin(prompt="many castles", steps=20, count=16)
        self.until(lambda: self.count(".tiles img.finished"), "an image")
        self.find(".order .cancel").click()
        self.until(lambda: "done and kept" in self.text("#stop-hint"), "the question")
        self.find("#stop-yes").click()
        self.until(lambda: self.line().startswith("Cancelled; "), "the cancelling")
        self.assertTrue(self.server.until_idle())
        self.assertGreater(self.count(".gallery img"), 0)

    def test_several_images_by_the_keyboard_alone(self):
        self.fill(steps=4, count=3, seed=10)
        self.find("#prompt").send_keys("three snowmen", Keys.CONTROL, Keys.ENTER)
        self.until(lambda: self.count(".tiles img.finished") == 3, "three images")
        self.assertEqual([item.text for item in self.browser.find_elements(By.CSS_SELECTOR, ".tiles figcaption")],
                         ["Seed 10", "Seed 11", "Seed 12"])

    def test_two_tabs_draw_at_once_and_share_what_they_keep(self):
        first = self.browser.current_window_handle
        self.fill(prompt="a fox", steps=60, seed=1)
        self.find("#generate").click()
        self.browser.switch_to.new_window("tab")
        self.browser.get(self.server.url)
        self.until(lambda: self.text("#model"), "the model's name")
        self.fill(prompt="a bee", steps=60, seed=2)
        self.find("#generate").click()
        for tab in (self.browser.current_window_handle, first):
            self.browser.switch_to.window(tab)
            self.until(lambda: self.count(".gallery img") == 2, "both images in each tab")

    def test_an_order_is_the_tabs_that_placed_it_and_anothers_when_that_is_gone(self):
        first = self.browser.current_window_handle
        self.begin(prompt="a fox", steps=200, seed=40, count=2)
        self.browser.switch_to.new_window("tab")
        second = self.browser.current_window_handle
        self.browser.get(self.server.url)
        self.until(lambda: self.text("#model"), "the model's name")
        time.sleep(2)  # longer than the other tab has to answer
        self.assertEqual(self.count(".order"), 0)
        self.browser.switch_to.window(first)
        self.assertEqual(self.live(), 1)
        self.browser.close()
        self.browser.switch_to.window(second)
        self.browser.refresh()
        self.until(lambda: self.count(".order") == 1, "the order")
        self.until(lambda: self.live() == 0, "its end")
        self.assertEqual(self.kept_seeds(), [40, 41])

    def test_a_warning_is_one_amber_line(self):
        self.find("#prompt").send_keys("a fox <lora:style:0.8>")
        self.generate(1, steps=4)
        warning = self.find(".order .warning")
        self.assertIn("plain text", warning.text)
        self.assertLess(warning.size["height"], 60)
        self.assertFalse(self.find(".order .failure").is_displayed())

    def test_a_refusal_is_a_sentence(self):
        self.fill(prompt="a fox", steps=4)
        self.browser.execute_script("document.getElementById('width').removeAttribute('max')")
        multiple = int(self.find("#width").get_attribute("step"))
        self.fill(width=multiple * 1000)
        self.find("#generate").click()
        self.until(lambda: "width" in self.text(".order .failure"), "the reason")
        self.assertTrue(self.find("#generate").is_enabled())
        self.assertEqual(self.unfinished_records(), 0)

    def test_removing(self):
        self.generate(1, prompt="a fox", steps=4)
        self.generate(2, prompt="a bee", steps=4)
        self.find(".gallery button").click()
        self.find("#viewer-remove").click()
        self.until(lambda: self.count(".gallery img") == 1, "one left")
        self.find("#forget").click()
        self.find("#sure-no").click()
        self.assertEqual(self.count(".gallery img"), 1)
        self.find("#forget").click()
        self.find("#sure-yes").click()
        self.until(lambda: self.count(".gallery img") == 0, "none left")

    def test_on_a_phone_nothing_is_wider_than_the_screen(self):
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                     {"width": 360, "height": 740, "deviceScaleFactor": 2, "mobile": True})
        self.generate(1, prompt="a fox", steps=4)
        self.assertLessEqual(self.browser.execute_script("return document.documentElement.scrollWidth"), 360)

    def test_every_field_has_a_name_for_those_who_hear_the_page(self):
        unnamed = self.browser.execute_script("""
          return [...document.querySelectorAll('input, textarea, select, button, progress, dialog')].filter((field) =>
            !(field.labels?.length || field.textContent.trim() || field.getAttribute('aria-labelledby') ||
              field.getAttribute('aria-label'))).map((field) => field.outerHTML)""")
        self.assertEqual(unnamed, [])


class PageThatLosesTheServer(Browser):
    expected = ("ERR_INTERNET_DISCONNECTED", "ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING", "ERR_CONNECTION_RESET",
                "ERR_EMPTY_RESPONSE", "status of 503")

    def setUp(self):
        super().setUp()
        self.addCleanup(self.cancel_all)
        self.until(lambda: self.text("#model"), "the model's name")

    def offline(self, off):
        self.browser.execute_cdp_cmd("Network.emulateNetworkConditions",
                                     {"offline": off, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1})

    def test_offline_is_said_and_the_order_is_taken_up_again(self):
        self.browser.execute_cdp_cmd("Network.enable", {})
        self.begin(prompt="a fox", steps=40, seed=50, count=3)
        self.offline(True)
        self.until(lambda: self.line() == "Connection lost, trying again", "the loss")
        self.assertEqual(self.live(), 1)
        self.offline(False)
        self.until(lambda: "done" in self.line(), "the order again")
        self.until(lambda: self.line().startswith("3 images in "), "the end")
        self.assertEqual(self.kept_seeds(), [50, 51, 52])

    def test_an_order_placed_offline_is_placed_once_when_the_server_is_there(self):
        self.browser.execute_cdp_cmd("Network.enable", {})
        before = len(self.server.get("/jobs?limit=100")["jobs"])
        self.offline(True)
        self.fill(prompt="a bee", steps=4, seed=60)
        self.find("#generate").click()
        self.until(lambda: self.line() == "Connection lost, trying again", "the loss")
        self.offline(False)
        self.until(lambda: self.line().startswith("1 image in "), "the end")
        self.assertEqual(len(self.server.get("/jobs?limit=100")["jobs"]), before + 1)

    def test_an_order_cancelled_offline_is_cancelled(self):
        self.browser.execute_cdp_cmd("Network.enable", {})
        self.begin(prompt="a bee", steps=200, seed=60, count=8)
        self.offline(True)
        self.until(lambda: self.line() == "Connection lost, trying again", "the loss")
        self.find(".order .cancel").click()
        self.offline(False)
        self.until(lambda: self.line().startswith("Cancelled"), "the cancelling")
        self.assertTrue(self.server.until_idle())

    def test_an_order_that_a_restarted_server_does_not_know_is_forgotten_with_a_word(self):
        self.begin(prompt="a fox", steps=200, seed=70, count=4)
        self.server.crash_and_restart()
        self.until(lambda: "does not know" in self.text(".order .failure"), "the word")
        self.assertEqual((self.live(), self.unfinished_records()), (0, 0))
        self.browser.refresh()
        self.until(lambda: self.text("#model"), "the page")
        self.assertEqual(self.count(".order"), 0)


def stop_workers(server):
    """Before they say that they are ready, if that works out: the model is not open yet then."""
    server.workers = [int(pid) for pid in re.findall(r"worker_started worker=(\d+)", server.said())]
    for pid in server.workers:
        os.kill(pid, signal.SIGSTOP)
    server.wait_until_ready = lambda: None


class PageOfAServerThatStarts(Browser):
    expected = ("status of 503",)

    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(Server(started=stop_workers))

    def test_can_be_used_at_once(self):
        self.addCleanup(self.resume)
        status, _ = self.server.post("/generate", {"prompt": "too early"})
        if status != 503:
            self.skipTest("the server was ready before its worker could be stopped")
        self.until(lambda: self.text("#queue").startswith("Getting ready"), "the state")
        self.fill(prompt="a fox", steps=4, seed=80)
        self.find("#generate").click()
        self.until(lambda: "getting ready" in self.line(), "the order waits")
        self.resume()
        self.until(lambda: self.line().startswith("1 image in "), "the end")
        self.assertEqual(self.kept_seeds(), [80])
        self.assertEqual(self.find("#prompt").get_attribute("value"), "a fox")
        self.assertEqual(self.find("#steps").get_attribute("value"), "4")
        self.assertNotEqual(self.find("#width").get_attribute("value"), "", "the model's default, once it is known")

    def resume(self):
        for pid in self.server.workers:
            os.kill(pid, signal.SIGCONT)


class PageBelowAPath(Browser):
    flags = ("--root-path", "/ink/stone")
    path = "/ink/stone"

    def test_it_draws_keeps_and_cancels_there(self):
        self.until(lambda: self.text("#model"), "the model's name")
        self.generate(1, prompt="a fox", steps=3)
        self.begin(prompt="a castle", steps=200)
        self.find(".order .cancel").click()
        self.assertTrue(self.server.until_idle())


class PageWithKeys(Browser):
    keys = {"anna": "a-good-key"}

    def test_the_page_asks_for_a_key_until_it_is_right_and_keeps_it_for_the_tab(self):
        for key in ("a-wrong-key", "a-good-key"):
            self.until(lambda: self.find("#key-dialog").is_displayed(), "the question")
            self.find("#key").send_keys(key, Keys.ENTER)
        self.until(lambda: self.text("#model"), "the model's name")
        self.generate(1, prompt="a fox", steps=4)
        self.browser.refresh()
        self.until(lambda: self.text("#model"), "the model's name")
        self.assertFalse(self.find("#key-dialog").is_displayed())
