#!/usr/bin/env python3
"""self_test.py SOURCE_ROOT: every test of the house fails on a tree with one fault and passes on the same tree without it."""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

SOURCE = pathlib.Path(sys.argv[1]).resolve()
HOUSE = SOURCE / "tests/house"
SCRIPTS = SOURCE / "scripts"


def run(command, **environment):
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env=dict(os.environ, **environment))
    return done.returncode, done.stdout


def write(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def expect(what, result, status, said):
    """`result` must have this status and its output must hold `said`."""
    if result[0] != status or said not in result[1]:
        sys.exit(f"FAILED: {what}\n  wanted status {status} and: {said}\n  got status {result[0]} and: {result[1]}")
    print(f"ok: {what}")


def includes(root):
    check = [HOUSE / "includes.py", root]
    write(root, {"sim/engine.cc": '#include "sim/engine.h"\n#include "plan/plan.h"\n\n#include <simgrid/s4u.hpp>\n',
                 "sim/engine.h": '#include <vector>\n#include "base/units.h"\n',
                 "tests/sim/engine_test.cc": '#include "sim/engine.h"\n#include "tests/sim/drawing.h"\n',
                 "CMakeLists.txt": "iso_room(sim LINKS plan PkgConfig::simgrid)\n"})
    expect("a tree within the table passes", run(check), 0, "")
    for name, text, said in [
        ("sim/peek.cc", '#include "base/units.h"\n#include "costmodel/price.h"\n', "sim/peek.cc:2: \"costmodel/price.h\" is not for sim"),
        ("executor/peek.h", '#include "sim/engine.h"\n', "executor/peek.h:1: \"sim/engine.h\" is not for executor"),
        ("base/peek.cc", '#include "plan/plan.h"\n', "base/peek.cc:1: \"plan/plan.h\" is not for base"),
        ("tests/plan/peek_test.cc", '#include "sim/engine.h"\n', "tests/plan/peek_test.cc:1: \"sim/engine.h\" is not for plan"),
        ("sim/near.cc", '#include "engine.h"\n', "sim/near.cc:1: \"engine.h\" does not start at a room"),
        ("plan/heavy.h", "#include <nlohmann/json.hpp>\n", "plan/heavy.h:1: <nlohmann/json.hpp> is heavy"),
        ("CMakeLists.txt", "iso_room(sim LINKS plan costmodel)\n", "CMakeLists.txt:1: sim links costmodel"),
    ]:
        before = (root / name).read_text() if (root / name).exists() else None
        write(root, {name: text})
        expect(f"a fault in {name} is found", run(check), 1, said)
        (root / name).unlink() if before is None else write(root, {name: before})


def orphans(root):
    commands = root / "compile_commands.json"
    write(root, {"tests/base/a_test.cc": "", "tests/base/b_test.cc": ""})
    entry = {"directory": str(root), "command": "c++"}
    both = [dict(entry, file="tests/base/a_test.cc"), dict(entry, file=str(root / "tests/base/b_test.cc"))]
    commands.write_text(json.dumps(both))
    expect("built tests pass", run([HOUSE / "orphans.py", root, commands]), 0, "")
    commands.write_text(json.dumps(both[:1]))
    expect("a test that no target builds is found", run([HOUSE / "orphans.py", root, commands]), 1,
           "tests/base/b_test.cc: no target builds it")


def groups(root):
    def share(a, b):
        write(root, {"a.cc": a, "b.cc": b})
        status, said = run(["awk", "-v", "size=8", "-f", SOURCE / "cmake/groups.awk", root / "plan/found.h", "sources=1",
                            root / "a.cc", root / "b.cc"])
        return status, "together" if len({line.split()[0] for line in said.splitlines()}) == 1 else "apart"

    kept = "namespace iso {\n\nnamespace {\n\nint Twice(int a) { return 2 * a; }\n\n}  // namespace\n\nint A() { return Twice(1); }\n"
    header = f'#include "{root}/plan/found.h"\n'
    write(root, {"plan/found.h": "namespace plan {\nstruct Found {\n};\n}\n"})
    expect("sources with nothing in common share a unit", share(kept, "int B() { return A(); }\n"), 0, "together")
    expect("a public function in two sources is no obstacle", share("int B(int);\n", "int B(int);\n"), 0, "together")
    for what, a, b in [
        ("a function kept in two anonymous namespaces", kept, kept),
        ("a word of one that another keeps", kept, "int B() { return Twice(2); }\n"),
        ("a class kept by both", "namespace {\nclass Reader final : X {\n};\n", "namespace {\nstruct Reader {\n};\n"),
        ("a constant kept by both", "constexpr double kPart = 0.5;\n", "const std::array<int, 2> kPart{1, 2};\n"),
        ("a macro of both", "#define ISO_EACH(T) F(T)\n", "#define ISO_EACH(T) G(T)\n"),
        ("a name taken from elsewhere that a header gives too", "using study::Found;\n", header),
        ("a name kept by one that the other's header gives", "namespace {\nstruct Found {\n};\n", header),
    ]:
        expect(f"{what} keeps them apart", share(a, b), 0, "apart")


def words(root):
    write(root, {"docs/a.md": "see https://arxiv.org/abs/2205.05198 and /usr/bin and data/home/ann/x\n", "build/x.md": "/hom" "e/ann/x\n"})
    expect("a tree without workplace words passes", run([HOUSE / "words.py", root]), 0, "")
    for text, said in [("a\nin /mn" "t/there/x\n", "docs/b.md:2"), ("/hom" "e/ann/x\n", "docs/b.md:1"),
                       ("https://registr" "y.npmjs.org/x\n", "registry"), ("http://localhos" "t:80/\n", "private network")]:
        write(root, {"docs/b.md": text})
        expect(f"a word of the workplace is found ({said})", run([HOUSE / "words.py", root]), 1, said)
    write(root, {"docs/b.md": "", "tests/folder.h": "temp_directory_path()\n", "tests/a_test.cc": "\ntemp_directory_path()\n"})
    expect("a test's file in a shared place is found", run([HOUSE / "words.py", root]), 1, "tests/a_test.cc:2")


def formatting(root):
    if not (shutil.which("clang-format-14") or shutil.which("clang-format")):
        print("skipped: no clang-format")
        return
    shutil.copy(SOURCE / ".clang-format", root)
    write(root, {"base/a.h": "int f();\n", "build/b.h": "int  f( );\n"})
    check = [SCRIPTS / "format", "--check"]
    relative = os.path.relpath(root, SCRIPTS)
    expect("a formatted tree passes", run(check, ISO_FORMAT_ROOT=relative), 0, "")
    write(root, {"base/a.h": "int  f( );\n"})
    expect("an unformatted file is found", run(check, ISO_FORMAT_ROOT=relative), 1, "base/a.h:1")


def fresh(root):
    check = [SCRIPTS / "fresh", "--root", root]
    page = "# A\n<!-- generated: list -->\n{}\n<!-- end of list -->\nend\n"
    write(root, {"scripts/generated.txt": "# pages\nall.md: echo one\npart.md#list: printf '%s\\n' two\n",
                 "all.md": "one\n", "part.md": page.format("two")})
    expect("fresh pages pass", run(check), 0, "")
    write(root, {"all.md": "old\n"})
    expect("a stale page is found", run(check), 1, "-old\n+one\n")
    run(check + ["--write"])
    write(root, {"part.md": page.format("old")})
    expect("a stale block is found", run(check), 1, "-old\n+two\n")
    run(check + ["--write"])
    expect("rewritten pages are fresh", (0, (root / "all.md").read_text() + (root / "part.md").read_text()), 0, "one\n" + page.format("two"))
    write(root, {"scripts/generated.txt": "all.md: false\n"})
    expect("a command that fails is a fault", run(check), 1, "ended with status 1")
    write(root, {"scripts/generated.txt": "all.md#absent: echo\n"})
    expect("a block without marks is a fault", run(check), 1, "lacks the marks of block absent")


def sizes(root):
    body = "  x();\n"
    write(root, {"base/a.cc": "void Short() {\n" + body * 38 + "}\n\nvoid Long() {\n" + body * 39 + "}\n", "base/b.h": "//\n" * 121})
    expect("what is over its size is listed", run([SCRIPTS / "sizes", root]), 0,
           "base/a.cc:42: 41 lines, aim 40: void Long()\nbase/b.h: 121 lines, aim 120\n")


for test in (includes, orphans, groups, words, formatting, fresh, sizes):
    with tempfile.TemporaryDirectory() as folder:
        test(pathlib.Path(folder).resolve())
