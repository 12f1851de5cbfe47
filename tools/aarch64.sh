#!/bin/bash
# Inkstone for 64-bit Arm, the hosts of Atlas cards, from an x86 Debian 12 machine:
#   tools/aarch64.sh [build|test|image|all]     (all)
# build: Debian's cross compiler and qemu-user by apt; the libraries that tools/setup.sh lists, as packaged for arm64, unpacked
# into build/sysroot-aarch64, beside the machine's own packages, which stay as they are; then build/aarch64.
# test: what the preset selects, under qemu. image: one of the demo model on `reference`, compared with what an x86 build draws.
set -euo pipefail
cd "$(dirname "$0")/.."

jobs=${JOBS:-$(nproc)}
sysroot=$PWD/build/sysroot-aarch64
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

install_tools() {
  local package missing=()
  for package in g++-aarch64-linux-gnu qemu-user cmake ninja-build; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  echo "aarch64: installing ${missing[*]}"
  local sudo=()
  [ "$(id -u)" = 0 ] || sudo=(sudo)
  "${sudo[@]}" apt-get update -qq
  "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

libraries() {
  sed -n '/^build=(/,/)/p; /^tests=(/,/)/p' tools/setup.sh | grep -oE '[a-z][a-z0-9.+-]+-dev' | grep -vE '^lib(clang|omp)'
}

# The libraries with all that they need, by an apt whose state is a folder of ours and which believes that nothing is installed.
fill_sysroot() {
  local wanted apt options
  wanted=$(libraries)
  [ "$wanted" != "$(cat "$sysroot/packages.txt" 2>/dev/null)" ] || return 0
  echo "aarch64: unpacking" $wanted
  apt=$PWD/build/apt-aarch64
  mkdir -p "$apt/lists/partial" "$apt/archives/partial"
  : > "$apt/status"
  for suite in "debian bookworm" "debian bookworm-updates" "debian-security bookworm-security"; do
    echo "deb [arch=arm64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${mirror%/debian}/$suite main"
  done > "$apt/sources.list"
  options=(-qq -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o APT::Sandbox::User=root -o Acquire::Languages=none
           -o Dir::State="$apt" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" -o Dir::Etc::sourcelist="$apt/sources.list"
           -o Dir::Etc::sourceparts=- -o Debug::NoLocking=1)
  apt-get "${options[@]}" update
  apt-get "${options[@]}" install --download-only --no-install-recommends -y $wanted
  rm -rf "$sysroot"
  mkdir -p "$sysroot/usr/lib"
  ln -s usr/lib "$sysroot/lib"
  for package in "$apt"/archives/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x --keep-directory-symlink -C "$sysroot"
  done
  rm -r "$apt"
  echo "$wanted" > "$sysroot/packages.txt"
}

build() {
  install_tools
  fill_sysroot
  cmake --preset aarch64 ${VERBOSE:---log-level=WARNING}
  cmake --build --preset aarch64 --parallel "$jobs"
}

# Whatever build/aarch64 has; run `build` first.
run_tests() {
  ctest --preset aarch64 --parallel "$jobs"
  echo "the ops again with oneDNN's products, which without SVE multiply fp32 only"
  local emulator
  emulator=$(sed -n 's/^exec \(.*\) [^ ]*\/inkstone "$@"$/\1/p' build/aarch64/inkstone.sh)
  INKSTONE_PRODUCTS=onednn $emulator build/aarch64/tests/test_backend --gtest_brief=1 \
    --gtest_filter='*CpuOps.agrees_with_the_reference_in_fp32*'
}

image() {
  local arm=build/aarch64/image.png x86=build/aarch64/image_x86.png program=${INKSTONE_X86:-build/release/inkstone}
  local request=(generate "a fox on a teal background" --seed 42 --steps 2 --scheduler euler --device reference --quiet)
  rm -f "$arm" "$x86"
  build/aarch64/inkstone.sh "${request[@]}" --out "$arm"
  if [ -x "$program" ]; then
    "$program" "${request[@]}" --out "$x86"
    python3 tools/compare_png.py "$arm" "$x86" --min 60
  else
    echo "aarch64: no $program to compare with: the image is decoded only"
    python3 tools/compare_png.py "$arm"
  fi
}

step() { printf '\n=== aarch64: %s (%s s)\n' "$1" "$SECONDS"; "$2"; }
case ${1:-all} in
  build) step build build ;;
  test) step test run_tests ;;
  image) step image image ;;
  all) step build build; step test run_tests; step image image ;;
  *) echo "usage: tools/aarch64.sh [build|test|image|all]" >&2; exit 2 ;;
esac
printf '\n=== aarch64: done (%s s)\n' "$SECONDS"
