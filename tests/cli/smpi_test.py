#!/usr/bin/env python3
"""smpi_test.py PROGRAM: the executor's MPI form under SMPI, at 8 to 64 ranks, against the network fidelity. Prints one
row of a table for each case; a case that differs by more than 5 % of its step, or trains otherwise, fails."""
import subprocess
import sys

ONE_F_ONE_B, INTERLEAVED, ZB_H1 = "1", "2", "3"
CASES = (  # pipeline, data, schedule, oversubscription
    ("4", "2", ONE_F_ONE_B, "1"),
    ("8", "1", ZB_H1, "1"),
    ("4", "4", INTERLEAVED, "1"),
    ("8", "4", ONE_F_ONE_B, "2"),
    ("8", "8", ONE_F_ONE_B, "1"),
)


def main(program):
    print("| ranks | pipeline | data | schedule | leaves | predicted (ms) | executor (ms) | step (%) | worst start (%) | losses |")
    print("| ---: | ---: | ---: | --- | --- | ---: | ---: | ---: | ---: | ---: |")
    failed = 0
    for case in CASES:
        run = subprocess.run([program, *case], capture_output=True, text=True, timeout=120)
        print(run.stdout, end="", flush=True)
        if run.returncode != 0:
            failed += 1
            print(f"FAILED: {' '.join(case)}\n{run.stderr}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
