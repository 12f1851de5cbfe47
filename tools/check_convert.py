#!/usr/bin/env python3
"""Holds what inkstone convert writes against diffusers: tiny models with random weights, saved by diffusers, become single files, folders and
single files again; diffusers loads each (from_pretrained, from_single_file) and must have the tensors and the image that it had before.

    check_convert.py [--binary build/release/inkstone] [--keep DIR]

Needs torch, diffusers, transformers and safetensors.
"""
import argparse, hashlib, json, pathlib, subprocess, sys, tempfile

import torch
from diffusers import (AutoencoderKL, DDIMScheduler, EulerDiscreteScheduler, PNDMScheduler, StableDiffusionPipeline, StableDiffusionXLPipeline,
                       UNet2DConditionModel)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

ROOT = pathlib.Path(__file__).resolve().parent.parent
BETAS = dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1)


def tokenizer(folder, padding):
    """CLIP's, from its merges: the vocabulary is 256 bytes, the same at the end of a word, the merges, start and end."""
    merges = (ROOT / "data/clip/merges.txt").read_text().splitlines()[1:]
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in kept]
    letters = [chr(byte) for byte in kept] + [chr(256 + i) for i in range(len(rest))]
    words = letters + [letter + "</w>" for letter in letters] + [merge.replace(" ", "") for merge in merges] + ["<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True)
    (folder / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77, pad_token=padding)


def text(width, act, projection=None, layers=3):
    config = CLIPTextConfig(vocab_size=49408, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=layers, num_attention_heads=width // 64,
                            hidden_act=act, projection_dim=projection or width, bos_token_id=0, eos_token_id=2)
    return (CLIPTextModelWithProjection if projection else CLIPTextModel)(config)


def vae(**more):
    return AutoencoderKL(block_out_channels=(32, 32, 64, 64), layers_per_block=1, latent_channels=4, down_block_types=("DownEncoderBlock2D",) * 4,
                         up_block_types=("UpDecoderBlock2D",) * 4, **more)


def sd(folder, linear, scheduler):
    unet = UNet2DConditionModel(block_out_channels=(64, 128), layers_per_block=1, cross_attention_dim=64, sample_size=8, use_linear_projection=linear,
                                attention_head_dim=[1, 2] if linear else 8, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
                                up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"))
    return StableDiffusionPipeline(vae=vae(), text_encoder=text(64, "gelu" if linear else "quick_gelu"), unet=unet, scheduler=scheduler,
                                   tokenizer=tokenizer(folder, "!" if linear else "<|endoftext|>"), safety_checker=None, feature_extractor=None,
                                   requires_safety_checker=False)


def sdxl(folder):
    unet = UNet2DConditionModel(block_out_channels=(64, 128), layers_per_block=1, cross_attention_dim=192, sample_size=8, use_linear_projection=True,
                                attention_head_dim=[1, 2], transformer_layers_per_block=[1, 2], addition_embed_type="text_time",
                                addition_time_embed_dim=256, projection_class_embeddings_input_dim=48 + 6 * 256,
                                down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"))
    return StableDiffusionXLPipeline(vae=vae(scaling_factor=0.13025), text_encoder=text(64, "quick_gelu"), text_encoder_2=text(128, "gelu", 48), unet=unet,
                                     tokenizer=tokenizer(folder / "1", "<|endoftext|>"), tokenizer_2=tokenizer(folder / "2", "!"),
                                     scheduler=EulerDiscreteScheduler(timestep_spacing="leading", **BETAS))


PNDM = dict(skip_prk_steps=True, **BETAS)
MODELS = {"sd1": lambda folder: sd(folder, False, PNDMScheduler(**PNDM)), "sd2": lambda folder: sd(folder, True, PNDMScheduler(**PNDM)),
          "sd2-v": lambda folder: sd(folder, True, DDIMScheduler(prediction_type="v_prediction", clip_sample=False, set_alpha_to_one=False, **BETAS)),
          "sdxl": sdxl}
PARTS = "text_encoder", "text_encoder_2", "unet", "vae"


def numbers(pipeline):
    """Every tensor's hash, by component; names of the text encoder's are transformers' own, which depend on its version."""
    found = {}
    for part in PARTS:
        module = getattr(pipeline, part, None)
        for name, tensor in module.state_dict().items() if module else ():
            found[f"{part}.{name}"] = hashlib.sha256(tensor.contiguous().float().numpy().tobytes()).hexdigest()
    return found


def image(pipeline):
    return pipeline("a photo of a fox, wow!", negative_prompt="ugly", num_inference_steps=2, width=64, height=64, output_type="np",
                    generator=torch.Generator().manual_seed(3)).images[0]


def check(name, make, binary, folder):
    torch.manual_seed(5)
    before = make(folder / "tokenizers")
    before.save_pretrained(folder / "own")
    run = lambda source, out: subprocess.run([binary, "convert", folder / source, "--out", folder / out, "--quiet"], check=True)
    run("own", "one.safetensors")
    run("one.safetensors", "back")
    run("back", "two.safetensors")
    run("own", "copy")
    kind, wanted, drawn, faults = type(before), numbers(before), image(before), 0
    for what, load in (("folder -> folder", lambda: kind.from_pretrained(folder / "copy")),
                       ("folder -> file", lambda: kind.from_single_file(str(folder / "one.safetensors"), config=str(folder / "own"), local_files_only=True)),
                       ("folder -> file -> folder", lambda: kind.from_pretrained(folder / "back")),
                       ("folder -> file -> folder -> file", lambda: kind.from_single_file(str(folder / "two.safetensors"), config=str(folder / "back"),
                                                                                         local_files_only=True))):
        pipeline = load()
        found = numbers(pipeline)
        other = [key for key in {*wanted, *found} if wanted.get(key) != found.get(key)]
        pipeline.scheduler = before.scheduler if "file" == what[-4:] else pipeline.scheduler
        far = float(abs(image(pipeline) - drawn).max())
        ids = [getattr(pipeline, t).pad_token_id for t in ("tokenizer", "tokenizer_2") if hasattr(pipeline, t)]
        good = not other and far == 0
        faults += not good
        print(f"{'ok  ' if good else 'FAIL'} {name:6} {what:34} {len(found)} tensors, {len(other)} differ {sorted(other)[:3]}, image {far:.1e}, padding {ids}")
    return faults


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/release/inkstone")
    parser.add_argument("--keep", type=pathlib.Path, help="where the files stay; else they are removed")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        base = asked.keep or pathlib.Path(scratch)
        sys.exit(1 if sum(check(name, make, asked.binary, base / name) for name, make in MODELS.items()) else 0)


if __name__ == "__main__":
    main()
