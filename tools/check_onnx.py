#!/usr/bin/env python3
"""Holds exported ONNX files against the engine's own graphs: PyPI's onnxruntime runs every file at every batch, and what it gives
must be what dump_programs gave in fp32. Every node must stand in tests/onnx/atc_ops.tsv for the file's opset.

    check_onnx.py [--build DIR] [--keep DIR] [--only NAME] [--model tiny|demo|sizes|sdxl|sd2]

Needs onnx, onnxruntime and numpy, and the built programs inkstone and dump_programs.
"""
import argparse, hashlib, json, pathlib, subprocess, sys, tempfile

import numpy, onnx, onnxruntime

ROOT = pathlib.Path(__file__).resolve().parent.parent
TYPES = {"fp32": numpy.float32, "int32": numpy.int32}
EXACT, HALF = 1e-4, 2e-2  # relative root mean square: fp32 files, fp16 files

CASES = [  # what is exported; the bound
    ("static", ["--precision", "fp32", "--batch", "1,2,4", "--encoder", "--vae-tile", "4", "--sizes", "{m2}"], EXACT),
    ("opset 14", ["--precision", "fp32", "--opset", "14", "--batch", "2"], EXACT),
    ("two sizes", ["--precision", "fp32", "--sizes", "{m2}x{m},{m}x{m3}", "--timestep", "int32"], EXACT),
    ("sliced attention", ["--precision", "fp32", "--attention-slicing", "1", "--batch", "1,2"], EXACT),
    ("gears", ["--precision", "fp32", "--gears", "--batch", "1,2,4", "--sizes", "{m3}x{m}"], EXACT),
    ("gears, sliced, opset 15", ["--precision", "mixed", "--gears", "--batch", "4,1,3", "--attention-slicing", "2",
                                 "--opset", "15"], EXACT),
    ("long prompts", ["--precision", "fp32", "--batch", "1,2", "--sizes", "{m}", "--max-prompt-chunks", "3"], EXACT),
    ("an adapter", ["--precision", "fp32", "--sizes", "{m}", "--lora", "{lora}:0.7"], EXACT),
    ("fp16", ["--precision", "fp16", "--batch", "1,2", "--vae-tile", "3", "--sizes", "{m2}"], HALF),
    ("fp16 gears", ["--precision", "fp16", "--batch", "1,2", "--gears"], HALF),
]
FIXTURES = ROOT / "tests/fixtures"
# Folder, a size; those of the third model halve to odd sizes. The last is put together of other models' parts.
MODELS = {"tiny": (FIXTURES / "models/tiny-sd15", 16), "demo": (ROOT / "demo/model", 32), "sizes": (FIXTURES / "models/tiny-sizes", 24),
          "sdxl": (FIXTURES / "models/tiny-sdxl", 20), "sd2": (FIXTURES / "models/tiny-sd2-v", 16)}
ADAPTERS = {"tiny": FIXTURES / "adapters/lora.safetensors"}  # of the model that has one


def ops_of_atc():
    table = {}
    for line in (ROOT / "tests/onnx/atc_ops.tsv").read_text().splitlines():
        if line.startswith("#"):
            continue
        op, _, opsets = line.split("\t")[:3]
        allowed = table.setdefault(op, set())
        for part in opsets.split(","):
            first, _, last = part.partition("-")
            allowed.update(range(int(first), int(last or first) + 1))
    return table


def check_nodes(path, table, used):
    model = onnx.load(path, load_external_data=False)
    onnx.checker.check_model(str(path), full_check=True)
    (opset,) = model.opset_import
    for node in model.graph.node:
        used.add(node.op_type)
        if opset.version not in table.get(node.op_type, ()):
            raise SystemExit(f"{path}: {node.name}: ATC registers no {node.op_type} for opset {opset.version}")


def read(port):
    return numpy.fromfile(port["file"], TYPES[port["type"]]).reshape(port["shape"])


def rms(values):
    return float(numpy.sqrt(numpy.mean(numpy.square(values.astype(numpy.float64)))))


def run(case, folder):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(folder / case["onnx"]), options, providers=["CPUExecutionProvider"])
    results = session.run([p["name"] for p in case["outputs"]], {p["name"]: read(p) for p in case["inputs"]})
    worst = 0
    for port, found in zip(case["outputs"], results):
        right = read(port)
        if found.shape != right.shape or found.dtype != right.dtype:
            raise SystemExit(f"{case['graph']}: {port['name']} is {found.dtype} {found.shape}, not {right.shape}")
        worst = max(worst, rms(found - right) / max(rms(right), 1e-30))
    return worst


def assembled(model, scratch):
    """The folder, or one of links to what golden.json says that it has of others."""
    golden = model / "golden.json"
    parts = json.loads(golden.read_text()).get("parts") if golden.exists() else None
    if not parts:
        return model
    whole = pathlib.Path(scratch) / model.name
    whole.mkdir()
    for own in model.iterdir():
        (whole / own.name).symlink_to(own)
    for component, place in parts.items():
        (whole / component).symlink_to(FIXTURES / "models" / place)
    return whole


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir()) if p.is_file()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/dev")
    parser.add_argument("--keep", type=pathlib.Path, help="where the files stay; else they are removed")
    parser.add_argument("--only", default="", help="cases whose name has this")
    parser.add_argument("--model", default=",".join(MODELS))
    asked = parser.parse_args()
    table, used, failed = ops_of_atc(), set(), 0
    with tempfile.TemporaryDirectory() as scratch:
        base = asked.keep or pathlib.Path(scratch)
        for name in asked.model.split(","):
            model, multiple = MODELS[name]
            model = assembled(model, scratch)
            for title, flags, bound in CASES:
                lora = ADAPTERS.get(name, "")
                if asked.only not in title or ("--lora" in flags and not lora):
                    continue
                flags = [f.format(m=multiple, m2=2 * multiple, m3=3 * multiple, lora=lora) for f in flags]
                changed = flags[flags.index("--lora"):][:2] if "--lora" in flags else []
                out, dump = base / f"{name} {title}", base / f"{name} {title} run"
                command = [asked.build / "inkstone", "export", "--model", model, "--quiet", *flags, "--out"]
                subprocess.run([*command, out], check=True)
                first = digests(out)
                subprocess.run([*command, out], check=True)
                if digests(out) != first:
                    raise SystemExit(f"{name}, {title}: two exports differ")
                dumper = asked.build / "tools" / "dump_programs"
                subprocess.run([dumper, model, out, dump, *changed], check=True)
                for path in sorted(out.glob("*.onnx")):
                    check_nodes(path, table, used)
                for case in json.loads((dump / "index.json").read_text()):
                    error = run(case, out)
                    good = error <= bound
                    failed += not good
                    print(f"{'ok  ' if good else 'FAIL'} {name:5} {title:24} {case['graph']:36} batch {case['batch']}"
                          f"  {error:.2e}", flush=True)
    print("ops:", " ".join(sorted(used)))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
