"""The page draws: type, watch, cancel, come back; lost connections, two tabs, a key."""
import os
import re
import signal
import time

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from browser import Browser, missing
from server import Server


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
        self.assertIn("Seed 7", self.content(".tiles figcaption"))
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
        self.click("#generate")
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
        self.assertTrue(self.find("#picture").is_displayed(), "the newest stands large")
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
            self.click("#generate")
        self.assertEqual([item.text for item in self.browser.find_elements(By.CSS_SELECTOR, ".order .prompt")], ["first", "second", "third"])
        self.assertTrue(self.browser.find_elements(By.CSS_SELECTOR, ".order")[0].find_element(By.CSS_SELECTOR, ".tiles").is_displayed())
        self.until(lambda: self.live() == 0 and self.count(".order") == 3, "the end of all")
        self.assertEqual(self.kept_seeds(), [1, 2, 3])

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
        self.assertEqual([item.get_property("textContent") for item in self.browser.find_elements(By.CSS_SELECTOR, ".tiles figcaption")],
                         ["Seed 10", "Seed 11", "Seed 12"])

    def test_two_tabs_draw_at_once_and_share_what_they_keep(self):
        first = self.browser.current_window_handle
        self.fill(prompt="a fox", steps=60, seed=1)
        self.click("#generate")
        self.browser.switch_to.new_window("tab")
        self.browser.get(self.server.url)
        self.until(lambda: self.text("#model"), "the model's name")
        self.fill(prompt="a bee", steps=60, seed=2)
        self.click("#generate")
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
        self.click("#generate")
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
        self.click("#generate")
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
