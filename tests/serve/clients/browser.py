"""The page in headless Chromium, as its tests use it."""
import re
import shutil
import tempfile
import unittest

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

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

    def content(self, selector):
        """Its text, though it is hidden."""
        return self.find(selector).get_property("textContent")

    def script(self, text, *arguments):
        return self.browser.execute_script(text, *arguments)

    def click(self, selector):
        """Away from what lies fixed over the page's edges."""
        self.script("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", self.find(selector))
        self.find(selector).click()

    def until(self, holds, what):
        return WebDriverWait(self.browser, WAIT_SECONDS, 0.05).until(lambda _: holds(), f"never came: {what}")

    def unfold(self):
        self.script("for (const fold of document.querySelectorAll('form details')) fold.open = true")

    def fill(self, **fields):
        self.unfold()
        for name, value in fields.items():
            field = self.find("#" + name)
            if field.tag_name == "select":
                field.find_element(By.CSS_SELECTOR, f"option[value='{value}']").click()
            else:
                field.clear()
                field.send_keys(str(value))

    def line(self):
        return self.content(".order .line")

    def live(self):
        return self.count(".order progress:not([hidden])")

    def begin(self, **fields):
        self.fill(**fields)
        self.click("#generate")
        self.until(lambda: re.search("tep |done| in ", self.line()), "a step")

    def kept_seeds(self):
        return self.script("""
          return [...document.querySelectorAll('.gallery button')].map((tile) => Number(/seed (\\d+)$/.exec(tile.getAttribute('aria-label'))[1]))
            .sort((a, b) => a - b)""")

    def unfinished_records(self):
        return self.browser.execute_script("return Object.keys(localStorage).filter((key) => key.startsWith('order:')).length")

    def generate(self, kept, **fields):
        self.fill(**fields)
        self.click("#generate")
        self.until(lambda: self.count(".gallery img") == kept, f"{kept} kept images")
        self.until(lambda: self.live() == 0, "the end")
