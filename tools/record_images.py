#!/usr/bin/env python3
"""Records the images that Inkstone draws, and later shows that it still draws the same.

    record_images.py --binary build/release/inkstone record images.json     before a change of the code
    record_images.py --binary build/release/inkstone compare images.json    after it, on the same machine

Compare draws all cases again and names each image whose pixels differ or that is missing; then the exit code is 1.
PNG files of the same pixels whose text differs are counted and are no fault. The simulated Ascend card takes part where
--simulator names a build folder that has it:

    cmake --preset release -DINKSTONE_TESTS=ON
    cmake --build --preset release --target ascend_sim_acl ascend_sim_atc_program
"""
import argparse, collections, contextlib, hashlib, itertools, json, os, pathlib, platform, re
import struct, subprocess, sys, tempfile, time, urllib.error, urllib.request, zlib
from concurrent import futures

ROOT = pathlib.Path(__file__).resolve().parent.parent
LOCAL = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # asks no proxy
LIMIT = 300  # seconds that an image, an export or a server's start may take

# ---- The program's own names. Where one changes, it changes here alone.

GENERATE, SERVE, EXPORT, VERSION = "generate", "serve", "export", "--version"
FLAGS = {  # what the tables below call a setting: the flag of generate, serve and export
    "attention_slicing": "--attention-slicing", "batch": "--batch", "budget": "--memory-budget",
    "cache_interval": "--cache-interval", "chip": "--soc", "compile": "--compile", "compiled": "--compiled",
    "count": "--count", "device": "--device", "eta": "--eta", "gears": "--gears", "guidance": "--guidance",
    "guidance_interval": "--guidance-interval", "height": "--height", "karras": "--karras", "max_batch": "--max-batch",
    "model": "--model", "negative": "--negative", "out": "--out", "port": "--port", "precision": "--precision",
    "quiet": "--quiet", "scheduler": "--scheduler", "seed": "--seed", "sizes": "--sizes", "steps": "--steps",
    "threads": "--threads", "vae_tile": "--vae-tile", "vae_tiling": "--vae-tiling", "width": "--width"}
VARIABLES = {"instructions": "INKSTONE_ISA", "products": "INKSTONE_PRODUCTS"}  # settings given by the environment
FIELDS = {  # a setting: the field of a request to the server
    "eta": "eta", "guidance": "guidance_scale", "height": "height", "karras": "karras", "negative": "negative_prompt",
    "prompt": "prompt", "scheduler": "scheduler", "seed": "seed", "steps": "num_inference_steps", "width": "width"}
DRAW_ROUTE, READY_ROUTE = "/generate", "/health/ready"
ADDRESS_LINE = "listening on "  # of the server, with the address at its end
COUNTED_FILE = "image-{seed}.png"  # what several images with --out image.png are called
CACHE_VARIABLE = "INKSTONE_CACHE"
SIMULATOR_FILES = {  # in the build folder, by the variable that tells the program of them
    "INKSTONE_ATC": "ascend_sim/bin/atc", "INKSTONE_ASCENDCL": "ascend_sim/lib64/libascendcl.so"}
FOREIGN_VARIABLES = ("INKSTONE_", "ONEDNN_", "DNNL_", "OMP_", "GOMP_")  # the caller's, kept from the program

# ---- What is drawn.

TINY = "tests/fixtures/models/tiny-sd15"
MODELS = {  # a whole model, and the parts of it that are taken from elsewhere
    "demo": ("demo/model", {}),
    "tiny": (TINY, {}),
    "tiny with old VAE": (TINY, {"vae": TINY + "/vae_old"}),
    "tiny in v": (TINY, {"scheduler": "tests/fixtures/models/tiny-sd2/scheduler"})}  # v prediction
EXPORTS = {  # for the simulated card
    "fp32": {"precision": "fp32", "sizes": "64,96x64", "batch": "1,2", "vae_tile": 4},
    "gears": {"precision": "fp32", "sizes": "64", "batch": "1,2,3,4", "gears": True},
    "fp16": {"precision": "fp16", "sizes": "64"},
    "mixed": {"precision": "mixed", "sizes": "64"}}

IMAGE = {"prompt": "a red apple to the left of a bee", "seed": 7, "steps": 4, "width": 64, "height": 64}
MACHINE = {"model": "demo", "precision": "fp32", "threads": 2}
BF16, CARD = {"precision": "bf16"}, {"device": "npu:0"}
NO_GUIDANCE, GUIDANCE = {"guidance": 1}, {"guidance": 7.5}
SCHEDULERS = ["pndm", "ddim", "euler", "euler-ancestral", "dpm++-2m", "dpm++-2m-sde", "unipc", "lcm"]
SERVERS = {"fp32": MACHINE, "bf16": {**MACHINE, **BF16},
           "card": {**MACHINE, **CARD, "compiled": "gears", "max_batch": 4}}
LONG_PROMPT = "a fox, a bee, a castle and a snowman beside two cats on a gray background, " * 8  # beyond 77 tokens

def size(width, height):
    return {"width": width, "height": height}

def generated_cases():
    """Yields a name, and the settings besides those of IMAGE and MACHINE; None takes one of these away."""
    yield "all defaults", {"steps": None, "width": None, "height": None, "precision": None, "threads": None}
    for name in SCHEDULERS:
        yield f"{name}, guided", {"scheduler": name, **GUIDANCE}
        yield f"{name}, not guided, bf16", {"scheduler": name, **BF16, **NO_GUIDANCE}
        yield f"{name}, v prediction", {"scheduler": name, "model": "tiny in v", "steps": 6, **size(32, 32)}
    for name in ["euler", "dpm++-2m", "dpm++-2m-sde", "unipc"]:
        yield f"{name}, Karras", {"scheduler": name, "karras": True, "steps": 6}
    yield "unipc, 1 step", {"scheduler": "unipc", "steps": 1}
    yield "ddim, eta 1, bf16", {"scheduler": "ddim", "eta": 1, **BF16}
    yield "pndm, 8 steps", {"scheduler": "pndm", "steps": 8}

    yield "negative prompt", {"negative": "blurry", **GUIDANCE}
    yield "negative prompt, bf16", {"negative": "blurry, a bee", **GUIDANCE, **BF16}
    yield "long prompts", {"prompt": LONG_PROMPT, "negative": LONG_PROMPT[::-1]}
    yield "empty prompt", {"prompt": ""}
    yield "prompt of all sorts", {"prompt": "Ein Fuchs\tüber 狐 🦊, d'une  CASTLE's <b>!"}
    yield "greatest seed", {"seed": 2**64 - 1}

    for width, height in [(128, 64), (64, 128), (96, 96), (16, 16), (84, 76), (4, 4)]:
        yield f"{width}x{height}", {**size(width, height), **GUIDANCE}
        yield f"{width}x{height}, bf16", {**size(width, height), **BF16, **NO_GUIDANCE}
    yield "256x256", size(256, 256)
    yield "VAE tiling", {"vae_tiling": "on", **size(64, 96)}
    yield "VAE tiling, bf16", {"vae_tiling": "on", **size(96, 64), **BF16}
    yield "attention slicing", {"attention_slicing": "on", **size(96, 64)}
    yield "attention slicing, bf16", {"attention_slicing": "on", **NO_GUIDANCE, **BF16}
    yield "VAE tiling and attention slicing", {"vae_tiling": "on", "attention_slicing": "on", **size(192, 192)}
    # A little over the least that works. The names say what the planner gave up for them when they were chosen.
    yield "budget, weights pass through", {"budget": "52MiB"}
    yield "budget, components take turns, bf16", {"budget": "75MiB", **BF16}
    yield "budget, VAE in bands", {"budget": "54MiB", **size(128, 128)}
    yield "budget, VAE in bands, Karras", {"budget": "62MiB", **size(192, 192), "scheduler": "unipc", "karras": True}
    yield "cache interval 2", {"cache_interval": 2, "steps": 6}
    yield "cache interval 3, bf16", {"cache_interval": 3, "steps": 6, "scheduler": "dpm++-2m", **BF16}
    yield "guidance interval 0.2 to 0.6", {"guidance_interval": "0.2,0.6", "steps": 6, **GUIDANCE}
    yield "both intervals", {"cache_interval": 2, "guidance_interval": "0.1,0.8", "steps": 8, "scheduler": "unipc"}
    yield "three images", {"count": 3, **GUIDANCE}
    yield "three images, bf16", {"count": 3, "scheduler": "euler-ancestral", **BF16}
    for name, settings in [("demo", {}), ("bf16", {**BF16, **size(128, 64)}), ("tiny model", {"model": "tiny"})]:
        yield f"2 threads and 1, {name}", {**settings, "again": {"threads": 1}}  # drawn twice: the same pixels
    for variable, value in [("instructions", "avx2"), ("instructions", "portable"), ("products", "onednn")]:
        yield f"{variable} {value}", {variable: value}
        yield f"{variable} {value}, bf16", {variable: value, **BF16}

    reference = {"device": "reference", "steps": 2}
    yield "reference", {**reference, **NO_GUIDANCE, **size(16, 16)}
    yield "reference, tiny model", {**reference, "model": "tiny", **size(32, 32), "scheduler": "dpm++-2m"}
    yield "reference, v prediction", {**reference, "model": "tiny in v", "scheduler": "ddim", **size(16, 16), "cache_interval": 2}
    yield "tiny model", {"model": "tiny", **size(32, 32)}
    yield "tiny model, 40x24, bf16", {"model": "tiny", **size(40, 24), **BF16, "negative": "a bee"}
    yield "tiny model, sliced", {"model": "tiny", **size(64, 32), "vae_tiling": "on", "attention_slicing": "on"}
    yield "tiny model with old VAE", {"model": "tiny with old VAE", **size(32, 32), "scheduler": "lcm"}

    yield "card", {**CARD, "compiled": "fp32", **GUIDANCE}
    yield "card, not guided", {**CARD, "compiled": "fp32", "scheduler": "unipc", **NO_GUIDANCE}
    yield "card, 96x64", {**CARD, "compiled": "fp32", "scheduler": "euler-ancestral", **size(96, 64)}
    yield "card, VAE tiling", {**CARD, "compiled": "fp32", "vae_tiling": "on"}
    yield "card, gears, three images", {**CARD, "compiled": "gears", "count": 3}
    yield "card, fp16", {**CARD, "compiled": "fp16", "precision": None, "scheduler": "ddim"}
    yield "card, mixed", {**CARD, "compiled": "mixed", "precision": None, "scheduler": "ddim"}

def served_cases():
    """Yields a server, a name and a request's settings. A server gets all of its requests at the same time."""
    for server, count in [("fp32", 12), ("bf16", 8), ("card", 6)]:
        for i in range(count):
            scheduler = SCHEDULERS[i % len(SCHEDULERS)]
            settings = {"scheduler": scheduler, "seed": 100 + i, "steps": 4 + i % 5, "guidance": [1, 7.5, 3][i % 3]}
            if i % 4 == 2 and server != "card": settings |= size(96, 64)
            if i % 4 == 3: settings["negative"] = "blurry"
            if i in (1, 9): settings["eta"] = 0.5  # of ddim
            if i in (2, 10): settings["karras"] = True  # of euler
            yield server, f"request {i} ({scheduler})", settings

Case = collections.namedtuple("Case", "name settings server")  # server: which one draws it, or none

def all_cases():
    cases = [Case(name, {**IMAGE, **MACHINE, **settings}, None) for name, settings in generated_cases()]
    return cases + [Case(f"server {server}, {name}", {**IMAGE, **settings}, server)
                    for server, name, settings in served_cases()]

def needs_card(case):
    return "compiled" in case.settings | SERVERS.get(case.server, {})

# ---- Drawing.

class Failure(Exception):
    """Why an image was not drawn."""

def unfilter(kind, row, above):
    for x in range(len(row) if kind else 0):
        left, up, corner = (row[x - 3], above[x], above[x - 3]) if x >= 3 else (0, above[x], 0)
        nearest = min((left, up, corner), key=lambda value: abs(left + up - corner - value))  # Paeth's guess
        row[x] = (row[x] + (0, left, up, (left + up) // 2, nearest)[kind]) & 255
    return row

def figures(png, settings):
    """What is recorded of a PNG, which must be 8-bit RGB and have the size that was asked for."""
    if png[:8] != b"\x89PNG\r\n\x1a\n": raise Failure(f"not a PNG: {png[:80]!r}")
    chunks, at = collections.defaultdict(bytes), 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        chunks[png[at + 4:at + 8]] += png[at + 8:at + 8 + length]
        at += 12 + length
    width, height, *form = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    raw, line = zlib.decompress(chunks[b"IDAT"]), 3 * width + 1
    if form != [8, 2, 0, 0, 0] or len(raw) != height * line: raise Failure(f"{len(raw)} bytes of form {form}")
    if settings["width"] not in (None, width) or settings["height"] not in (None, height):
        raise Failure(f"{width}x{height} instead of {settings['width']}x{settings['height']}")
    rows = [bytes(line)]
    for start in range(0, len(raw), line):
        rows.append(unfilter(raw[start], bytearray(raw[start + 1:start + line]), rows[-1]))
    return {"size": f"{width}x{height}", "pixels": hashlib.sha256(b"".join(rows[1:])).hexdigest(),
            "file": hashlib.sha256(png).hexdigest()}

class Studio:
    """Draws by the program. All that it writes lies in `folder`."""

    def __init__(self, binary, simulator, folder):
        self.binary, self.folder = binary, pathlib.Path(folder)
        clean = {name: text for name, text in os.environ.items() if not name.startswith(FOREIGN_VARIABLES)}
        # Threads that wait sleep at once, since the machine may be shared. This changes no image.
        self.environment = {**clean, CACHE_VARIABLE: f"{folder}/cache", "GOMP_SPINCOUNT": "0"}
        if simulator: self.environment |= {name: str(simulator / file) for name, file in SIMULATOR_FILES.items()}

    def process(self, words, settings):
        """How subprocess starts the program with these settings."""
        command, environment = [self.binary, *words], dict(self.environment)
        for name, value in settings.items():
            if name == "model": value = self.model(value)
            if name == "compiled": value = self.export(value)
            if name in VARIABLES: environment[VARIABLES[name]] = value
            elif value is True: command.append(FLAGS[name])
            elif value is not None and name not in ("prompt", "again"): command += [FLAGS[name], str(value)]
        return {"args": command, "env": environment, "stdin": subprocess.DEVNULL}

    def run(self, words, settings):
        done = subprocess.run(**self.process(words, settings), capture_output=True, text=True, timeout=LIMIT)
        if done.returncode: raise Failure(f"exit code {done.returncode}: {done.stderr.strip()[-600:]}")
        return done.stdout.strip()

    def model(self, name):
        folder, (whole, others) = self.folder / f"model {name}", MODELS[name]
        if not folder.exists():
            folder.mkdir()
            for path in (ROOT / whole).iterdir(): (folder / path.name).symlink_to(ROOT / others.get(path.name, path))
        return folder

    def export(self, name):
        folder, settings = self.folder / f"export {name}", {"chip": "Ascend910B4", "compile": "require", "quiet": True}
        if not folder.exists(): self.run([EXPORT], {"model": "demo", **settings, **EXPORTS[name], "out": folder})
        return folder

    def generate(self, settings):
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            self.run([GENERATE, settings["prompt"]], {**settings, "quiet": True, "out": f"{folder}/image.png"})
            seeds = range(settings["seed"], settings["seed"] + settings.get("count", 1))
            names = [COUNTED_FILE.format(seed=seed) for seed in seeds] if len(seeds) > 1 else ["image.png"]
            images = [figures(pathlib.Path(folder, name).read_bytes(), settings) for name in names]
        if again := settings.get("again"):
            same = self.generate({**settings, **again, "again": None})
            if [one["pixels"] for one in same] != [one["pixels"] for one in images]:
                raise Failure(f"another image with {again}")
        return images

    @contextlib.contextmanager
    def server(self, settings):
        """A server's address, once it is ready."""
        with tempfile.NamedTemporaryFile("r", dir=self.folder) as log, open(log.name, "w") as end_of_log, \
                subprocess.Popen(**self.process([SERVE], {**settings, "port": 0}), stdout=end_of_log,
                                 stderr=subprocess.STDOUT) as process:
            try:
                end, address = time.monotonic() + LIMIT, ""
                while not address or isinstance(attempt(LOCAL.open, address + READY_ROUTE, None, 5), Failure):
                    said = pathlib.Path(log.name).read_text()
                    if process.poll() is not None or time.monotonic() > end:
                        raise Failure(f"the server did not become ready: {said[-600:].strip()}")
                    found = re.search(rf"^{ADDRESS_LINE}.*?(http://\S+?)/?\n", said, re.MULTILINE)
                    address = found[1] if found else ""
                    time.sleep(0.1)
                yield address
            finally:
                process.terminate()

    def outcomes(self, cases):
        """Yields each case with its images, or with the Failure."""
        for name, group in itertools.groupby(cases, lambda case: case.server):
            group = list(group)
            if name is None:
                yield from ((case, attempt(self.generate, case.settings)) for case in group)
                continue
            try:
                with self.server(SERVERS[name]) as address, futures.ThreadPoolExecutor(len(group)) as clients:
                    yield from zip(group, clients.map(lambda case: attempt(ask, address, case.settings), group))
            except Failure as failure:
                yield from ((case, failure) for case in group)

def ask(address, settings):
    body = json.dumps({FIELDS[name]: value for name, value in settings.items()}).encode()
    headers = {"Content-Type": "application/json", "Accept": "image/png"}
    with LOCAL.open(urllib.request.Request(address + DRAW_ROUTE, body, headers), timeout=LIMIT) as answer:
        return [figures(answer.read(), settings)]

def attempt(work, *arguments):
    try:
        return work(*arguments)
    except urllib.error.HTTPError as error:
        return Failure(f"status {error.code}: {error.read()[:600].decode(errors='replace')}")
    except Exception as error:
        return error if isinstance(error, Failure) else Failure(repr(error))

# ---- The recording.

def machine():
    """What the last bits of an image depend on besides the program."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    said = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    relevant = ("sse4", "avx", "fma", "f16c", "amx", "asimd", "sve", "bf16", "i8mm")
    return {"processor": said.get("model name", platform.machine()),
            "instructions": [word for word in sorted(said.get("flags", said.get("Features", "")).split())
                             if word.startswith(relevant)]}

def faults(was, now):
    """What is wrong with a case's images, each beside what was recorded; was is None where nothing was."""
    if isinstance(now, Failure): return [f"not drawn: {now}"]
    if was is None: return ["not in the recording"]
    if len(was) != len(now): return [f"{len(now)} images instead of {len(was)}"]
    return [f"image {i} differs" if len(was) > 1 else "differs" for i, (old, new) in enumerate(zip(was, now), 1)
            if (old["size"], old["pixels"]) != (new["size"], new["pixels"])]

def draw(options, cases, recording):
    """What is drawn now, and the faults of each case that has some: beside the recording, where there is one."""
    found, begin = {}, time.monotonic()
    with tempfile.TemporaryDirectory(prefix="record_images_") as folder:
        studio = Studio(os.path.abspath(options.binary), options.simulator and options.simulator.resolve(), folder)
        now = {"program": studio.run([VERSION], {}), "machine": machine(), "images": {}}
        for key in ["program", "machine"] if recording else []:
            if recording[key] != now[key]: print(f"warning: the {key} was {recording[key]}, now it is {now[key]}")
        for number, (case, outcome) in enumerate(studio.outcomes(cases), 1):
            texts = faults(recording["images"].get(case.name) if recording else outcome, outcome)
            if texts: found[case.name] = texts
            if not isinstance(outcome, Failure): now["images"][case.name] = outcome
            seconds = time.monotonic() - begin
            print(f"{number:4}/{len(cases)} {seconds:6.1f} s  {case.name}", *texts[:1], sep=": ", flush=True)
    return now, found

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="the program inkstone, of a release build")
    parser.add_argument("--only", default="", metavar="SUBSTRING", help="the cases whose names have it, no others")
    parser.add_argument("--simulator", type=pathlib.Path, metavar="FOLDER",
                        help="a build folder with the simulated Ascend card; without it the card's cases are skipped")
    parser.add_argument("action", choices=["record", "compare"], help="write the file; or draw again and compare")
    parser.add_argument("file", type=pathlib.Path, help="the recording, in JSON")
    options = parser.parse_args()
    needed = [options.binary] + [options.simulator / file for file in SIMULATOR_FILES.values() if options.simulator]
    for file in needed + [options.file] * (options.action == "compare"):
        if not os.path.isfile(file): parser.error(f"{file} is no file")
    recording = json.loads(options.file.read_text()) if options.action == "compare" else None
    wanted = [case for case in all_cases() if options.only in case.name]
    cases = [case for case in wanted if options.simulator or not needs_card(case)]
    if cases != wanted: print(f"no --simulator: {len(wanted) - len(cases)} cases of the simulated card are skipped")
    now, found = draw(options, cases, recording)
    if recording:
        names = {case.name for case in wanted}
        gone = [name for name in recording["images"] if options.only in name and name not in names]
        found |= dict.fromkeys(gone, ["is no case any more"])
        pairs = [pair for name, new in now["images"].items() for pair in zip(recording["images"].get(name, []), new)]
        text_alone = sum(old["pixels"] == new["pixels"] and old["file"] != new["file"] for old, new in pairs)
        if text_alone: print(f"{text_alone} files differ in their text alone")
    else:
        options.file.write_text(json.dumps(now, indent=1) + "\n")
    for name, texts in found.items(): print(*(f"{name}: {text}" for text in texts), sep="\n")
    wrong = sum(map(len, found.values()))
    print(f"{sum(map(len, now['images'].values()))} images, {wrong} " + ("differ" if recording else "failed"))
    sys.exit(1 if wrong else 0)

if __name__ == "__main__":
    main()
