#!/usr/bin/env python3
"""Runs the tests of one file, `run.py openai_test`, with what `tools/setup.sh clients` installed (build/clients).

Exit code 77, which ctest calls skipped: the tools are not there. INKSTONE_BINARY: the program to test.
"""
import importlib
import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = os.path.join(HERE, "../../../build/clients/bin/python")
SKIPPED = 77

if __name__ == "__main__":
    if not os.path.exists(PYTHON):
        print("skipped: tools/setup.sh clients installs what this test needs")
        sys.exit(SKIPPED)
    if os.path.abspath(sys.prefix) != os.path.abspath(os.path.join(HERE, "../../../build/clients")):
        os.execv(PYTHON, [PYTHON, *sys.argv])
    sys.path.insert(0, HERE)
    try:
        module = importlib.import_module(sys.argv[1])
    except ModuleNotFoundError as error:
        print(f"skipped: {error}; tools/setup.sh clients installs it")
        sys.exit(SKIPPED)
    if getattr(module, "missing", lambda: "")():
        print(f"skipped: {module.missing()}; tools/setup.sh clients installs it")
        sys.exit(SKIPPED)
    unittest.main(module=module, argv=[sys.argv[1], "-v", *sys.argv[2:]])
