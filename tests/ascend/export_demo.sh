#!/bin/bash
# export_demo.sh INKSTONE FOLDER: the demo model as a user would export it, in the forms that the tests of this folder draw with. INKSTONE_ATC
# names the simulated compiler.
set -euo pipefail
inkstone=$1 folder=$2
export INKSTONE_CACHE=$folder/cache
mkdir -p "$folder"
export_demo() { "$inkstone" export --soc Ascend910B4 --compile require --quiet --out "$folder/$1" "${@:2}"; }
export_demo fp32 --precision fp32 --sizes 64,96x64,84x76 --batch 1,2,4 --vae-tile 4
export_demo fp16 --precision fp16 --sizes 64
export_demo mixed --precision mixed --sizes 64
export_demo gears --precision fp32 --sizes 64,84x76 --batch 1,2,3 --gears
