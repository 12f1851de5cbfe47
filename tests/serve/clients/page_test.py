"""The page in headless Chromium: type, watch, cancel, download, come back; two tabs, a phone, a key."""
import glob
import os
import shutil
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
WAIT_SECONDS = 60


def missing():
    return "" if BROWSER and DRIVER else "chromium and chromium-driver are not there"


class Browser(unittest.TestCase):
    keys = None
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

    def tearDown(self):  # a broken policy or script says so here; a refusal that a test asked for is none
        said = [line["message"] for line in self.browser.get_log("browser") if line["level"] == "SEVERE"]
        self.assertEqual([line for line in said if "responded with a status of 4" not in line], [])

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
        return WebDriverWait(self.browser, WAIT_SECONDS, 0.02).until(lambda _: holds(), f"never came: {what}")

    def fill(self, **fields):
        for name, value in fields.items():
            field = self.find("#" + name)
            if field.tag_name == "select":
                field.find_element(By.CSS_SELECTOR, f"option[value='{value}']").click()
            else:
                field.clear()
                field.send_keys(str(value))

    def generate(self, kept, **fields):
        self.fill(**fields)
        self.find("#generate").click()
        self.until(lambda: self.count(".gallery img") == kept, f"{kept} kept images")
        self.until(lambda: self.find("#generate").is_enabled(), "the end")


class Page(Browser):
    def setUp(self):
        super().setUp()
        self.until(lambda: self.text("#model"), "the model's name")

    def test_type_watch_and_keep(self):
        self.fill(prompt="a fox on a teal background", steps=40, seed=7)
        self.find("#generate").click()
        self.until(lambda: "step" in self.text("#status"), "a step")
        self.until(lambda: self.count(".tiles img.preview"), "a preview")
        self.until(lambda: self.count(".tiles img.finished"), "the image")
        self.assertGreater(self.browser.execute_script("return document.querySelector('.tiles img').naturalWidth"), 0)
        self.assertIn("seed 7", self.text(".tiles figcaption"))
        self.until(lambda: self.count(".gallery img") == 1, "the kept image")

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

    def test_cancel_frees_the_server(self):
        for cancel in (lambda: self.find("#cancel").click(), lambda: self.find("body").send_keys(Keys.ESCAPE)):
            self.fill(prompt="a castle", steps=200, count=4)
            self.find("#generate").click()
            self.until(lambda: "step" in self.text("#status"), "a step")
            cancel()
            self.until(lambda: self.text("#status") == "Cancelled", "the cancelling")
            self.assertTrue(self.server.until_idle())
            self.assertTrue(self.find("#generate").is_enabled())
        self.assertEqual(self.count(".gallery img"), 0)

    def test_closing_the_tab_frees_the_server(self):
        self.fill(prompt="a castle", steps=200, count=4)
        self.find("#generate").click()
        self.until(lambda: "step" in self.text("#status"), "a step")
        self.browser.get("about:blank")
        self.assertTrue(self.server.until_idle())
        self.browser.get(self.server.url)

    def test_several_images_by_the_keyboard_alone(self):
        self.fill(steps=4, count=3, seed=10)
        self.find("#prompt").send_keys("three snowmen", Keys.CONTROL, Keys.ENTER)
        self.until(lambda: self.count(".tiles img.finished") == 3, "three images")
        self.assertEqual([item.text for item in self.browser.find_elements(By.CSS_SELECTOR, ".tiles figcaption")],
                         ["seed 10", "seed 11", "seed 12"])

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

    def test_a_refusal_is_a_sentence(self):
        self.fill(prompt="a fox", steps=4)
        self.browser.execute_script("document.getElementById('width').removeAttribute('max')")
        multiple = int(self.find("#width").get_attribute("step"))
        self.fill(width=multiple * 1000)
        self.find("#generate").click()
        self.until(lambda: "width" in self.text("#trouble"), "the reason")
        self.assertTrue(self.find("#generate").is_enabled())

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


class PageBelowAPath(Browser):
    flags = ("--root-path", "/ink/stone")
    path = "/ink/stone"

    def test_it_draws_keeps_and_cancels_there(self):
        self.until(lambda: self.text("#model"), "the model's name")
        self.generate(1, prompt="a fox", steps=3)
        self.fill(prompt="a castle", steps=200)
        self.find("#generate").click()
        self.until(lambda: "step" in self.text("#status"), "a step")
        self.find("#cancel").click()
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
