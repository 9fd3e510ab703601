#!/usr/bin/env python3
"""words.py ROOT: the tree names no one's own machine. Prints FILE:LINE for each absolute path of a person or a workplace
and for each host of a package registry or of a private network, and fails. Nor do tests name the files they share a
machine with: they run side by side, so each asks tests/folder.h for a folder of its own."""
import os
import pathlib
import re
import sys

SKIPPED_FOLDERS = re.compile(r"build.*|node_modules|out|\..+")
TEXT = {".md", ".txt", ".h", ".cc", ".cuh", ".cu", ".py", ".sh", ".cmake", ".json", ".csv", ".html", ".ts", ".js", ".css", ""}
# Brackets keep the patterns from finding themselves.
FORBIDDEN = [
    (re.compile(r"(?<![\w.])/(wor[k]|hom[e]/\w+|roo[t]|User[s]/\w+|mn[t])/"), "a path of one machine"),
    (re.compile(r"https?://([\w.-]*\.)?(registr[y]|mirro[r]|prox[y]|artifactor[y]|nexu[s]|npmj[s]|pyp[i])[\w-]*\.[\w.-]+"),
     "a host of a package registry"),
    (re.compile(r"https?://(localhos[t]|127\.|10\.|192\.168\.)"), "a host of a private network"),
]
SHARED = (re.compile(r"temp_directory_path|\"/tmp/"), "a place that tests share; tests/folder.h gives one of your own")
GIVES_FOLDERS = "tests/folder.h"


def text_files(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not SKIPPED_FOLDERS.fullmatch(f) or f == ".ci")
        for name in sorted(names):
            path = pathlib.Path(folder, name)
            if path.suffix in TEXT and not path.name.startswith(".") and not path.is_symlink():
                yield path


def faults(root):
    for path in text_files(root):
        name = path.relative_to(root).as_posix()
        in_tests = name.startswith("tests/") and path.suffix in (".h", ".cc") and name != GIVES_FOLDERS
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            for pattern, what in FORBIDDEN + [SHARED] * in_tests:
                found = pattern.search(line)
                if found:
                    yield f"{name}:{number}: {found.group(0)} is {what}"


if __name__ == "__main__":
    found = list(faults(pathlib.Path(sys.argv[1])))
    print("\n".join(found))
    sys.exit(1 if found else 0)
