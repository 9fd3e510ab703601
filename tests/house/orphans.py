#!/usr/bin/env python3
"""orphans.py ROOT COMPILE_COMMANDS: every tests/**/*_test.cc is compiled by some target. Prints those that are not, and fails."""
import json
import pathlib
import sys


def faults(root, compile_commands):
    built = {pathlib.Path(entry["directory"], entry["file"]).resolve() for entry in json.loads(compile_commands.read_text())}
    for path in sorted((root / "tests").rglob("*_test.cc")):
        if path.resolve() not in built:
            yield f"{path.relative_to(root).as_posix()}: no target builds it; is its folder named in iso_tests of CMakeLists.txt?"


if __name__ == "__main__":
    found = list(faults(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
    print("\n".join(found))
    sys.exit(1 if found else 0)
