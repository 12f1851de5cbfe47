#!/usr/bin/env python3
"""Measures Inkstone's peers on this CPU: a guided step of SD 1.5's U-Net (batch 2) and its VAE decoder, at 512x512.

    bench_peers.py --model DIR --cache DIR [--peers torch,openvino] [--precision bf16|fp32] [--threads N] [--out FILE]

DIR holds a model in diffusers' layout; random weights do. torch is PyTorch with diffusers: eager, channels-last, scaled dot product
attention. openvino runs models that it converted from diffusers' modules, shapes static, kept in the cache; --convert only makes them.
stable-diffusion.cpp is not here: no package index has it, so it must be built from its source and timed by its own program.
Run it with a Python that has torch and diffusers, and openvino for that peer. Every peer runs in a process of its own.
"""
import argparse, collections, importlib, importlib.metadata, json, os, pathlib, platform, statistics, subprocess, sys, tempfile, time, warnings

SHAPES = {  # part: its inputs, in the order that the network takes them
    "unet": {"sample": [2, 4, 64, 64], "timestep": [1], "text": [2, 77, 768]},
    "vae": {"latent": [1, 4, 64, 64]},
}
ROWS = {"step": "guided step", "vae": "VAE decoder"}


def memory(key):
    """Bytes, by a line of /proc/self/status: VmHWM is what was resident at most since the last forget_peak()."""
    line = next(l for l in pathlib.Path("/proc/self/status").read_text().splitlines() if l.startswith(key + ":"))
    return int(line.split()[1]) * 1024


def forget_peak():
    pathlib.Path("/proc/self/clear_refs").write_text("5")


def inputs(part):
    import numpy as np
    draw = np.random.default_rng(1)
    return {name: np.array([981], np.int64) if name == "timestep" else draw.standard_normal(shape, np.float32)
            for name, shape in SHAPES[part].items()}


def network(part, model, dtype):
    """diffusers' module behind plain tensors: U-Net (sample, timestep, text) -> noise; VAE (latent) -> image."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel
    kind = UNet2DConditionModel if part == "unet" else AutoencoderKL

    class Plain(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = kind.from_pretrained(model / part, torch_dtype=dtype)
            if part == "vae": del self.inner.encoder, self.inner.quant_conv

        def forward(self, *given):
            return self.inner(*given, return_dict=False)[0] if part == "unet" else self.inner.decode(*given, return_dict=False)[0]

    return Plain().eval().requires_grad_(False)


def converted(part, cache):
    return cache / f"{part}.xml"


def convert(part, options):
    import openvino, torch
    warnings.simplefilter("ignore")  # tracing doubts what the static shapes settle
    given = tuple(torch.from_numpy(value) for value in inputs(part).values())
    with torch.no_grad():
        made = openvino.convert_model(network(part, options.model, torch.float32), example_input=given, input=list(SHAPES[part].values()))
    options.cache.mkdir(parents=True, exist_ok=True)
    openvino.save_model(made, converted(part, options.cache), compress_to_fp16=True)


def load_torch(part, options):
    """A function that runs the part, and one that tells which kernels a run of it calls."""
    import torch
    torch.set_num_threads(options.threads)
    dtype = {"bf16": torch.bfloat16, "fp32": torch.float32}[options.precision]
    net = network(part, options.model, dtype).to(memory_format=torch.channels_last)
    given = [torch.from_numpy(value) for value in inputs(part).values()]
    given = [value.to(dtype) if value.is_floating_point() else value for value in given]
    given[0] = given[0].to(memory_format=torch.channels_last)

    def run():
        with torch.inference_mode(): return net(*given).float().numpy()

    def kernels():
        with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile: run()
        return [(event.key, event.count, event.self_cpu_time_total / 1e6) for event in profile.key_averages()]

    return run, kernels


def load_openvino(part, options):
    import openvino
    settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": options.threads,
                "INFERENCE_PRECISION_HINT": {"bf16": "bf16", "fp32": "f32"}[options.precision], "PERF_COUNT": options.kernels}
    compiled = openvino.Core().compile_model(converted(part, options.cache), "CPU", settings)
    request = compiled.create_infer_request()
    given = list(inputs(part).values())

    def run():
        return request.infer(given)[0]

    def kernels():
        run()
        return [(f"{node.node_type} {node.exec_type}", 1, node.real_time.total_seconds()) for node in request.profiling_info
                if str(node.status).endswith("EXECUTED")]

    return run, kernels


def summed(kernels):
    """Kernels of one name together, slowest first; those under a thousandth of the whole are left out."""
    calls, seconds = collections.Counter(), collections.Counter()
    for name, count, spent in kernels:
        calls[name] += count
        seconds[name] += spent
    least = sum(seconds.values()) / 1000
    return [{"kernel": name, "calls": calls[name], "seconds": spent} for name, spent in seconds.most_common() if spent > least]


def measure(part, load, repeat, options):
    """What was measured, and the loaded part, which stays in memory for as long as the caller keeps it."""
    import numpy as np
    forget_peak()
    began = time.perf_counter()
    run, kernels = load(part, options)
    loaded = time.perf_counter()
    run()
    first, loading = time.perf_counter(), memory("VmHWM")
    forget_peak()
    runs = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = run()
        runs.append(time.perf_counter() - start)
    found = {"least_s": min(runs), "median_s": statistics.median(runs), "runs_s": runs, "load_s": loaded - began, "first_run_s": first - loaded,
             "peak_loading_bytes": loading, "peak_running_bytes": memory("VmHWM"), "anonymous_bytes": memory("RssAnon"),
             "finite": bool(np.isfinite(result).all()), "deviation": float(result.std())}
    if options.kernels: found["kernels"] = summed(kernels())
    return found, run


def measure_peer(peer, options):
    """For a process of its own. U-Net and VAE stay loaded side by side, as a pipeline keeps them."""
    load, distributions, modules = PEERS[peer]
    began = time.perf_counter()
    for name in modules: importlib.import_module(name)
    found = {"peer": peer, "versions": {name: importlib.metadata.version(name) for name in distributions}, "import_s": time.perf_counter() - began}
    found["step"], unet = measure("unet", load, options.repeat, options)
    found["vae"], vae = measure("vae", load, options.repeat_vae, options)
    found["peak_bytes"] = max(found[row][key] for row in ROWS for key in ("peak_loading_bytes", "peak_running_bytes"))
    return found


PEERS = {  # peer: what loads it, distributions whose versions count, modules to import before the clock starts
    "torch": (load_torch, ["torch", "diffusers"], ["torch", "diffusers.models.autoencoders.autoencoder_kl", "diffusers.models.unets.unet_2d_condition"]),
    "openvino": (load_openvino, ["openvino"], ["numpy", "openvino"]),
}


def alone(arguments, **given):
    """Runs this program again in a process of its own, which does one thing; gives what it found."""
    with tempfile.NamedTemporaryFile("r", suffix=".json") as file:
        task = json.dumps(given | {"file": file.name})
        done = subprocess.run([sys.executable, __file__, *arguments, "--alone", task])
        if done.returncode: raise SystemExit(f"{' '.join(map(str, given.values()))}: its process ended with {done.returncode}")
        return json.loads(file.read() or "null")


def work_alone(options):
    task = json.loads(options.alone)
    if "convert" in task: return convert(task["convert"], options)
    pathlib.Path(task["file"]).write_text(json.dumps(measure_peer(task["measure"], options)))


def processor():
    return next((l.split(":")[1].strip() for l in pathlib.Path("/proc/cpuinfo").read_text().splitlines() if l.startswith("model name")), "")


def table(result):
    lines = [f"{result['cpu']}, {result['threads']} threads, {result['precision']}, 512x512",
             f"{'':10}{'':13}{'least':>9}{'median':>9}{'load':>9}{'first':>9}{'peak running':>14}{'loading':>9}"]
    for found in result["peers"]:
        for row, label in ROWS.items():
            one = found[row]
            seconds = "".join(f"{one[key]:7.2f} s" for key in ("least_s", "median_s", "load_s", "first_run_s"))
            lines.append(f"{found['peer']:10}{label:13}{seconds}{one['peak_running_bytes'] / 2**30:10.2f} GiB{one['peak_loading_bytes'] / 2**30:9.2f}"
                         + ("" if one["finite"] else "  NOT FINITE"))
            lines += [f"{'':12}{k['seconds']:8.3f} s {k['calls']:5} {k['kernel']}" for k in one.get("kernels", [])]
        lines.append(f"{'':10}" + ", ".join(f"{name} {version}" for name, version in found["versions"].items())
                     + f"; imports {found['import_s']:.1f} s; resident at most {found['peak_bytes'] / 2**30:.2f} GiB")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=pathlib.Path, required=True, help="folder with unet/ and vae/")
    parser.add_argument("--cache", type=pathlib.Path, required=True, help="folder for what openvino runs; made from the model where it is missing")
    parser.add_argument("--peers", default="torch,openvino", help="some of: " + ",".join(PEERS))
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeat", type=int, default=5, help="guided steps to time, after one that warms up")
    parser.add_argument("--repeat-vae", type=int, default=3, help="runs of the VAE decoder to time, after one that warms up")
    parser.add_argument("--kernels", action="store_true", help="also tell the kernels of one run; openvino then counts in every run, which costs a little")
    parser.add_argument("--convert", action="store_true", help="only make what openvino runs, anew")
    parser.add_argument("--out", type=pathlib.Path, help="JSON file for what was measured")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.alone: return work_alone(options)
    peers = options.peers.split(",")
    if unknown := set(peers) - set(PEERS): parser.error(f"no peer is called {', '.join(sorted(unknown))}; there are {', '.join(PEERS)}")

    for part in SHAPES:
        if options.convert or ("openvino" in peers and not converted(part, options.cache).exists()):
            alone(sys.argv[1:], convert=part)
    if options.convert: return
    result = {"cpu": processor(), "threads": options.threads, "precision": options.precision, "python": platform.python_version(),
              "model": str(options.model), "width": 512, "height": 512, "peers": [alone(sys.argv[1:], measure=peer) for peer in peers]}
    if options.out: options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(table(result))


if __name__ == "__main__":
    main()
