#!/usr/bin/env python3
"""heap_test.py BIN: the heap that each rank holds at its fullest instant, counted by a malloc that knows nothing of the plan, is what
`isochrone predict` says within 2%, for GPTs of three sizes and a Mamba-2 hybrid."""
import pathlib
import sys
import tempfile

sys.path.append(str(pathlib.Path(__file__).resolve().parents[2] / "scripts"))
import cpu_steps


def main(bin_folder):
    worst = 0
    with tempfile.TemporaryDirectory() as gpts, tempfile.TemporaryDirectory() as hybrids:
        steps = cpu_steps.write(pathlib.Path(gpts))
        steps += cpu_steps.write(pathlib.Path(hybrids), {"hybrid": cpu_steps.SIZES["medium"]}, cpu_steps.HYBRID)
        for size, name, path in steps:
            predicted, counted = cpu_steps.memory_of(bin_folder, path)
            error = 100 * (predicted / counted - 1)
            worst = max(worst, abs(error))
            print(f"{size:7} {name:35} predicted {predicted / 2**20:8.3f} MiB, held {counted / 2**20:8.3f} MiB, {error:+.2f}%")
    print(f"worst {worst:.2f}%")
    sys.exit(worst > 2)


main(*sys.argv[1:])
