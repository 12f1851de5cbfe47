#!/usr/bin/env python3
"""Has the compiler read each source of src by itself, without making anything: a file that leans on another's includes is a fault.

    check_headers.py BUILD/compile_commands.json [--jobs N]

The release build compiles several files as one, so there a missing include goes unnoticed.
"""
import argparse, concurrent.futures, json, os, pathlib, shlex, subprocess, sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def read(entry):
    words = [word for word in shlex.split(entry["command"]) if not word.endswith(".o")]
    words = [word for word in words if word not in ("-o", "-c", entry["file"])]
    done = subprocess.run(words + ["-fsyntax-only", entry["file"]], cwd=entry["directory"], capture_output=True, text=True)
    return entry["file"], done.returncode, done.stderr


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commands", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    options = parser.parse_args()
    sources = ROOT / "src"
    entries = {entry["file"]: entry for entry in json.loads(options.commands.read_text()) if pathlib.Path(entry["file"]).is_relative_to(sources)}
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        faults = [(file, said) for file, code, said in pool.map(read, entries.values()) if code]
    for file, said in faults:
        print(f"{file}:\n{said}", file=sys.stderr)
    print(f"{len(entries)} sources read, {len(faults)} with faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
