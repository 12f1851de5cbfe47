"""inkstone pull from outside, against a server that speaks as the hub does; Python's own library alone.

INKSTONE_BINARY is the program, INKSTONE_DEMO the demo model's folder. Nothing is judged by time.
"""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fake_hub import COMMIT, FakeHub, git_name, name_of, sha256

PROGRAM, DEMO = os.environ["INKSTONE_BINARY"], pathlib.Path(os.environ["INKSTONE_DEMO"])
LIMIT = 180
TOKEN = "hf_secretsecretsecret"
UNET = "unet/diffusion_pytorch_model.safetensors"


def demo_files():
    return {path.relative_to(DEMO).as_posix(): path.read_bytes() for path in sorted(DEMO.rglob("*")) if path.is_file()}


def light_files():
    """The demo model, with weights that nobody reads: pulling compares checksums, not tensors."""
    files = demo_files()
    for number, path in enumerate(sorted(path for path in files if path.endswith(".safetensors"))):
        files[path] = bytes((number + byte * byte) % 251 for byte in range(300_000))
    return files


class Pull(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="inkstone_pull_"))
        self.cache = self.folder / "cache"
        self.hub = None

    def tearDown(self):
        if self.hub: self.hub.close()
        shutil.rmtree(self.folder)

    def start(self, files=None):
        self.hub = FakeHub(light_files() if files is None else files)
        return self.hub

    def environment(self, **more):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))
                and not name.lower().endswith("_proxy")}
        return kept | {"HF_HUB_CACHE": str(self.cache), "HF_HOME": str(self.folder / "home"),
                       "HF_ENDPOINT": self.hub.url if self.hub else "http://127.0.0.1:1"} | more

    def inkstone(self, *arguments, **environment):
        return subprocess.run([PROGRAM, *arguments], capture_output=True, text=True, timeout=LIMIT, cwd=self.folder,
                              env=self.environment(**environment))

    def pull(self, *arguments, **environment):
        run = self.inkstone("pull", "org/name", *arguments, **environment)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run

    def refused(self, pattern, *arguments, code=1, **environment):
        run = self.inkstone("pull", *(arguments or ("org/name",)), **environment)
        last = run.stderr.splitlines()[-1]
        self.assertEqual(run.returncode, code, run.stderr)
        self.assertRegex(last, pattern)
        self.assertTrue(last.startswith("inkstone: "), last)
        self.assertFalse((self.repository / "refs").exists())
        return run

    @property
    def repository(self): return self.cache / "models--org--name"

    @property
    def snapshot(self): return self.repository / "snapshots" / COMMIT

    def pulled(self): return {path.relative_to(self.snapshot).as_posix() for path in self.snapshot.rglob("*") if path.is_file()}

    def expect_whole(self, paths):
        self.assertEqual(self.pulled(), set(paths))
        for path in paths:
            link = self.snapshot / path
            target = os.readlink(link)
            self.assertTrue(link.is_symlink() and target.startswith("../../") and "/blobs/" in target)
            self.assertEqual(link.resolve().name, name_of(path, self.hub.files[path]))
            self.assertEqual(link.read_bytes(), self.hub.files[path])
        self.assertEqual((self.repository / "refs/main").read_text(), COMMIT)
        self.assertEqual(list(self.repository.glob("blobs/*.incomplete")), [])

    # What is pulled.

    def test_a_pulled_model_draws_as_its_folder_does(self):
        files = demo_files()
        hub = self.start(files | {"README.md": b"# a model", "safety_checker/model.safetensors": b"no",
                                  "unet/diffusion_pytorch_model.bin": b"no", "v1.ckpt": b"no"})
        run = self.pull("--json")
        self.expect_whole(files)
        result = json.loads(run.stdout)
        self.assertEqual((result["commit"], result["files"], result["bytes"]),
                         (COMMIT, len(files), sum(map(len, files.values()))))
        self.assertEqual(result["received_bytes"], result["bytes"])
        self.assertEqual(result["folder"], str(self.snapshot))
        for path in files: self.assertEqual(len(hub.asked("hub", "/" + path)), 1, path)

        images = []
        copy = self.folder / "models--org--name" / "model"  # the image says the model's name, which is made of its folder
        shutil.copytree(DEMO, copy)
        for model in ("org/name", str(copy)):
            run = self.inkstone("generate", "a fox", "--seed", "7", "--steps", "2", "--model", model, "--out", "x.png")
            self.assertEqual(run.returncode, 0, run.stderr)
            images.append((self.folder / "x.png").read_bytes())
        self.assertEqual(*images)

        before = len(hub.seen)
        again = self.pull()
        self.assertIn("org/name is up to date", again.stderr)
        self.assertEqual([seen.path for seen in hub.seen[before:]], ["/api/models/org/name/revision/main?blobs=true"])

    def test_fp16_is_taken_where_it_is_and_what_is_here_stays(self):
        files = light_files()
        half = "unet/diffusion_pytorch_model.fp16.safetensors"
        hub = self.start(files | {half: b"half" * 1000})
        self.pull()
        self.expect_whole(set(files) - {UNET} | {half})
        self.assertFalse(hub.asked("hub", UNET))
        self.assertIn("up to date", self.pull().stderr)
        self.pull("--variant", "none")
        self.expect_whole(set(files) | {half})
        self.assertIn("up to date", self.pull().stderr)

    def test_weights_that_others_hide_are_noted(self):
        files = light_files()
        halves = {path.replace(".safetensors", ".fp16.safetensors"): b"half" for path in files if path.endswith(".safetensors")}
        self.start(files | halves)
        self.assertNotIn("note", self.pull("--variant", "none").stderr)
        run = self.pull("--variant", "fp16")
        self.expect_whole(self.hub.files)
        self.assertRegex(run.stderr, rf"note: unet/diffusion_pytorch_model\.fp16\.safetensors .*{UNET} is read instead")

    def test_a_variant_that_is_not_there_is_refused(self):
        self.start()
        self.refused(r"its text_encoder has not the variant fp16 of the weights as safetensors.*model\.safetensors",
                     "org/name", "--variant", "fp16")
        self.assertFalse(self.hub.asked("cdn"))

    def test_pickles_are_never_downloaded(self):
        files = light_files()
        files["vae/diffusion_pytorch_model.bin"] = files.pop("vae/diffusion_pytorch_model.safetensors")
        self.start(files)
        self.refused(r"its vae has not weights as safetensors.*diffusion_pytorch_model\.bin")
        self.assertFalse(self.hub.asked("cdn"))

    def test_shards_come_with_their_index(self):
        files = light_files()
        del files[UNET]
        shards = [f"diffusion_pytorch_model.fp16-0000{number}-of-00002.safetensors" for number in (1, 2)]
        index = {"metadata": {}, "weight_map": {"a": shards[0], "b": shards[1], "c": shards[0]}}
        files |= {f"unet/{shard}": shard.encode() for shard in shards}
        files["unet/diffusion_pytorch_model.safetensors.index.fp16.json"] = json.dumps(index).encode()
        self.start(files)
        self.pull()
        self.expect_whole(files)

    def test_hostile_shards_and_paths_lead_nowhere(self):
        files = light_files()
        del files[UNET]
        files["unet/diffusion_pytorch_model.safetensors.index.json"] = b'{"weight_map": {"a": "../../../../x.safetensors"}}'
        hub = self.start(files)
        names = ["../x.safetensors", "/etc/x", "unet/../../x", "a\\b", "a//b", "unet/\nconfig.json", "", ".."]
        extra = [{"rfilename": name, "size": 1, "blobId": "0" * 40} for name in names]
        hub.changed = lambda listing: listing | {"siblings": extra + listing["siblings"]}
        self.refused(r"the shard name .* is not a plain name")
        self.assertFalse(list(self.folder.rglob("x*")))
        self.assertFalse(any("x" == seen.path.rsplit("/", 1)[-1] for seen in hub.seen))

    def test_a_revision_is_kept_under_its_name(self):
        self.start()
        run = self.inkstone("pull", "org/name@refs/pr/1")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual((self.repository / "refs/refs/pr/1").read_text(), COMMIT)
        self.assertEqual(self.hub.seen[0].path, "/api/models/org/name/revision/refs%2Fpr%2F1?blobs=true")
        self.assertEqual(self.inkstone("pull", f"org/name@{COMMIT}").returncode, 0)
        self.assertFalse((self.repository / "refs" / COMMIT).exists())
        self.assertEqual(self.inkstone("pull", "https://huggingface.co/org/name/tree/main").returncode, 0)

    # What is refused before it is downloaded.

    def test_another_pipeline_is_refused_before_its_weights(self):
        files = light_files()
        files["model_index.json"] = files["model_index.json"].replace(b'"StableDiffusionPipeline"', b'"StableDiffusionUpscalePipeline"')
        hub = self.start(files)
        self.refused(r"org/name/model_index\.json: a StableDiffusionUpscalePipeline; this program runs StableDiffusionPipeline")
        self.assertEqual(len(hub.seen), 2)
        self.assertFalse(self.cache.exists())

    def test_a_repository_without_a_pipeline_is_refused(self):
        self.start({"model.safetensors": b"x", "README.md": b"x", "unet/a": b"x"})
        self.refused(r"org/name is no model in diffusers' layout: it has no model_index\.json \(it has README\.md, "
                     r"model\.safetensors, unet/\)")
        self.assertEqual(len(self.hub.seen), 1)
        self.assertFalse(self.cache.exists())

    def test_a_network_that_is_not_run_is_refused_before_its_weights(self):
        files = light_files()
        files["unet/config.json"] = re.sub(rb'"in_channels": \d+', b'"in_channels": 8', files["unet/config.json"])
        self.start(files)
        self.refused(r"in_channels.*instructions")
        self.assertFalse(self.hub.asked("cdn"))

    def test_a_model_larger_than_the_disk_is_refused(self):
        hub = self.start()

        def grow(listing):
            for entry in listing["siblings"]:
                if entry["rfilename"] == UNET: entry["lfs"]["size"] = entry["size"] = 1 << 60
            return listing
        hub.changed = grow
        self.refused(r"org/name needs 10995116277\d\d MiB more, and .*cache has \d+ MiB free")
        self.assertFalse(hub.asked("cdn"))

    # Whom it tells what.

    def test_the_token_goes_to_the_hub_alone_and_into_no_text(self):
        hub = self.start()
        run = self.pull("--verbose", HF_TOKEN=TOKEN)
        self.assertEqual({seen.headers.get("Authorization") for seen in hub.asked("hub")}, {f"Bearer {TOKEN}"})
        self.assertEqual(len(hub.asked("cdn")), 3)
        for seen in hub.asked("cdn"): self.assertNotIn("Authorization", seen.headers)
        self.assertNotIn(TOKEN, run.stdout + run.stderr)

    def test_the_token_is_read_from_its_file(self):
        hub = self.start()
        (self.folder / "home").mkdir()
        (self.folder / "home/token").write_text(TOKEN + "\n")
        (self.folder / "other").write_text("hf_other")
        self.pull()
        self.pull(HF_TOKEN_PATH=str(self.folder / "other"))
        self.assertEqual(hub.seen[0].headers["Authorization"], f"Bearer {TOKEN}")
        self.assertEqual(hub.seen[-1].headers["Authorization"], "Bearer hf_other")
        run = self.inkstone("pull", "org/name", HF_TOKEN="a b\r\nX-Evil: 1")
        self.assertEqual(run.returncode, 2)
        self.assertIn("HF_TOKEN holds no token", run.stderr)
        self.assertNotIn("Evil", run.stderr)

    def test_refusals_say_what_to_do_and_never_the_token(self):
        hub = self.start()
        rows = [(401, "GatedRepo", rf"asks for its terms.*{hub.url}/org/name, and put a token .* into HF_TOKEN or .*home/token"),
                (403, "GatedRepo", "asks for its terms"), (401, "RepoNotFound", "has no model org/name, or it is private"),
                (404, "RevisionNotFound", "has no branch, tag or commit main"), (404, "", "has not http.*spelling"),
                (400, "", "answered 400")]
        for status, code, pattern in rows:
            hub.fault("hub/api", lambda handler: handler.refuse(status, code))
            self.refused(pattern)
            hub.fault("hub/api", lambda handler: handler.refuse(status, code))
            run = self.refused(pattern.split(" into ")[0], HF_TOKEN=TOKEN)
            self.assertNotIn(TOKEN, run.stdout + run.stderr)
        self.refused("has no model other/name", "other/name")
        self.refused("has no branch, tag or commit v9", "org/name@v9")

    def test_what_is_no_id_is_wrong_usage(self):
        self.start()
        for name in ("name", "a/b/c", "../x", "https://civitai.com/models/1", "org/name@", "org/name@../x"):
            self.refused("pull|is no model on the hub|is not a branch", name, code=2)
        self.assertEqual(self.inkstone("pull").returncode, 2)
        self.assertFalse(self.hub.seen)

    def test_a_hub_that_cannot_be_asked_is_said(self):
        self.refused(r"127\.0\.0\.1 cannot be reached.*HF_ENDPOINT")
        self.refused(r"nowhere\.invalid cannot be reached", HF_ENDPOINT="https://nowhere.invalid")
        for bad in ("ftp://x", "huggingface", "http://user:secret@host", "http://h?x"):
            run = self.refused("HF_ENDPOINT.* is no address", code=2, HF_ENDPOINT=bad)
            self.assertNotIn("secret", run.stderr)
        hub = self.start()
        self.refused("HF_HUB_OFFLINE=1: nothing is downloaded", code=2, HF_HUB_OFFLINE="1")
        self.assertFalse(hub.seen)
        self.refused(r"no safe connection to 127\.0\.0\.1", HF_ENDPOINT=hub.url.replace("http:", "https:"))

    # What goes wrong on the way.

    def test_cut_connections_are_resumed(self):
        hub = self.start()
        content = hub.files[UNET]

        def cut(handler):
            handler.reply(200, content[:100_000], {}, length=len(content))
            handler.cut()

        def cut_again(handler):
            self.assertEqual(handler.headers["Range"], "bytes=100000-")
            handler.reply(206, content[100_000:200_000], {"Content-Range": f"bytes 100000-{len(content) - 1}/{len(content)}"},
                          length=len(content) - 100_000)
            handler.cut()
        hub.fault("cdn/" + sha256(content), cut, cut_again)
        run = self.pull("--json")
        self.expect_whole(hub.files)
        self.assertEqual([seen.headers.get("Range") for seen in hub.asked("cdn", sha256(content))],
                         [None, "bytes=100000-", "bytes=200000-"])
        self.assertEqual(json.loads(run.stdout)["received_bytes"], sum(map(len, hub.files.values())))
        self.assertIn("again in 1 s", run.stderr)

    def test_an_interrupted_pull_goes_on_where_it_was(self):
        hub = self.start()
        content, arrived, ended = hub.files[UNET], threading.Event(), threading.Event()

        def hang(handler):
            handler.reply(200, content[:150_000], {}, length=len(content))
            handler.wfile.flush()
            arrived.set()
            ended.wait(LIMIT)
        hub.fault("cdn/" + sha256(content), hang)
        process = subprocess.Popen([PROGRAM, "pull", "org/name"], env=self.environment(), cwd=self.folder,
                                   stderr=subprocess.PIPE, text=True)
        self.assertTrue(arrived.wait(LIMIT))
        part = self.repository / "blobs" / (sha256(content) + ".incomplete")
        while process.poll() is None and (not part.exists() or part.stat().st_size < 150_000): time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=LIMIT)
        ended.set()
        self.assertEqual(process.returncode, 130, error)
        self.assertIn("what came so far is kept", error)
        self.assertFalse((self.snapshot / "model_index.json").exists())
        draw = self.inkstone("generate", "a fox", "--model", "org/name")
        self.assertEqual(draw.returncode, 1)
        self.assertIn("the download is incomplete", draw.stderr)
        self.assertIn("`inkstone pull org/name`", draw.stderr)

        before = len(hub.seen)
        self.pull()
        self.expect_whole(hub.files)
        self.assertEqual([seen.headers["Range"] for seen in hub.seen[before:] if seen.server == "cdn" and "Range" in seen.headers],
                         ["bytes=150000-"])

    def test_a_wrong_part_of_an_earlier_pull_is_fetched_anew(self):
        hub = self.start()
        blobs = self.repository / "blobs"
        blobs.mkdir(parents=True)
        for path in (UNET, "unet/config.json"):
            (blobs / (name_of(path, hub.files[path]) + ".incomplete")).write_bytes(b"wrong bytes")
        (blobs / sha256(hub.files["vae/diffusion_pytorch_model.safetensors"])).write_bytes(b"a blob that is cut off")
        self.pull()
        self.expect_whole(hub.files)

    def test_servers_that_are_busy_are_asked_again(self):
        hub = self.start()
        hub.fault("hub/api", lambda handler: handler.reply(429, b"slow down", {"Retry-After": "2"}))
        hub.fault("hub/.*unet/config.json", lambda handler: handler.reply(503, b"", {}))
        hub.fault("cdn/", lambda handler: handler.reply(403, b"expired", {}))
        run = self.pull()
        self.expect_whole(hub.files)
        for text in ("answered 429, too many requests: again in 2 s", "answered 503", "answered 403: again in 1 s"):
            self.assertIn(text, run.stderr)
        hub.fault("hub/api", lambda handler: handler.reply(429, b"", {"Retry-After": "4000"}))
        run = self.inkstone("pull", "org/name")
        self.assertEqual(run.returncode, 1)
        self.assertIn("it asks to wait 4000 s", run.stderr)

    def test_wrong_bytes_are_an_error_and_are_removed(self):
        hub = self.start()
        content = hub.files[UNET]
        hub.fault("cdn/" + sha256(content), lambda handler: handler.content(content[:-1] + b"?"))
        self.refused(rf"{UNET} is not what 127\.0\.0\.1 says it is: its checksum is not {sha256(content)}")
        self.assertEqual(list(self.repository.glob(f"blobs/{sha256(content)}*")), [])
        self.assertFalse((self.snapshot / UNET).exists() or (self.snapshot / "model_index.json").exists())
        hub.fault("hub/.*/tokenizer/vocab.json", lambda handler: handler.content(b"?" * len(hub.files["tokenizer/vocab.json"])))
        shutil.rmtree(self.cache)
        self.refused("tokenizer/vocab.json is not what")
        shutil.rmtree(self.cache)
        self.pull()
        self.expect_whole(hub.files)

    def test_a_lying_size_is_an_error(self):
        hub = self.start()
        content = hub.files[UNET]
        hub.fault("cdn/" + sha256(content), lambda handler: handler.content(content + b"more"))
        self.refused(rf"{UNET} from 127\.0\.0\.1 has {len(content) + 4} bytes, and its list of files says {len(content)}")

        def endless(handler):
            handler.send_response(200)
            handler.end_headers()  # no length: until the connection ends
            handler.close_connection = True
            while True: handler.wfile.write(b"x" * 65536)
        hub.fault("cdn/" + sha256(content), endless)
        self.refused(f"has more bytes than the {len(content)}")
        self.assertEqual(list(self.repository.glob(f"blobs/{sha256(content)}*")), [])

    def test_another_checksum_or_commit_in_the_answer_is_an_error(self):
        hub = self.start()
        link = {"Location": hub.cdn_url, "X-Linked-Etag": f'"{"0" * 64}"'}
        hub.fault("hub/.*unet/diff", lambda handler: handler.reply(302, b"", link))
        self.refused(f"has the checksum {'0' * 64}, and its list of files says")
        hub.fault("hub/.*unet/diff", lambda handler: handler.reply(302, b"", {"X-Repo-Commit": "5" * 40}))
        self.refused(f"is of the commit {'5' * 40}")
        self.assertFalse(hub.asked("cdn", sha256(hub.files[UNET])))

    def test_an_answer_without_end_is_bounded(self):
        hub = self.start()

        def endless(handler):
            handler.send_response(200)
            handler.end_headers()
            handler.close_connection = True
            handler.wfile.write(b'{"siblings": [')
            while True: handler.wfile.write(b'{"rfilename": "a"},' * 4096)
        hub.fault("hub/api", endless)
        self.refused("answered more than 33554432 bytes")
        for text, pattern in ((b"<html>", "what 127.0.0.1 says of org/name:1:1"), (b"[" * 1000, "levels"), (b"{}", "not a commit"),
                              (b'{"sha": "../../x"}', "not a commit")):
            hub.fault("hub/api", lambda handler: handler.reply(200, text, {}))
            self.refused(pattern)

    def test_redirects_end(self):
        hub = self.start()
        here = lambda handler: handler.reply(302, b"", {"Location": handler.path})
        hub.fault("hub/api", *[here] * 20)
        self.refused("redirects .* more than 6 times")
        hub.faults.clear()
        for target, pattern in (("file:///etc/passwd", "no address"), ("", "no address"), ("gopher://x/", "no address")):
            hub.fault("hub/api", lambda handler: handler.reply(302, b"", {"Location": target} if target else {}))
            self.refused(pattern)

    def test_a_renamed_model_is_followed(self):
        hub = self.start()
        hub.fault("hub/api", lambda handler: handler.reply(307, b"", {"Location": "/api/models/org/name/revision/main?blobs=true&x=1"}))
        self.pull()
        self.expect_whole(hub.files)

    def test_two_pulls_at_once_do_not_spoil_each_other(self):
        hub = self.start()
        processes = [subprocess.Popen([PROGRAM, "pull", "org/name"], env=self.environment(), cwd=self.folder,
                                      stderr=subprocess.PIPE, text=True) for _ in range(4)]
        for process in processes:
            _, error = process.communicate(timeout=LIMIT)
            self.assertEqual(process.returncode, 0, error)
        self.expect_whole(hub.files)
        self.assertEqual(len(hub.asked("cdn")), 3)

    def test_a_model_that_is_not_here_is_said_with_the_command(self):
        run = self.inkstone("generate", "a fox", "--model", "org/name")
        self.assertEqual(run.returncode, 1)
        self.assertIn("get it with `inkstone pull org/name`", run.stderr)


if __name__ == "__main__":
    unittest.main()
