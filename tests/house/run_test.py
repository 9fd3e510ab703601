#!/usr/bin/env python3
"""run_test.py SOURCE_ROOT: what ./run promises, with a pretended apt, cmake and ninja in a tree of its own:
standard output and exit status are the program's own, words stay whole, and a second start installs and configures nothing."""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(sys.argv[1]).resolve()
TOOLS = {
    # Nothing is installed; apt-get notes its words in calls and fails when told to.
    "dpkg-query": "exit 1",
    "apt-get": 'echo "noise of apt"; echo "apt-get $*" >>"$CALLS"; [ -z "$APT_FAILS" ]',
    "sudo": 'echo "sudo $*" >>"$CALLS"; [ "$1" != -n ] || shift; exec "$@"',
    "cmake": 'echo "noise of cmake"; echo "cmake $*" >>"$CALLS"; echo "CMAKE_HOME_DIRECTORY:INTERNAL=$PWD" >build/release/CMakeCache.txt;'
             " touch build/release/build.ninja",
    "ninja": 'echo "noise of ninja"; [ -z "$NINJA_FAILS" ] || exit 1; cp "$PROGRAM" isochrone',
}
PROGRAM = """#!/bin/sh
for word in "$@"; do echo "[$word]"; done
pwd
exit 3
"""


def expect(what, holds, shown):
    if not holds:
        sys.exit(f"FAILED: {what}\n{shown}")
    print(f"ok: {what}")


def main(folder):
    tree, tools, calls = folder / "tree", folder / "tools", folder / "calls"
    (tree / "scripts").mkdir(parents=True)
    tools.mkdir()
    shutil.copy(SOURCE / "run", tree)
    for name in ("prepare.sh", "packages.txt"):
        shutil.copy(SOURCE / "scripts" / name, tree / "scripts")
    for name, body in TOOLS.items():
        (tools / name).write_text(f"#!/bin/sh\n{body}\n")
        (tools / name).chmod(0o755)
    program = folder / "program"
    program.write_text(PROGRAM)
    program.chmod(0o755)

    def run(*words, **environment):
        calls.write_text("")
        done = subprocess.run([str(tree / "run"), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, cwd=folder, env=dict(os.environ, PATH=f"{tools}:{os.environ['PATH']}", CALLS=str(calls),
                                                              PROGRAM=str(program), **environment))
        return done, calls.read_text()

    done, called = run("demo", APT_FAILS="1")
    expect("without packages it stops and says which and how", done.returncode == 1 and done.stdout == "" and
           "error: cannot install what is missing: apt-get failed" in done.stderr and
           "apt-get install --no-install-recommends build-essential cmake" in done.stderr, done)
    done, called = run("demo", NINJA_FAILS="1")
    expect("a build that fails ends it before the program", done.returncode == 2 and done.stdout == "" and
           "error: the build failed" in done.stderr, done)
    done, called = run("plan", "a b.json", "--op", "")
    expect("output, words, folder and exit status are the program's", done.returncode == 3 and
           done.stdout == f"[plan]\n[a b.json]\n[--op]\n[]\n{folder}\n", done)
    expect("a second start neither installs nor configures", called == "", called)
    done, called = run()
    expect("no words mean the demo", done.stdout == f"[demo]\n{folder}\n", done)
    (tree / "build/.packages-run").unlink()
    done, called = run()
    expect("without its stamp it looks again", "apt-get" in called and "cmake --preset" not in called, called)
    moved = tree.with_name("moved")
    tree.rename(moved)
    tree = moved
    done, called = run()
    expect("a tree that moved is configured anew", "cmake --preset release" in called and done.returncode == 3, (done, called))


with tempfile.TemporaryDirectory() as name:
    main(pathlib.Path(name).resolve())
