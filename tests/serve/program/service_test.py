"""The server as its operator meets it: one process tree, signals, deaths, floods. Python's own library alone.

INKSTONE_BINARY is the program; it serves the demo model. Nothing here is judged by time, but for limits that a broken server would pass.
"""
import concurrent.futures
import contextlib
import hashlib
import http.client
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../clients"))
from server import Server

LIMIT = 180  # seconds that anything may take here, sanitized builds included
SLOW = 4 if os.environ.get("INKSTONE_SANITIZED") else 1  # sanitized builds draw as much less
LONG = {"prompt": "a castle", "num_inference_steps": 200}


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until(holds, seconds=LIMIT):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(0.02)
    return False


def kill_at_work(server, answers, kinds, all_at_once=False):
    """Sends the signals to a worker, or to all, spread over the answers and while images run. Says how many images began again.

    Nobody is hit twice: an image that two workers died of alone fails, and should."""
    done = lambda: sum(answer.done() for answer in answers)

    def may_be_hit():
        queue = server.get("/queue")
        return queue["running"] > 0 and queue["retrying"] == 0

    for number, kind in enumerate(kinds):
        until(lambda: done() == len(answers) or (done() >= number * len(answers) // (len(kinds) + 1) and may_be_hit()))
        workers = children(server.process.pid)
        for worker in workers if all_at_once else random.sample(workers, min(len(workers), 1)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, kind)
    until(lambda: done() == len(answers))
    return server.get("/queue")["retries"]


def ask(server, body, headers=None):
    """Status, headers and body of the answer; status 0 where the connection broke."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=LIMIT)
    try:
        connection.request("POST", "/generate", json.dumps(body), {"Content-Type": "application/json", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    except OSError:
        return 0, {}, b""
    finally:
        connection.close()


def image(server, body):
    status, _, png = ask(server, body, {"Accept": "image/png"})
    return status, hashlib.sha256(png).hexdigest()


def ready(server):
    try:
        server.get("/health/ready")
        return True
    except OSError:
        return False


def mixed(count, seed=1):
    draw = random.Random(seed)
    return [{"prompt": draw.choice(["a fox", "a red apple", "a bee", "a rocket"]), "seed": draw.randrange(1000),
             "negative_prompt": draw.choice(["", "blurry"]), "num_inference_steps": draw.randint(3, 9),
             "guidance_scale": draw.choice([1, 3, 5.5]), "width": draw.choice([64, 84, 128]), "height": 64,
             "scheduler": draw.choice(["pndm", "ddim", "euler", "euler-ancestral", "dpm++-2m", "unipc", "lcm"])}
            for _ in range(count)]


class Signals(unittest.TestCase):
    def test_sigterm_under_load_ends_what_was_admitted_and_admits_nothing_new(self):
        with Server("--grace", str(LIMIT)) as server, concurrent.futures.ThreadPoolExecutor(12) as pool:
            answers = [pool.submit(image, server, {"prompt": "a fox", "seed": i, "num_inference_steps": 30 // SLOW}) for i in range(12)]
            self.assertTrue(until(lambda: server.get("/queue")["running"] + server.get("/queue")["queued"] == 12))
            held = http.client.HTTPConnection(urllib.parse.urlsplit(server.url).netloc, timeout=LIMIT)
            held.connect()
            server.process.send_signal(signal.SIGTERM)
            self.assertTrue(until(lambda: not ready(server)))
            held.request("POST", "/generate?prompt=late")
            self.assertEqual(held.getresponse().status, 503)
            self.assertEqual([answer.result()[0] for answer in answers], [200] * 12)
            self.assertEqual(server.process.wait(LIMIT), 0)

    def test_a_second_signal_ends_it_at_once(self):
        with Server("--max-side", "256") as server, concurrent.futures.ThreadPoolExecutor(8) as pool:
            for seed in range(8):
                pool.submit(ask, server, {**LONG, "width": 256, "height": 256, "seed": seed})
            self.assertTrue(until(lambda: server.get("/queue")["running"] > 0))
            workers = children(server.process.pid)
            server.process.send_signal(signal.SIGTERM)
            self.assertTrue(until(lambda: "draining" in server.said()))
            server.process.send_signal(signal.SIGTERM)
            self.assertEqual(server.process.wait(LIMIT), 0)
            self.assertTrue(until(lambda: not any(map(alive, workers))))

    def test_sighup_replaces_the_workers_and_loses_nothing(self):
        with Server() as server, concurrent.futures.ThreadPoolExecutor(8) as pool:
            alone = image(server, {"prompt": "a bee", "seed": 5, "num_inference_steps": 30 // SLOW})
            workers = children(server.process.pid)
            answers = [pool.submit(image, server, {"prompt": "a bee", "seed": 5, "num_inference_steps": 30 // SLOW}) for _ in range(8)]
            self.assertTrue(until(lambda: server.get("/queue")["running"] > 0))
            server.process.send_signal(signal.SIGHUP)
            self.assertEqual([answer.result() for answer in answers], [alone] * 8)
            self.assertTrue(until(lambda: not any(map(alive, workers)) and ready(server)))


class Deaths(unittest.TestCase):
    def test_images_are_the_same_though_workers_are_killed_and_stopped(self):
        requests = mixed(60 // SLOW)
        with Server("--workers", "2", "--threads", "1", "--watchdog-min", "2") as server, \
                concurrent.futures.ThreadPoolExecutor(20) as pool:
            alone = [image(server, request) for request in requests]
            self.assertEqual({status for status, _ in alone}, {200})
            answers = [pool.submit(image, server, request) for request in requests]
            self.assertGreater(kill_at_work(server, answers, (signal.SIGKILL, signal.SIGSTOP, signal.SIGKILL)), 0)
            self.assertEqual([answer.result() for answer in answers], alone)
            self.assertTrue(until(lambda: len(children(server.process.pid)) == 2))

    def test_a_gateway_that_is_killed_leaves_no_worker(self):
        server = Server()
        with self.assertRaises(RuntimeError):  # of the exit code
            with server:
                workers = children(server.process.pid)
                self.assertTrue(workers)
                server.process.kill()
                self.assertTrue(until(lambda: not any(map(alive, workers))))

    def test_full_disks_and_closed_pipes_stop_no_image(self):
        with tempfile.TemporaryDirectory() as folder, open("/dev/full", "w") as full:
            process = subprocess.Popen([os.environ["INKSTONE_BINARY"], "serve", "--port", "0"], stdout=subprocess.PIPE, stderr=full,
                                       text=True, cwd=folder)
            try:
                server = Server()
                server.url = process.stdout.readline().split()[-1]
                process.stdout.close()
                self.assertTrue(until(lambda: ready(server)))
                self.assertEqual(image(server, {"prompt": "a fox", "num_inference_steps": 3})[0], 200)
            finally:
                process.terminate()
                self.assertEqual(process.wait(LIMIT), 0)

    def test_a_pipe_that_is_full_before_the_start_stops_nothing(self):
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        while True:
            try:
                os.write(writer, b"x" * 4096)
            except BlockingIOError:
                break
        os.set_blocking(writer, True)  # as a shell hands it on
        process = subprocess.Popen([os.environ["INKSTONE_BINARY"], "serve", "--port", "0"], stdout=subprocess.PIPE, stderr=writer, text=True)
        try:
            server = Server()
            server.url = process.stdout.readline().split()[-1]
            self.assertTrue(until(lambda: ready(server)))
            self.assertEqual(image(server, {"prompt": "a fox", "num_inference_steps": 3})[0], 200)
        finally:
            process.terminate()
            self.assertEqual(process.wait(LIMIT), 0)
            process.stdout.close()
            os.close(reader)
            os.close(writer)

    def test_idle_clients_cannot_take_the_descriptors_that_the_server_needs(self):
        command = ["sh", "-c", "ulimit -n 96; exec \"$0\" \"$@\"", os.environ["INKSTONE_BINARY"], "serve", "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        held = []
        try:
            self.assertIn("at most 32 connections", process.stderr.readline())
            server = Server()
            server.url = process.stdout.readline().split()[-1]
            place = ("127.0.0.1", urllib.parse.urlsplit(server.url).port)
            threading.Thread(target=process.stderr.read, daemon=True).start()
            held = [socket.create_connection(place) for _ in range(31)]
            self.assertTrue(until(lambda: ready(server)))
            os.kill(children(process.pid)[0], signal.SIGKILL)
            self.assertTrue(until(lambda: ready(server)))
            self.assertEqual(image(server, {"prompt": "a fox", "num_inference_steps": 3})[0], 200)
        finally:
            for connection in held:
                connection.close()
            process.terminate()
            process.stdout.close()
            self.assertEqual(process.wait(LIMIT), 0)

    def test_a_start_that_cannot_be_says_why(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            for flags, code, word in ([["--port", port], 1, port], [["--model", "/no/such/folder"], 1, "/no/such/folder"],
                                      [["--port", "0", "--device", "toaster"], 2, "toaster"], [["--api-key-file", "/none"], 1, "/none"],
                                      [["--max-queue", "0"], 2, "--max-queue"], [["--port", "0", "--trusted-proxies", "10.0.0.0/40"], 2, "10.0.0.0/40"],
                                      [["--port", "0", "--root-path", "no"], 2, "--root-path"]):
                done = subprocess.run([os.environ["INKSTONE_BINARY"], "serve", *flags], capture_output=True, text=True, timeout=LIMIT)
                self.assertEqual(done.returncode, code, (flags, done.stderr))
                self.assertIn(word, done.stderr)
                self.assertNotIn("worker_started", done.stderr, flags)


class Floods(unittest.TestCase):
    def test_what_is_too_much_is_refused_at_once_and_all_else_is_drawn(self):
        with Server("--max-queue", "8") as server, concurrent.futures.ThreadPoolExecutor(40) as pool:
            answers = list(pool.map(lambda seed: ask(server, {"prompt": "a fox", "seed": seed, "num_inference_steps": 5}), range(200 // SLOW)))
            statuses = [status for status, _, _ in answers]
            self.assertLessEqual(set(statuses), {200, 429, 503})
            self.assertGreaterEqual(statuses.count(200), 8)
            self.assertGreater(len(statuses) - statuses.count(200), 8)
            self.assertTrue(all(int(headers["retry-after"]) > 0 for status, headers, _ in answers if status != 200))
            self.assertTrue(server.until_idle())
            self.assertEqual(image(server, {"prompt": "a fox", "num_inference_steps": 3})[0], 200)

    def test_health_is_answered_with_a_thousand_idle_and_slow_connections_and_a_busy_device(self):
        with Server("--max-connections", "1300") as server, concurrent.futures.ThreadPoolExecutor(4) as pool:
            before = memory(server.process.pid)
            place = ("127.0.0.1", urllib.parse.urlsplit(server.url).port)
            held = [socket.create_connection(place) for _ in range(1000)]
            try:
                for slow in held[500:]:
                    slow.sendall(b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Le")
                seconds = []

                def draw(seed):  # one after another, until the last probe
                    statuses = []
                    while len(seconds) < 400:
                        statuses.append(ask(server, {"prompt": "a bee", "num_inference_steps": 60, "seed": seed})[0])
                    return statuses

                work = [pool.submit(draw, seed) for seed in range(4)]
                self.assertTrue(until(lambda: server.get("/queue")["running"] > 0))
                probe = http.client.HTTPConnection(*place, timeout=LIMIT)
                while len(seconds) < 400:
                    begin = time.perf_counter()
                    probe.request("GET", "/health/live")
                    answer = probe.getresponse()
                    answer.read()
                    self.assertEqual(answer.status, 200)
                    seconds.append(time.perf_counter() - begin)
                grown = memory(server.process.pid) - before
                seconds.sort()
                print(f"/health/live with 1,000 connections, device busy: p50 {1e3 * seconds[200]:.2f} ms, p99 {1e3 * seconds[396]:.2f} ms; "
                      f"{grown / 1000:.1f} KiB a connection", file=sys.stderr)
                self.assertLess(grown / 1000, 64)
                self.assertEqual({status for job in work for status in job.result()}, {200})
            finally:
                for connection in held:
                    connection.close()

    def test_bodies_replays_and_lists_that_nobody_reads_stay_within_the_budget(self):
        with Server() as server:
            order = json.dumps({"prompt": "a fox", "num_inference_steps": 2, "num_images_per_prompt": 8}).encode()
            replay = (b"POST /generate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\n"
                      b"Content-Length: %d\r\n\r\n" % len(order)) + order
            self.assertEqual(ask(server, json.loads(order), {"Idempotency-Key": "k"})[0], 200)
            before = memory(server.process.pid)
            body = (b"POST /sdapi/v1/png-info HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                    % (8 << 20)) + b" " * (7 << 20)
            listing = b"GET /jobs HTTP/1.1\r\nHost: localhost\r\n\r\n"
            held = []
            try:
                for number, request in enumerate([body] * (60 // SLOW) + [replay, listing] * (100 // SLOW)):
                    held.append(socket.socket())
                    held[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                    held[-1].bind((f"127.0.0.{2 + number % 8}", 0))
                    held[-1].connect(("127.0.0.1", urllib.parse.urlsplit(server.url).port))
                    held[-1].settimeout(2)  # of who was refused nothing more is read
                    try:
                        held[-1].sendall(request)
                    except OSError:
                        pass
                grown = memory(server.process.pid) - before
                print(f"{len(held)} who send or ask and do not read: {grown >> 10} MiB more", file=sys.stderr)
                self.assertLess(grown, (256 + 32) << 10)
                self.assertEqual(server.get("/health/live")["status"], "live")
            finally:
                for connection in held:
                    connection.close()
            self.assertEqual(image(server, {"prompt": "a fox", "num_inference_steps": 2})[0], 200)

    def test_memory_and_descriptors_stay_though_clients_come_and_go(self):
        with Server() as server, concurrent.futures.ThreadPoolExecutor(8) as pool:
            def visit(seed):
                if seed % 5:
                    return ask(server, {"prompt": "a fox", "seed": seed % 7, "num_inference_steps": 2})[0]
                with socket.create_connection(("127.0.0.1", urllib.parse.urlsplit(server.url).port)) as hasty:
                    hasty.sendall(b"POST /generate?prompt=a+bee&num_inference_steps=100 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    time.sleep(0.01)
                return 200

            seen, visits = [], 80 // SLOW
            for begin in range(0, 3 * visits, visits):
                self.assertEqual(set(pool.map(visit, range(begin, begin + visits))), {200})
                self.assertTrue(server.until_idle())
                seen.append((memory(server.process.pid), descriptors(server.process.pid)))
            self.assertLess(seen[2][0] - seen[1][0], 8 << 10, seen)  # kept images among them
            self.assertLessEqual(abs(seen[2][1] - seen[1][1]), 8, seen)


class Proxies(unittest.TestCase):
    """Requests as a proxy on this machine sends them."""

    def test_clients_behind_a_trusted_proxy_are_told_apart(self):
        with Server("--trusted-proxies", "loopback") as server:
            async_request = {"prompt": "a fox", "num_inference_steps": 2, "async": True}
            status, _, body = ask(server, async_request, {"X-Forwarded-For": "203.0.113.5"})
            self.assertEqual(status, 202)
            mine = json.loads(body)["id"]
            self.assertEqual([job["id"] for job in server.get("/jobs", **{"X-Forwarded-For": "203.0.113.5"})["jobs"]], [mine])
            self.assertEqual(server.get("/jobs", **{"X-Forwarded-For": "203.0.113.6"})["jobs"], [])
            self.assertEqual(server.get("/jobs")["jobs"], [])
            self.assertIn("client=ip:203.0.113.5", server.said())

    def test_a_proxy_that_is_not_listed_is_named_once(self):
        with Server() as server:
            for address in ("203.0.113.5", "203.0.113.6"):
                server.get("/jobs", **{"X-Forwarded-For": address})
            self.assertTrue(until(lambda: server.said().count("path=/jobs") == 2))
            self.assertEqual(server.said().count("warning proxy not trusted"), 1, server.said())
            self.assertIn("--trusted-proxies loopback", server.said())
            self.assertNotIn("client=ip:203", server.said())

    def test_below_a_path_every_link_carries_it(self):
        with Server("--root-path", "/inkstone", "--trusted-proxies", "127.0.0.0/8") as server:
            for path in ("/inkstone/", "/"):
                page = urllib.request.urlopen(server.url + path).read().decode()
                for link in re.findall(r'(?:src|href)="(/[^"]*)"', page):
                    self.assertTrue(link.startswith("/inkstone/"), link)
                    self.assertEqual(urllib.request.urlopen(server.url + link).status, 200)
            status, answer = server.post("/inkstone/v1/images/generations", {"prompt": "a fox", "num_inference_steps": 2, "response_format": "url"},
                                         **{"X-Forwarded-Proto": "https", "X-Forwarded-Host": "localhost:444"})
            self.assertEqual(status, 200)
            self.assertTrue(answer["data"][0]["url"].startswith("https://localhost:444/inkstone/v1/files/img/"), answer["data"][0]["url"])
            status, headers, _ = ask(server, {"prompt": "a fox", "num_inference_steps": 2, "async": True})
            self.assertTrue(headers["location"].startswith("/inkstone/jobs/"))
            self.assertEqual(server.get(headers["location"])["id"], headers["location"].rsplit("/", 1)[1])
            self.assertEqual(server.get("/openapi.json")["servers"], [{"url": "/inkstone"}])


class Logs(unittest.TestCase):
    def test_all_that_is_said_is_json_where_that_was_asked(self):
        with Server("--log-format", "json", "--threads", "1000") as server:
            trace = "4bf92f3577b34da6a3ce929d0e0e4736"
            self.assertEqual(ask(server, {"prompt": "a fox", "num_inference_steps": 2}, {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})[0], 200)
            os.kill(children(server.process.pid)[0], signal.SIGKILL)
            self.assertTrue(until(lambda: server.said().count('"worker_ready"') >= 2))
            with open(server.log.name) as file:
                lines = [json.loads(line) for line in file]
            self.assertLessEqual({"note", "listening", "loading", "ready", "worker_ready", "worker_lost"}, {line["event"] for line in lines})
            self.assertTrue(all(line["time"] and line["level"] for line in lines))
            self.assertEqual({line["event"] for line in lines if line.get("trace") == trace}, {"request", "order_admitted", "image_ended"})
            self.assertEqual([line for line in lines if line.get("path") in ("/queue", "/health/ready")], [])
            report = "\n".join(line["text"] for line in lines if line["event"] == "ready")
            self.assertRegex(report, r"(?m)^  64x64.*, step( \d+ rows? \d+\.\d+ s,)+ decode \d+\.\d+ s$")
            self.assertRegex(report, r"(?m)^  \S+ (MiB|GiB) planned: ")

    def test_what_ends_a_start_is_json_too(self):
        for flags, event in ([["--model", "/no/such/folder"], "failed"], [["--max-queue", "0"], "failed"], [["--no-such-flag"], "failed"],
                             [["--trusted-proxies", "proxy.example.org"], "failed"], [["--root-path", "inkstone"], "failed"]):
            done = subprocess.run([os.environ["INKSTONE_BINARY"], "serve", "--port", "0", *flags, "--log-format", "json"],
                                  capture_output=True, text=True, timeout=LIMIT)
            self.assertNotEqual(done.returncode, 0)
            lines = [json.loads(line) for line in done.stderr.splitlines()]
            self.assertEqual((lines[-1]["event"], lines[-1]["level"]), (event, "error"), done.stderr)

    def test_levels_say_less_and_more(self):
        for level, seen, unseen in (("warn", [], ["path=/jobs", "loading", "ready  "]), ("debug", ["path=/queue", "path=/health/ready", "path=/jobs"], [])):
            with Server("--log-level", level) as server:
                server.get("/queue"), server.get("/jobs")
                self.assertTrue(until(lambda: all(word in server.said() for word in seen)))
                self.assertEqual([word for word in unseen if word in server.said()], [])

    def test_a_full_pipe_for_both_outputs_stops_no_start(self):
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        while True:
            try:
                os.write(writer, b"x" * 4096)
            except BlockingIOError:
                break
        os.set_blocking(writer, True)
        process = subprocess.Popen([os.environ["INKSTONE_BINARY"], "serve", "--port", "0"], stdout=writer, stderr=writer)
        try:
            server = Server()
            self.assertTrue(until(lambda: listening_port(process.pid)))
            port = listening_port(process.pid)
            server.url = f"http://127.0.0.1:{port}"
            self.assertTrue(until(lambda: ready(server)))
            refused = subprocess.run([os.environ["INKSTONE_BINARY"], "serve", "--port", str(port)], stdout=writer, stderr=writer, timeout=LIMIT)
            self.assertEqual(refused.returncode, 1)
        finally:
            process.terminate()
            self.assertEqual(process.wait(LIMIT), 0)
            os.close(reader)
            os.close(writer)


class Metrics(unittest.TestCase):
    def test_those_of_processes_and_the_model_are_there(self):
        with Server() as server:
            text = urllib.request.urlopen(server.url + "/metrics").read().decode()
            values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
            self.assertEqual(values['inkstone_rejected_total{code="queue_full"}'], "0")
            self.assertGreater(float(values["process_resident_memory_bytes"]), 1e6)
            self.assertLess(abs(float(values["process_open_fds"]) - descriptors(server.process.pid)), 5)
            resident = float(values['inkstone_worker_resident_bytes{worker="0",device="cpu"}'])
            self.assertGreater(resident, 1e6)
            self.assertTrue(any(name.startswith('inkstone_model_info{model="demo"') for name in values))
            self.assertFalse(any(name.startswith("inkstone_device_ai_core_ratio") for name in values))


class Devices(unittest.TestCase):
    def test_a_card_is_looked_for_before_anything_starts(self):
        environment = {**os.environ, "INKSTONE_ASCENDCL": "/no/libascendcl.so", "INKSTONE_DCMI_LIBRARY": "/no/libdcmi.so", "INKSTONE_NPU_SMI": "/no/npu-smi"}
        for device, more in (("npu:0", []), ("npu:all", []), ("npu:0,1", ["--verbose"])):
            done = subprocess.run([os.environ["INKSTONE_BINARY"], "serve", "--port", "0", "--device", device, *more], capture_output=True,
                                  text=True, timeout=LIMIT, env=environment)
            self.assertEqual((done.returncode, done.stdout, done.stderr.count("\n")), (1, "", 1), done.stderr)
            self.assertRegex(done.stderr, r"^inkstone: --device npu:\S+: [a-z].*: ")
            self.assertEqual("/no/libascendcl.so" in done.stderr, bool(more), done.stderr)


def listening_port(pid):
    sockets = set()
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        try:
            sockets.add(os.readlink(f"/proc/{pid}/fd/{descriptor}"))
        except OSError:
            continue
    with open(f"/proc/{pid}/net/tcp") as file:
        for words in (line.split() for line in list(file)[1:]):
            if words[3] == "0A" and f"socket:[{words[9]}]" in sockets:
                return int(words[1].split(":")[1], 16)
    return None


def memory(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS"))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
