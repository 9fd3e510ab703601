#!/usr/bin/env python3
"""ptxas.py BOUNDS REPORT...: holds what ptxas said of each kernel against its bounds; prints each fault, and fails.

BOUNDS  lines "kernel registers shared_bytes"; '#' begins a comment. A kernel is named without its template arguments
        and has one line, which holds for all of them on every architecture.
REPORT  what `nvcc -Xptxas -v` wrote
"""
import pathlib
import re
import subprocess
import sys


def bounds_of(path):
    bounds = {}
    for line in path.read_text().splitlines():
        words = line.split("#")[0].split()
        if words:
            bounds[words[0]] = (int(words[1]), int(words[2]))
    return bounds


def kernels_of(text):
    """(mangled name, architecture, registers, shared bytes, bytes of stack and spills) of each kernel in a report."""
    for part in re.split(r"Compiling entry function ", text)[1:]:
        name, architecture = re.match(r"'(\S+)' for '(\S+)'", part).groups()
        stack = [int(n) for n in re.search(
            r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", part).groups()]
        registers = int(re.search(r"Used (\d+) registers", part).group(1))
        shared = re.search(r"(\d+) bytes smem", part)
        yield name, architecture, registers, int(shared.group(1)) if shared else 0, stack


def short_name(mangled):
    """_ZN9isochrone7kernels4cuda15LayerNormKernelI…: the last of the nested names that are spelt out."""
    rest, name = mangled.removeprefix("_ZN"), mangled
    while found := re.match(r"(\d+)", rest):
        length = int(found.group(1))
        name = rest[len(found.group(1)):][:length]
        rest = rest[len(found.group(1)) + length:]
    return name


def faults(bounds, reports):
    seen = set()
    for report in reports:
        for mangled, architecture, registers, shared, stack in kernels_of(report.read_text()):
            name = short_name(mangled)
            seen.add(name)
            what = f"{report.name}: {name} on {architecture} ({mangled})"
            if stack[1] or stack[2]:
                yield f"{what} spills {stack[1]} bytes and loads {stack[2]}"
            if name not in bounds:
                yield f"{what} has no line in the table: it uses {registers} registers and {shared} bytes"
                continue
            if registers > bounds[name][0]:
                yield f"{what} uses {registers} registers, more than {bounds[name][0]}"
            if shared > bounds[name][1]:
                yield f"{what} uses {shared} bytes of shared memory, more than {bounds[name][1]}"
    for name in sorted(set(bounds) - seen):
        yield f"{name} has bounds, but was not compiled"


def main(bounds_path, *report_paths):
    reports = [pathlib.Path(p) for p in report_paths]
    found = list(faults(bounds_of(pathlib.Path(bounds_path)), reports))
    count = sum(1 for report in reports for _ in kernels_of(report.read_text()))
    print("\n".join(found) if found else f"{count} kernels are within their bounds, none spills")
    return 1 if found or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
