#!/bin/bash
# Installs what is missing for `build`, `test` and `clients` on Debian 12: packages by apt, and for tests/serve/clients a browser and
# clients from PyPI. Says what it does; does nothing when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."

build=(g++ cmake ninja-build libdnnl-dev libboost1.81-dev libboost-json1.81-dev libjpeg62-turbo-dev libwebp-dev
  prometheus-cpp-dev pkgconf libcli11-dev libtomlplusplus-dev libfmt-dev libicu-dev libpng-dev
  libonnx-dev libprotobuf-dev protobuf-compiler libhiredis-dev libssl-dev libcurl4-openssl-dev ca-certificates)
tests=(libgtest-dev libgmock-dev clang-14 clang-format-14 libclang-rt-14-dev libomp-14-dev python3 python3-yaml redis-tools)
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

# Debian's Python, for its selenium; not one that a version manager put before it.
if [[ " $* " == *" clients "* ]] && ! build/clients/bin/python -c 'import openai, webuiapi' 2>/dev/null; then
  echo "setup: fetching openai and webuiapi from PyPI into build/clients"
  /usr/bin/python3 -m venv --clear --system-site-packages build/clients
  build/clients/bin/python -m pip install --quiet --disable-pip-version-check openai==3.54.0 webuiapi==0.9.17
fi
