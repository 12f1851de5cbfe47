# Two commands do everything on a fresh Debian 12 machine:
#   make generate PROMPT="a fox on a teal background"     sets up, builds, draws an image
#   make test                                             sets up, builds, runs the tests
PRESET ?= release
PROMPT ?= a fox on a teal background
ARGS   ?=
JOBS   ?= $(shell nproc)

.PHONY: generate build test test-clients check format asan asan-outside headers fuzz aarch64 clean

generate: build
	./build/$(PRESET)/inkstone generate "$(PROMPT)" $(ARGS)

build:
	@tools/setup.sh build
	@cmake --preset $(PRESET) -DINKSTONE_TESTS=OFF $(if $(VERBOSE),,--log-level=WARNING)
	@cmake --build --preset $(PRESET) --parallel $(JOBS) --target inkstone

test:
	@tools/setup.sh build test
	@cmake --preset $(PRESET) -DINKSTONE_TESTS=ON -DINKSTONE_PLAIN_KERNELS=OFF $(if $(VERBOSE),,--log-level=WARNING)
	@cmake --build --preset $(PRESET) --parallel $(JOBS)
	ctest --preset $(PRESET)

# Real clients and a browser against the server (PyPI's openai and webuiapi, Chromium; about 300 MB to install).
test-clients:
	@tools/setup.sh build test clients
	@cmake --preset $(PRESET) -DINKSTONE_TESTS=ON $(if $(VERBOSE),,--log-level=WARNING)
	@cmake --build --preset $(PRESET) --parallel $(JOBS) --target inkstone
	ctest --preset $(PRESET) -L clients

# The checks that need no build: formatting, structure and the tests of what checks it.
check:
	@tools/setup.sh test
	@git ls-files '*.h' '*.cpp' | xargs clang-format-14 --dry-run --Werror
	@python3 -B tools/check_structure.py src
	@python3 -B -m unittest discover --quiet --start-directory tests/structure --pattern '*_test.py'

format:
	@git ls-files '*.h' '*.cpp' | xargs clang-format-14 -i

asan:
	@$(MAKE) --no-print-directory test PRESET=asan

# The part of it that CI has the time for: the modules that read what comes from outside, the worker with its engine among them (but not
# the kernels, which only `make asan` sanitizes).
asan-outside:
	@tools/setup.sh build test
	@cmake --preset asan -DINKSTONE_TESTS=ON -DINKSTONE_PLAIN_KERNELS=ON -DINKSTONE_UNITY=ON $(if $(VERBOSE),,--log-level=WARNING)
	@cmake --build --preset asan --parallel $(JOBS) --target outside
	ctest --preset asan -L outside

# Whether each file includes what it uses: Clang reads it by itself.
headers:
	@tools/setup.sh build test
	@cmake --preset clang -DINKSTONE_TESTS=ON -DINKSTONE_UNITY=OFF -DCMAKE_EXPORT_COMPILE_COMMANDS=ON --log-level=WARNING
	@python3 -B tools/check_headers.py build/clang/compile_commands.json --jobs $(JOBS)

# Each fuzz target for SECONDS (60), on the parsers of everything that comes from outside.
SECONDS ?= 60
fuzz:
	@tools/setup.sh build test
	@cmake --preset asan -DINKSTONE_TESTS=ON --log-level=WARNING
	@cmake --build --preset asan --parallel $(JOBS)
	@for target in build/asan/tests/fuzz/*_fuzz; do $$target -max_total_time=$(SECONDS) -print_final_stats=1 || exit 1; done

# Cross-builds for 64-bit Arm; its tests and an image under qemu-user.
aarch64:
	@tools/aarch64.sh all

clean:
	rm -rf build
