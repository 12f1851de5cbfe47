"""Each container has the libraries that the program is linked to. INKSTONE_BINARY is the program."""
import os
import pathlib
import re
import subprocess
import unittest

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy"
OF_DEBIAN_ITSELF = {"libc6", "libgcc-s1", "libstdc++6", "zlib1g"}  # in debian:12-slim


def packages():
    """Of the libraries that the program names."""
    names = subprocess.run(["readelf", "-d", os.environ["INKSTONE_BINARY"]], capture_output=True, text=True, check=True).stdout
    found = {name: set() for name in re.findall(r"\(NEEDED\).*\[(.*)\]", names)}
    owners = subprocess.run(["dpkg", "-S", *(f"*/{name}" for name in found)], capture_output=True, text=True, check=True).stdout
    for line in owners.splitlines():
        found[line.rsplit("/", 1)[1]].add(line.split(":")[0])
    return found


class Containers(unittest.TestCase):
    def test_they_install_every_library_of_the_program(self):
        needed = packages()
        self.assertGreater(len(needed), 10)
        for file in sorted(DEPLOY.glob("Dockerfile*")):
            last = file.read_text().rsplit("\nFROM ", 1)[1]
            installed = set(re.findall(r"[a-z0-9][a-z0-9.+-]+", last)) | OF_DEBIAN_ITSELF
            for name, owners in needed.items():
                with self.subTest(file=file.name, library=name):
                    self.assertTrue(owners & installed, f"{file.name} must install {' or '.join(sorted(owners))}")


if __name__ == "__main__":
    unittest.main()
