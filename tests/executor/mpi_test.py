#!/usr/bin/env python3
"""mpi_test.py MPIRUN PROGRAM: ranks as processes equal one rank at 2, 4 and 8 processes, and a run of which one process
throws, meets a NaN or is killed ends within 5 seconds and says where."""
import os
import re
import signal
import subprocess
import sys
import time

ENVIRONMENT = dict(os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1", OPENBLAS_NUM_THREADS="1")


def start(mpirun, processes, *arguments):
    return subprocess.Popen([mpirun, "--oversubscribe", "-n", str(processes), *arguments], env=ENVIRONMENT, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def check(what, holds, said):
    print(("ok: " if holds else "FAILED: ") + what)
    if not holds:
        print(said)
        sys.exit(1)


def main(mpirun, program):
    for processes, plans in ((2, 4), (4, 3), (8, 2)):
        run = start(mpirun, processes, program, "equality")
        said = run.communicate(timeout=120)[0]
        check(f"{processes} processes equal one rank in {plans} plans",
              run.returncode == 0 and said.count("largest difference") == plans, said)
    for how, expected in (
            ("throw", r"rank 1, step 1, op fc1 of transformer layer 2, forward of microbatch 0\n\s+the disk is on fire"),
            ("nan", r"rank 1, step 0, op fc1 of transformer layer 3, forward of microbatch 0")):
        begun = time.monotonic()
        run = start(mpirun, 2, program, how, "1")
        said = run.communicate(timeout=60)[0]
        check(f"{how}: says rank and op", run.returncode != 0 and re.search(expected, said), said)
        check(f"{how}: ends within 5 s", time.monotonic() - begun < 5, said)
    run = start(mpirun, 2, program, "wait", "1")
    line = run.stdout.readline()
    os.kill(int(re.fullmatch(r"process (\d+)\n", line).group(1)), signal.SIGKILL)
    begun = time.monotonic()
    said = run.communicate(timeout=60)[0]
    check("killed: the launcher names the rank", re.search(r"process rank 1 .*on signal 9", said), said)
    check("killed: the other rank says what it waited for",
          re.search(r"rank 0, step 1, .*was ended while it waits for .*from rank 1", said, re.S), said)
    check("killed: ends within 5 s", time.monotonic() - begun < 5, said)


if __name__ == "__main__":
    main(*sys.argv[1:])
