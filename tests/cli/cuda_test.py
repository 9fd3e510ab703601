#!/usr/bin/env python3
"""cuda_test.py ISOCHRONE SOURCE [REASON]: `--device cuda` where there is no GPU, which it must say; with a REASON, that one.
Exit 77 where there is a GPU and no REASON was named."""
import resource
import subprocess
import sys
import time

program, source = sys.argv[1:3]
reasons = sys.argv[3:] or ["CUDA finds no GPU", "was built without CUDA"]
if len(sys.argv) == 3 and subprocess.run(["sh", "-c", "nvidia-smi -L"], capture_output=True).returncode == 0:
    print("skipped: this machine has a GPU")
    sys.exit(77)
scenario = source + "/scenarios/examples/byte_gpt_on_8_cpu_ranks.json"
faults, said = [], []
for command in (["run", scenario, "--device", "cuda"],
                ["calibrate", "hardware/h100_sxm_80gb.json", "--device", "cuda", "--out", "never_written.json"]):
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run([program, *command], capture_output=True, text=True)
    seconds, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    verb = command[0]
    if run.returncode != 1:
        faults.append(f"{verb}: exit status {run.returncode}, not 1")
    if run.stdout:
        faults.append(f"{verb}: something on standard output: " + run.stdout)
    if not any(reason in run.stderr for reason in reasons):
        faults.append(f"{verb}: standard error does not say what is missing: " + run.stderr)
    if not run.stderr.startswith(("error: --device cuda\n", "error: calibrate --device cuda\n")):
        faults.append(f"{verb}: standard error does not name --device cuda: " + run.stderr)
    if min(seconds, busy) > 1:  # on a loaded machine the processor's time counts
        faults.append(f"{verb}: took {seconds:.2f} s, {busy:.2f} s of the processor")
    said.append(f"{run.stderr.strip()}\n({seconds:.2f} s, {busy:.2f} s of the processor)")
print("\n".join(faults or said))
sys.exit(1 if faults else 0)
