"""Each ```sh block of docs/api.md that stands under <!-- tested --> does what it says, against a live server."""
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from server import Server

PAGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../docs/api.md")


def missing():
    return "" if shutil.which("curl") else "curl is not there"


def blocks():
    with open(PAGE) as file:
        return re.findall(r"<!-- tested -->\n```sh\n(.*?)```", file.read(), re.S)


class Lines(unittest.TestCase):
    def test_all_blocks_run(self):
        self.assertGreater(len(blocks()), 5)
        with Server() as server, tempfile.TemporaryDirectory() as folder:
            for block in blocks():
                with self.subTest(block=block):
                    script = block.replace("localhost:8080", server.url.removeprefix("http://"))
                    # `head` closes its end early, which curl calls 23; no pipefail, so a failing curl shows as no output.
                    ran = subprocess.run(["bash", "-euc", script], cwd=folder, capture_output=True, text=True, timeout=120)
                    self.assertEqual(ran.returncode, 0, ran.stderr)
                    written = "".join(open(os.path.join(folder, name), "rb").read(4).decode("latin-1")
                                      for name in os.listdir(folder))
                    self.assertTrue(ran.stdout.strip() or "PNG" in written, "nothing came of it")
