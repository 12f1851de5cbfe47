#!/usr/bin/env python3
"""Draws ten prompts of a model exactly and with each approximation, and prints how near the images are and how long the U-Net took.

    measure_approximations.py --inkstone PATH [--precision fp32|bf16] [--sheet FILE.png]

Each row: the least, median and mean PSNR of the ten against the exact images (dB), and the median seconds of the U-Net. The sheet has a row of images
for each setting, a column for each prompt. Run it with a Python that has numpy and Pillow.
"""
import argparse, json, pathlib, statistics, subprocess, tempfile

from compare_demo import PROMPTS, psnr

CACHES, INTERVALS = ("2", "3", "5"), ("0,0.5", "0.1,0.8", "0.2,1")
SETTINGS = [[]] + [["--cache-interval", n] for n in CACHES] + [["--guidance-interval", i] for i in INTERVALS] \
    + [["--cache-interval", "3", "--guidance-interval", "0.1,0.8"]]


def draw(options, setting, file):
    """The images and the U-Net's seconds."""
    from PIL import Image
    images, seconds = [], []
    for prompt, seed in PROMPTS:
        command = [options.inkstone, "generate", prompt, "--seed", str(seed), "--precision", options.precision, "--out", str(file), "--quiet", "--json", *setting]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode: raise SystemExit(f"inkstone ended with {done.returncode}: {' '.join(command)}\n{done.stderr}")
        seconds.append(json.loads(done.stdout)["times"]["unet_seconds"])
        with Image.open(file) as drawn: images.append(drawn.convert("RGB"))
    return images, statistics.median(seconds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inkstone", required=True, help="the program")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--sheet", help="a PNG of all images")
    options = parser.parse_args()

    from PIL import Image
    exact, rows = None, []
    with tempfile.TemporaryDirectory() as folder:
        for setting in SETTINGS:
            images, seconds = draw(options, setting, pathlib.Path(folder) / "image.png")
            rows.append(images)
            exact = exact or images
            near = [psnr(a, b) for a, b in zip(exact, images)]
            print(f"{' '.join(setting) or 'exact':<50}{min(near):7.2f}{statistics.median(near):7.2f}{statistics.mean(near):7.2f} dB{seconds:8.3f} s", flush=True)
    if options.sheet:
        width, height = exact[0].size
        sheet = Image.new("RGB", (width * len(exact), height * len(rows)))
        for y, images in enumerate(rows):
            for x, image in enumerate(images): sheet.paste(image, (x * width, y * height))
        sheet.save(options.sheet)


if __name__ == "__main__":
    main()
