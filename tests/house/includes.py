#!/usr/bin/env python3
"""includes.py ROOT: who may include whom. Prints FILE:LINE for each include that the table forbids, and fails."""
import pathlib
import re
import sys

# room: the rooms that it may include besides itself. The agreement; CMakeLists.txt must stay within it.
MAY_INCLUDE = {
    "base": [],
    "plan": ["base"],
    "costmodel": ["plan", "base"],
    "sim": ["plan", "base"],
    "kernels": ["base"],
    "executor": ["kernels", "plan", "base"],
    "study": ["costmodel", "sim", "plan", "base"],
    "reports": ["base"],
    "cli": ["base", "plan", "costmodel", "sim", "kernels", "executor", "study", "reports"],
}
# Compile in seconds each, so they stay out of our headers.
HEAVY = re.compile(r"<(CLI/|nlohmann/json\.hpp|boost/graph/|simgrid/|xbt/|Eigen/|catch2/|benchmark/)")
INCLUDE = re.compile(r'\s*#\s*include\s*([<"][^>"]+[>"])')
SOURCES = (".h", ".cc", ".cuh", ".cu")


def faults_of_file(path, room, name):
    in_tests = name.startswith("tests/")
    for number, line in enumerate(path.read_text().splitlines(), 1):
        found = INCLUDE.match(line)
        if not found:
            continue
        included = found.group(1)
        if included[0] == "<":
            if path.suffix == ".h" and not in_tests and HEAVY.match(included):
                yield f"{name}:{number}: {included} is heavy; include it in a .cc file"
            continue
        top = included.strip('"').split("/")[0]
        if top == "tests" and in_tests:
            continue
        if top not in MAY_INCLUDE or "/" not in included:
            yield f"{name}:{number}: {included} does not start at a room of the root"
        elif top != room and top not in MAY_INCLUDE[room]:
            allowed = ", ".join([room] + MAY_INCLUDE[room])
            yield f"{name}:{number}: {included} is not for {room}, which may include {allowed}"


def faults_of_links(root):
    """Rooms that CMakeLists.txt links beyond the table."""
    cmake = root / "CMakeLists.txt"
    if not cmake.exists():
        return
    for number, line in enumerate(cmake.read_text().splitlines(), 1):
        found = re.match(r"iso_(?:room\(|program\(\w+ )(\w+)\s+LINKS ([^)]*)\)", line)
        if not found:
            continue
        room, linked = found.group(1), found.group(2).split()
        for other in linked:
            if other in MAY_INCLUDE and other not in MAY_INCLUDE.get(room, []):
                yield f"CMakeLists.txt:{number}: {room} links {other}, which it may not include"


def faults(root):
    for room in MAY_INCLUDE:
        for folder in (root / room, root / "tests" / room):
            for path in sorted(folder.rglob("*")):
                if path.suffix in SOURCES:
                    yield from faults_of_file(path, room, path.relative_to(root).as_posix())
    yield from faults_of_links(root)


if __name__ == "__main__":
    found = list(faults(pathlib.Path(sys.argv[1])))
    print("\n".join(found))
    sys.exit(1 if found else 0)
