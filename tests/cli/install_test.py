#!/usr/bin/env python3
"""install_test.py CMAKE BUILD_FOLDER: an installed copy that was moved answers from its own catalogue."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

cmake, build = sys.argv[1:3]
with tempfile.TemporaryDirectory() as name:
    folder = pathlib.Path(name)
    subprocess.run([cmake, "--install", build, "--prefix", str(folder / "first")], check=True, stdout=subprocess.DEVNULL)
    (folder / "first").rename(folder / "moved")
    catalogue = folder / "moved/share/isochrone/scenarios"
    scenario = json.loads((catalogue / "examples/gpt3_on_64_a100.json").read_text())
    # A name that only the moved copy has, so that no other catalogue can answer.
    (catalogue / scenario["model"]).rename(catalogue / "models/only_here.json")
    (folder / "scenario.json").write_text(json.dumps(dict(scenario, model="models/only_here.json")))
    environment = {key: value for key, value in os.environ.items() if key != "ISOCHRONE_CATALOGUE"}
    done = subprocess.run([str(folder / "moved/bin/isochrone"), "predict", str(folder / "scenario.json")], cwd="/", env=environment,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout)
    sys.exit(done.returncode)
