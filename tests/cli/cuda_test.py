#!/usr/bin/env python3
"""cuda_test.py ISOCHRONE SOURCE: `run --device cuda` where there is no GPU. Exit 77 where there is one."""
import resource
import subprocess
import sys
import time

program, source = sys.argv[1:]
if subprocess.run(["sh", "-c", "nvidia-smi -L"], capture_output=True).returncode == 0:
    print("skipped: this machine has a GPU")
    sys.exit(77)
scenario = source + "/scenarios/examples/byte_gpt_on_8_cpu_ranks.json"
start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
run = subprocess.run([program, "run", scenario, "--device", "cuda"], capture_output=True, text=True)
seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
faults = []
if run.returncode != 1:
    faults.append(f"exit status {run.returncode}, not 1")
if run.stdout:
    faults.append("something on standard output: " + run.stdout)
if not any(line in run.stderr for line in ("CUDA finds no GPU", "was built without CUDA")):
    faults.append("standard error does not say what is missing: " + run.stderr)
if not run.stderr.startswith("error: --device cuda\n"):
    faults.append("standard error does not name --device cuda: " + run.stderr)
if min(seconds, busy) > 1:  # on a loaded machine the processor's time counts
    faults.append(f"took {seconds:.2f} s, {busy:.2f} s of the processor")
print("\n".join(faults) if faults else f"{run.stderr.strip()}\n({seconds:.2f} s, {busy:.2f} s of the processor)")
sys.exit(1 if faults else 0)
