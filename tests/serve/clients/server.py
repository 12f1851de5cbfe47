"""A server of our own for a test: `inkstone serve --port 0` with the demo model, stopped at the end whatever happens.

INKSTONE_BINARY is the program. Everything waits with a limit, and only this machine is spoken to.
"""
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request

START_SECONDS = 300
STOP_SECONDS = 120
PATIENCE = "1000000"  # seconds: no order is refused because the machine is slow or busy


class Server:
    def __init__(self, *flags, keys=None, started=None):
        self.flags = ["--max-wait", PATIENCE, *flags]
        self.keys = keys
        self.started = started  # called as soon as it listens, with the server
        self.url = ""

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="inkstone_clients_")
        if self.keys:
            path = os.path.join(self.folder.name, "keys")
            with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.writelines(f"{name}:{key}\n" for name, key in self.keys.items())
            self.flags += ["--api-key-file", path]
        self.log = open(os.path.join(self.folder.name, "log"), "w+")
        self._start("0")
        return self

    def _start(self, port):
        command = [os.environ["INKSTONE_BINARY"], "serve", "--port", port, *self.flags]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.log, text=True)
        try:
            self.url = self._address()
            if self.started:
                self.started(self)
            self.wait_until_ready()
        except BaseException:
            self.__exit__()
            raise

    def crash_and_restart(self):
        """At the same address; it knows no order of before."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self._start(self.url.rsplit(":", 1)[1])

    def _address(self):
        found = []

        def read():
            for line in self.process.stdout:  # to its end, so that the server never waits for us
                if line.startswith("listening on "):
                    found.append(line.split()[-1].rstrip("/"))

        threading.Thread(target=read, daemon=True).start()
        self._until(lambda: found, "said on which port it listens")
        return found[0]

    def wait_until_ready(self):
        def ready():
            try:
                return urllib.request.urlopen(self.url + "/health/ready", timeout=5).status == 200
            except urllib.error.HTTPError:
                return False

        self._until(ready, "became ready")

    def _until(self, holds, what):
        end = time.monotonic() + START_SECONDS
        while not holds():
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the server never {what}; its log:\n{self.said()}")
            time.sleep(0.05)

    def said(self):
        self.log.flush()
        with open(self.log.name, errors="replace") as file:
            return file.read()[-4000:]

    def get(self, path, **headers):
        request = urllib.request.Request(self.url + path, headers=headers)
        return json.load(urllib.request.urlopen(request, timeout=30))

    def delete(self, path, **headers):
        urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers, method="DELETE"), timeout=30).close()

    def post(self, path, body, **headers):
        """Status and JSON of the answer, whichever it is."""
        request = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})
        try:
            with urllib.request.urlopen(request, timeout=START_SECONDS) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def until_idle(self, seconds=STOP_SECONDS, **headers):
        """Waits until nothing is queued or running; False where it never is."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            queue = self.get("/queue", **headers)
            if queue["queued"] == 0 and queue["running"] == 0:
                return True
            time.sleep(0.05)
        return False

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process.stdout.close()
        self.log.close()
        self.folder.cleanup()
        if self.url and code != 0:
            raise RuntimeError(f"after SIGTERM the server ended with {code}")
