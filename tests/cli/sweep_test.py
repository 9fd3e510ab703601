"""A sweep is killed, its disk fills, its file is damaged: what was written stands, and --resume ends as if nothing had been."""
import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

PROGRAM, SOURCE = sys.argv[1:3]
SWEEP = {
    "model": "models/gpt_3.6b.json",
    "cluster": {"node": "hardware/dgx_a100_80gb.json", "nodes": 2},
    "batch": {"sequences": 96, "microbatch": "search"},
    "strategy": {
        "tensor": "search", "pipeline": "search", "schedule": "search", "chunks_per_rank": [1, 2, 3, 4],
        "recompute": "search", "sequence_parallel": "search", "optimizer_sharding": ["none", "zero1", "zero2"],
        "overlap_data": "search", "overlap_pipeline": "search", "account_embedding_in_split": "search",
    },
}


def run(*arguments, limit=None):
    """Exit status, output, errors; `limit`: largest file in bytes, as a full disk."""
    def prepare():
        if limit:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    done = subprocess.run([PROGRAM, "sweep", *arguments], capture_output=True, text=True, cwd=SOURCE,
                          preexec_fn=prepare, restore_signals=not limit)
    return done.returncode, done.stdout, done.stderr


def bytes_of(path):
    with open(path, "rb") as file:
        return file.read()


def check(what, good, detail=""):
    print(("ok  " if good else "BAD ") + what + ("" if good else ": " + str(detail)))
    if not good:
        sys.exit(1)


def killed_often(folder, sweep, whole, seconds):
    part = os.path.join(folder, "part.jsonl")
    random.seed(4)
    killed = 0
    for _ in range(20):
        process = subprocess.Popen([PROGRAM, "sweep", sweep, "--out", part, "--resume", "--jobs", "2", "--confirm", "0"],
                                   cwd=SOURCE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.random() * seconds)
        killed += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
    status, _, errors = run(sweep, "--out", part, "--resume", "--confirm", "0")
    check(f"killed {killed} times, then resumed: the same bytes", status == 0 and bytes_of(part) == bytes_of(whole), errors)
    check("most of the kills hit a sweep at work", killed >= 5, killed)


def full_disk(folder, sweep, whole):
    path = os.path.join(folder, "full.jsonl")
    status, _, errors = run(sweep, "--out", path, "--confirm", "0", limit=1 << 20)
    check("a full disk is an error with a remedy", status == 1 and "make room" in errors, errors)
    check("what was written before stands", bytes_of(path) == bytes_of(whole)[:os.path.getsize(path)])
    status, _, errors = run(sweep, "--out", path, "--resume", "--confirm", "0")
    check("with room again it goes on to the same file", status == 0 and bytes_of(path) == bytes_of(whole), errors)


def refused(folder, sweep, whole):
    status, _, errors = run(sweep, "--out", whole)
    check("a file that exists is not overwritten", status == 1 and "exists already" in errors, errors)
    damaged = os.path.join(folder, "damaged.jsonl")
    content = bytearray(bytes_of(whole))
    middle = content.index(b"\n", len(content) // 2)
    content[middle - 3] = ord("x")
    with open(damaged, "wb") as file:
        file.write(content)
    status, _, errors = run(sweep, "--out", damaged, "--resume")
    check("a damaged line is named", status == 1 and "is damaged" in errors and "line" in errors, errors)
    check("a damaged file is left as it is", bytes_of(damaged) == bytes(content))
    locked = os.path.join(folder, "locked")
    os.mkdir(locked, 0o555)
    target = "/proc/self/results.jsonl" if os.geteuid() == 0 else os.path.join(locked, "results.jsonl")
    status, _, errors = run(sweep, "--out", target)
    check("a folder that takes no files is an error with a remedy", status == 1 and "cannot be written" in errors, errors)


def asked_in_sql(folder, sweep, whole):
    path = os.path.join(folder, "results.sqlite")
    status, _, errors = run(sweep, "--out", whole, "--resume", "--confirm", "0", "--sqlite", path)
    check("an SQLite file is made", status == 0, errors)
    rows = [json.loads(line) for line in bytes_of(whole).splitlines()[1:-1]]
    database = sqlite3.connect(path)
    count, best = database.execute("SELECT count(*), min(step_time_s) FROM results WHERE fits").fetchone()
    fitting = [row["step_time_s"] for row in rows if row["fits"]]
    check("SQL sees every row and every digit", (count, best) == (len(fitting), min(fitting)), (count, best))


def main():
    with tempfile.TemporaryDirectory() as folder:
        sweep, whole = os.path.join(folder, "sweep.json"), os.path.join(folder, "whole.jsonl")
        with open(sweep, "w", encoding="utf-8") as file:
            json.dump(SWEEP, file)
        begin = time.monotonic()
        status, _, errors = run(sweep, "--out", whole, "--jobs", "2", "--confirm", "0")
        seconds = time.monotonic() - begin
        check(f"an undisturbed sweep of {os.path.getsize(whole)} bytes", status == 0, errors)
        killed_often(folder, sweep, whole, seconds / 2)
        full_disk(folder, sweep, whole)
        refused(folder, sweep, whole)
        asked_in_sql(folder, sweep, whole)


main()
