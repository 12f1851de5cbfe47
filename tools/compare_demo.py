#!/usr/bin/env python3
"""Draws ten prompts of the demo model with diffusers in fp32 and with inkstone, and prints how near the images are.

    compare_demo.py --inkstone PATH [--precision fp32|bf16]

Exit 1 where the least PSNR is under 45 dB (fp32) or 30 dB (bf16). Run it with a Python that has diffusers and transformers.
"""
import argparse, math, pathlib, subprocess, sys, tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEAST = {"fp32": 45.0, "bf16": 30.0}
PROMPTS = [  # prompt, seed
    ("a fox on a teal background", 42), ("a red apple to the left of a bee on a white background", 42), ("three pandas on a pink background", 1),
    ("a small rocket on a black background", 7), ("a blue heart on an orange background", 3), ("a lion above a tulip on a green background", 11),
    ("two cats on a gray background", 123), ("a house below a rainbow on a white background", 2024), ("a smiley on a red background", 5), ("a purple heart", 2**32 + 9),
]


def psnr(a, b):
    import numpy as np
    if a.size != b.size: raise SystemExit(f"diffusers drew {a.size}, inkstone {b.size}")
    error = np.mean((np.asarray(a.convert("RGB"), dtype=np.float64) - np.asarray(b.convert("RGB"), dtype=np.float64)) ** 2)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inkstone", required=True, help="the program")
    parser.add_argument("--precision", choices=LEAST, default="fp32")
    options = parser.parse_args()

    from fixtures import demo, storing
    from PIL import Image
    storing.settle()
    pipe = demo.pipeline(ROOT)
    least = math.inf
    with tempfile.TemporaryDirectory() as folder:
        for prompt, seed in PROMPTS:
            wanted, _ = demo.draw(pipe, ROOT, prompt, seed)
            file = pathlib.Path(folder) / "image.png"
            file.unlink(missing_ok=True)
            command = [options.inkstone, "generate", prompt, "--seed", str(seed), "--precision", options.precision, "--out", str(file), "--quiet"]
            done = subprocess.run(command)
            if done.returncode or not file.exists(): raise SystemExit(f"inkstone ended with {done.returncode}: {' '.join(command)}")
            with Image.open(file) as drawn: near = psnr(wanted, drawn)
            least = min(least, near)
            print(f"{near:6.2f} dB  seed {seed:<5} {prompt}", flush=True)
    print(f"{least:6.2f} dB at the least; {options.precision} must reach {LEAST[options.precision]:.0f}")
    sys.exit(least < LEAST[options.precision])


if __name__ == "__main__":
    main()
