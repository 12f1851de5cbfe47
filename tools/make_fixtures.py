#!/usr/bin/env python3
"""Makes the goldens in tests/fixtures from torch, diffusers, transformers, open_clip and k_diffusion, in fp32 on the CPU.

    make_fixtures.py [--only noise,schedulers,...] [--out DIR]

Run it with a Python that has those five, scipy, torchsde and torchdiffeq. The same versions (versions.json) on the same kind of CPU give the same bytes again.
"""
import argparse, importlib, pathlib, time

PARTS = {  # part: the module of tools/fixtures that makes it
    "noise": "noise", "schedulers": "schedulers", "karras_ancestral": "karras_ancestral", "k_diffusion": "k_diffusion", "tokenizer": "tokenizer",
    "models": "models", "demo": "demo", "single_file": "single_file", "xl": "xl", "torch_files": "torch_files", "sizes": "sizes", "adapters": "adapters", "weighting": "weighting",
    "embeddings": "embeddings", "composed": "composed", "hires": "hires", "upscalers": "upscalers",
    "families": "families", "pictures": "pictures", "taesd": "taesd", "from_pictures": "from_pictures", "control": "control",
}
ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="some of: " + ",".join(PARTS))
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "tests" / "fixtures")
    options = parser.parse_args()
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no part is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")

    from fixtures import storing
    storing.settle()
    options.out.mkdir(parents=True, exist_ok=True)
    storing.write_versions(options.out / "versions.json")
    for part in parts:
        started = time.time()
        importlib.import_module("fixtures." + PARTS[part]).make(options.out, ROOT)
        print(f"{part}: {time.time() - started:.1f} s", flush=True)
    size = lambda folder: sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
    models = size(options.out / "models")
    print(f"{options.out}: {size(options.out):,} bytes in all, {models:,} of them models")
    if models > 4_000_000:
        raise SystemExit("over the 4 MB that the models may take")


if __name__ == "__main__":
    main()
