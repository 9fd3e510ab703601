#!/usr/bin/env python3
"""bad_input_test.py ISOCHRONE SOURCE_ROOT: whatever is wrong with a scenario, `predict` ends with status 1 and a message of
three parts (place, fault, remedy) on standard error, prints nothing on standard output, and neither crashes nor hangs.

One good scenario is copied with every file that it refers to; then each number in each file is replaced by each bad value,
each key is misspelt, removed and doubled, and the files are cut, emptied, bloated and nested.
"""
import concurrent.futures
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

EXAMPLE = "examples/gpt3_on_64_a100.json"
SECONDS = 60  # far more than one answer takes, far less than a hang
MEMORY = 4 << 30

# What a number may be where the general rule says no. Keys are the last parts of paths.
ZERO_IS_FINE = {"dropout", "oversubscription_loss", "first_stage_layers", "last_stage_layers", "recompute_layers", "shard_group",
                "galore_rank", "expert_load_zipf", "window", "mtp_layers"}
NAMED_ELSEWHERE = {"nics"}  # the message names the key that needs them
NOT_READ_AS_NUMBERS = {"question", "sources", "source", "notes"}  # prose may hold anything


class Tree:
    """The example and all it refers to, as local files that refer to each other."""

    def __init__(self, catalogue):
        self.files = {}
        self.root = self._take(catalogue, catalogue / EXAMPLE, "scenario.json")

    def _take(self, catalogue, path, name):
        text = json.loads(path.read_text())
        self.files[name] = self._localised(catalogue, path.parent, text)
        return name

    def _localised(self, catalogue, folder, value):
        if isinstance(value, dict):
            return {k: v if k in NOT_READ_AS_NUMBERS else self._localised(catalogue, folder, v) for k, v in value.items()}
        if isinstance(value, list):
            return [self._localised(catalogue, folder, v) for v in value]
        if isinstance(value, str) and value.endswith(".json"):
            found = next(p for p in (folder / value, catalogue / value) if p.exists())
            name = value.replace("/", "_")
            if name not in self.files:
                self._take(catalogue, found, name)
            return name
        return value

    def write(self, folder, changed=None, text=None):
        """All files into `folder`; `changed` one gets `text` instead."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in self.files.items():
            (folder / name).write_text(text if name == changed else json.dumps(value, indent=1))
        return folder / self.root


def numbers(value, path=()):
    """Paths of all numbers below `value`, prose apart."""
    if isinstance(value, dict):
        for key, child in value.items():
            if key not in NOT_READ_AS_NUMBERS:
                yield from numbers(child, path + (key,))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from numbers(child, path + (index,))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield path, value


def objects(value, path=()):
    if isinstance(value, dict):
        yield path, value
        for key, child in value.items():
            if key not in NOT_READ_AS_NUMBERS:
                yield from objects(child, path + (key,))


def replaced(value, path, new):
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(copy[path[0]], path[1:], new)
    return copy


def pointer(path):
    return "/" + "/".join(str(p) for p in path)


class Case:
    """One call: what is wrong with it, its words, and what its message must name."""

    def __init__(self, title, words, names=(), may_answer=False):
        self.title, self.words, self.names, self.may_answer = title, [str(w) for w in words], names, may_answer


def value_cases(tree, folder):
    bad = [("zero", "0"), ("negative", "-1"), ("10^18", "1000000000000000000"), ("1e300", "1e300"), ("1e400", "1e400"),
           ("a string", '"8"'), ("a boolean", "true"), ("null", "null"), ("a list", "[8]"), ("an object", "{}"), ("NaN", "NaN")]
    for name, content in tree.files.items():
        for path, good in numbers(content):
            for what, raw in bad + ([("a fraction", f"{good}.5")] if isinstance(good, int) else []):
                text = json.dumps(replaced(content, path, "@bad@"), indent=1).replace('"@bad@"', raw)
                scenario = tree.write(folder / f"value{name}{'_'.join(map(str, path))}{what}".replace("/", "_"), name, text)
                syntax = raw in ("NaN", "1e400")
                names = [name] if syntax else [] if path[-1] in NAMED_ELSEWHERE else [name, pointer(path)]
                answer = what == "zero" and path[-1] in ZERO_IS_FINE
                # Physical quantities may be any fraction; counts are written as whole numbers in every file but hardware.
                answer = answer or (what == "a fraction" and any(u in str(path[-1]) for u in UNITS))
                yield Case(f"{name}: {pointer(path)} = {what}", ["predict", scenario], names, answer)


UNITS = ("_tops", "_gib", "_gb", "_gb_per_s", "tflops", "_mhz", "_ghz", "_us", "_w", "_mib", "_tb", "_s", "oversubscription", "bandwidth")


def key_cases(tree, folder):
    for name, content in tree.files.items():
        for path, found in objects(content):
            here = folder / f"key{name}{'_'.join(map(str, path))}"
            unknown = dict(found, tensr=1)
            yield Case(f"{name}: {pointer(path)} has an unknown key", ["predict", tree.write(
                here / "unknown", name, json.dumps(replaced(content, path, unknown)))], [name, "tensr"])
            for key in found:
                doubled = json.dumps(replaced(content, path, dict(found, **{"@twice@": found[key]}))).replace("@twice@", key)
                yield Case(f"{name}: {pointer(path)} has {key} twice", ["predict", tree.write(here / f"twice_{key}", name, doubled)],
                           [name, key])
                lacking = {k: v for k, v in found.items() if k != key}
                yield Case(f"{name}: {pointer(path)} lacks {key}", ["predict", tree.write(
                    here / f"lacks_{key}", name, json.dumps(replaced(content, path, lacking)))], may_answer=True)


def file_cases(tree, folder):
    good = json.dumps(tree.files[tree.root], indent=1)
    texts = {"empty": "", "blank": " \n\t", "a number": "8", "a list": "[]", "a string": '"x"', "an empty object": "{}",
             "two documents": good + good, "a comment": "// x\n" + good,
             "deep lists": "[" * 100000, "deep objects": '{"a":' * 100000, "a zero byte": "\0" + good,
             "a deep member": good[:-1].rstrip() + ',"x":' + "[" * 5000 + "]" * 5000 + "}", "a long word": '{"' + "a" * 10**6 + '": 1}'}
    texts.update({f"cut at {n}": good[:n] for n in range(1, len(good) - 1, max(1, len(good) // 40))})
    for what, text in texts.items():
        yield Case(f"the scenario is {what}", ["predict", tree.write(folder / f"text {what}", tree.root, text)], [tree.root])
    for name in tree.files:
        if name != tree.root:
            for what in ("empty", "a list", "deep lists", "an empty object"):
                yield Case(f"{name} is {what}", ["predict", tree.write(folder / f"{name} {what}", name, texts[what])], [name])
            without = tree.write(folder / f"without {name}")
            (without.parent / name).unlink()
            yield Case(f"{name} is missing", ["predict", without], [name])
            instead = tree.write(folder / f"folder {name}")
            (instead.parent / name).unlink()
            (instead.parent / name).mkdir()
            yield Case(f"{name} is a directory", ["predict", instead], [name])
            circle = tree.write(folder / f"circle {name}", name, json.dumps(tree.files[tree.root]))
            yield Case(f"{name} is the scenario again", ["predict", circle], [name])
    binary = tree.write(folder / "binary")
    binary.write_bytes(b"\x7fELF\xff\xfe\x00" * 1000)
    yield Case("the scenario is a binary", ["predict", binary], [tree.root])
    latin = tree.write(folder / "latin")
    latin.write_bytes(good.replace("?", "\u00e9?", 1).encode("latin-1", "replace"))
    yield Case("the scenario is Latin-1", ["predict", latin], [tree.root])
    huge = folder / "huge.json"
    with huge.open("wb") as out:
        out.truncate(3 << 30)  # sparse
    yield Case("the scenario is huge", ["predict", huge], ["huge.json"])
    yield Case("the scenario has no end", ["predict", "/dev/zero"], ["/dev/zero"])
    yield Case("the scenario is missing", ["predict", folder / "absent.json"], ["absent.json"])
    yield Case("the scenario is a directory", ["predict", folder], [folder.name])
    yield Case("the scenario's name is empty", ["predict", ""])


def strategy_cases(tree, folder):
    """Degrees that do not divide what they must, and more ranks than GPUs. (Stages may hold unequal numbers of layers.)"""
    content = tree.files[tree.root]
    for key, value in [("tensor", 7), ("tensor", 10), ("tensor", 5), ("pipeline", 97), ("pipeline", 10**6), ("data", 3), ("data", 1000),
                       ("tensor", 96), ("context", 3), ("expert", 2), ("schedule", "interleaved"), ("recompute", "ful"),
                       ("precision", "fp17"), ("tensor", 2**31), ("tensor", 2**63)]:
        changed = dict(content, strategy=dict(content["strategy"], **{key: value}))
        scenario = tree.write(folder / f"strategy {key} {value}", tree.root, json.dumps(changed))
        yield Case(f"strategy {key} = {value}", ["predict", scenario], [tree.root, key])
    for key, value in [("sequences", 65), ("sequences", 1), ("microbatch", 3), ("microbatch", 128)]:
        changed = dict(content, batch=dict(content["batch"], **{key: value}),
                       strategy=dict(content["strategy"], data=2, tensor=4))
        scenario = tree.write(folder / f"batch {key} {value}", tree.root, json.dumps(changed))
        yield Case(f"batch {key} = {value} over two replicas", ["predict", scenario], [tree.root])


def command_cases(tree, folder):
    good = tree.write(folder / "good")
    for words in (["predct", good], ["predict"], ["predict", good, good], ["predict", good, "--fidelity", "exact"],
                  ["predict", good, "--fidelity"], ["predict", good, "--jsn"], ["predict", good, "--trace", folder / "no" / "where.json"],
                  ["predict", good, "--json=maybe"], ["--nothing"]):
        yield Case("isochrone " + " ".join(pathlib.Path(w).name for w in words), words)


def limits():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if not os.environ.get("ISO_SANITIZE"):  # sanitizers reserve terabytes of addresses
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def fault_of(case, isochrone):
    """What is wrong with the way that `case` ended, or nothing."""
    try:
        done = subprocess.run([isochrone, *case.words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=SECONDS, preexec_fn=limits)
    except subprocess.TimeoutExpired:
        return f"hangs for over {SECONDS} s"
    said = done.stderr.decode(errors="replace")
    if done.returncode == 0 and case.may_answer:
        return None
    if done.returncode != 1:
        return f"ends with status {done.returncode}, wanted 1; said: {said[:500]}"
    if done.stdout:
        return f"prints on standard output: {done.stdout[:200]}"
    lines = said.rstrip("\n").split("\n")
    if not lines[0].startswith("error: ") or len(lines) < 3 or any(not line.startswith("  ") for line in lines[1:]):
        return f"has no message of place, fault and remedy: {said[:500]}"
    lacking = [name for name in case.names if name not in said]
    if lacking:
        return f"does not name {', '.join(lacking)}: {said[:500]}"
    return None


def main():
    isochrone, source = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    tree = Tree(source / "scenarios")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        good = subprocess.run([isochrone, "predict", str(tree.write(folder / "as it is"))], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
        if good.returncode != 0:
            sys.exit(f"FAILED: the copied example does not run:\n{good.stdout}")
        cases = [case for make in (file_cases, strategy_cases, command_cases, key_cases, value_cases) for case in make(tree, folder)]
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            faults = list(pool.map(lambda case: fault_of(case, isochrone), cases))
    wrong = [(case, fault) for case, fault in zip(cases, faults) if fault]
    for case, fault in wrong:
        print(f"FAILED: {case.title}\n  {fault}")
    print(f"{len(cases) - len(wrong)} of {len(cases)} bad inputs are refused well")
    sys.exit(1 if wrong else 0)


main()
