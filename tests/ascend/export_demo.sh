#!/bin/bash
# export_demo.sh INKSTONE FOLDER: the demo model and tiny models of the families as a user would export them, in the forms that the tests of this
# folder draw with. INKSTONE_ATC names the simulated compiler.
set -euo pipefail
inkstone=$1 folder=$2
export INKSTONE_CACHE=$folder/cache
mkdir -p "$folder"
export_demo() { "$inkstone" export --soc Ascend910B4 --compile require --quiet --out "$folder/$1" "${@:2}"; }
export_demo fp32 --precision fp32 --sizes 64,96x64,84x76 --batch 1,2,4 --vae-tile 4
export_demo fp16 --precision fp16 --sizes 64
export_demo mixed --precision mixed --sizes 64
export_demo gears --precision fp32 --sizes 64,84x76 --batch 1,2,3 --gears
export_demo chunks --precision fp32 --sizes 64 --batch 1,2 --max-prompt-chunks 2
fixtures=$(cd "$(dirname "$0")/../fixtures" && pwd)
# A model of Stable Diffusion 2, whose other parts are those of another fixture.
rm -rf "$folder/sd2-model"
mkdir "$folder/sd2-model"
ln -s "$fixtures"/models/tiny-sd2-v/{model_index.json,scheduler,unet} "$fixtures/models/tiny-sd15/vae" "$folder/sd2-model"
ln -s "$fixtures/models/tiny-sdxl/text_encoder_2" "$folder/sd2-model/text_encoder"
ln -s "$fixtures/models/tiny-sdxl/tokenizer_2" "$folder/sd2-model/tokenizer"
export_demo sdxl --model "$fixtures/models/tiny-sdxl" --precision fp32 --sizes 32,36x28 --batch 1,2 --max-prompt-chunks 2
export_demo sdxl-fp16 --model "$fixtures/models/tiny-sdxl" --precision fp16 --sizes 32
export_demo sd2 --model "$folder/sd2-model" --precision fp32 --sizes 32,36x28
export_demo taesd --vae "$fixtures/taesd/taesd_decoder.safetensors" --precision fp32 --sizes 64 --encoder
export_demo upscaler --upscaler "$fixtures/upscalers/plain.pth" --precision fp32 --sizes 24x20,9
export_demo upscaler-fp16 --upscaler "$fixtures/upscalers/plain.pth" --precision fp16 --sizes 24x20
export_demo lora --model "$fixtures/models/tiny-sd15" --lora "$fixtures/adapters/lora.safetensors:0.7" --precision fp32 --sizes 32
