"""The steps of the CPU executor that scripts/cpu_accuracy and a test of memory look at: three sizes of a byte-level GPT, spread
over 1 to 16 ranks in fifteen ways."""
import json
import math
import os
import pathlib
import subprocess
import tempfile

from built import root

SIZES = {"small": (128, 64), "medium": (192, 96), "large": (256, 96)}  # hidden, sequence

# name: what differs from one rank
STRATEGIES = {
    "1 rank": {},
    "1 rank, full recompute": {"recompute": "full"},
    "tp 2": {"tensor": 2},
    "tp 4, sequence parallel": {"tensor": 4, "sequence_parallel": True},
    "pp 2, 1F1B": {"pipeline": 2},
    "pp 2, ZB-V": {"pipeline": 2, "schedule": "zb_v"},
    "dp 2, ZeRO-1": {"data": 2, "optimizer_sharding": "zero1"},
    "dp 4, ZeRO-3": {"data": 4, "optimizer_sharding": "zero3"},
    "dp 2, ZeRO-2, selective": {"data": 2, "optimizer_sharding": "zero2", "recompute": "selective"},
    "tp 2, pp 2, GPipe": {"tensor": 2, "pipeline": 2, "schedule": "gpipe"},
    "pp 2, dp 2, interleaved": {"pipeline": 2, "data": 2, "schedule": "interleaved_1f1b", "chunks_per_rank": 2},
    "pp 2, dp 2, ZB-H1": {"pipeline": 2, "data": 2, "schedule": "zb_h1"},
    "tp 2, pp 2, dp 2, ZeRO-1": {"tensor": 2, "pipeline": 2, "data": 2, "sequence_parallel": True, "optimizer_sharding": "zero1"},
    "pp 4, dp 2, ZB-H1, full recompute": {"pipeline": 4, "data": 2, "schedule": "zb_h1", "recompute": "full"},
    "tp 4, pp 2, dp 2": {"tensor": 4, "pipeline": 2, "data": 2},
}

# What makes a hybrid of the byte-level GPT: Mamba-2 layers beside attention and MLP.
HYBRID = {"pattern": "M*-M", "mamba": {"state": 32, "groups": 4, "head_dim": 32, "convolution": 4, "expand": 2}}


def ranks_of(name):
    """As many as a strategy's degrees multiply to."""
    return math.prod(STRATEGIES[name].get(degree, 1) for degree in ("tensor", "pipeline", "data"))


def write(folder, sizes=SIZES, model_keys={}):
    """Scenario files of these sizes with every strategy: [(size, name, path)]. `model_keys` are the model's beside its size."""
    model = json.loads((root / "scenarios/models/byte_gpt.json").read_text())
    listed = []
    for size, (hidden, sequence) in sizes.items():
        model |= {"name": f"byte_gpt_{size}", "hidden": hidden, "head_dim": hidden // 4, "ffn": 4 * hidden, "sequence": sequence} | model_keys
        (folder / f"{size}.json").write_text(json.dumps(model))
        for name, strategy in STRATEGIES.items():
            path = folder / f"{size}_{len(listed)}.json"
            path.write_text(json.dumps({
                "question": f"How long is a step of the {size} model with {name}?",
                "model": f"{size}.json",
                "cluster": {"node": "hardware/cpu_node.json", "nodes": 1},
                "batch": {"sequences": 8, "microbatch": 1},
                "strategy": {"tensor": 1, "pipeline": 1, "data": 1, "schedule": "1f1b", "precision": "fp32"} | strategy,
            }))
            listed.append((size, name, path))
    return listed


def answer_of(bin_folder, *arguments, **environment):
    command = [f"{bin_folder}/isochrone", *map(str, arguments), "--json"]
    said = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=root, env=os.environ | environment).stdout
    return json.loads(said)


def predicted_bytes(bin_folder, scenario):
    """[stage]: what `isochrone predict` says that each of the stage's ranks holds at its fullest instant."""
    return [stage["total"] for stage in answer_of(bin_folder, "predict", scenario)["memory"]["stages"]]


def heap_bytes(bin_folder, scenario):
    """[rank]: the most heap that each rank's thread held at once over three steps, counted by a preloaded malloc."""
    with tempfile.NamedTemporaryFile() as peaks:
        answer_of(bin_folder, "run", scenario, LD_PRELOAD=f"{bin_folder}/heap_hook.so", HEAP_PEAKS=peaks.name)
        lines = (line.split(None, 1) for line in pathlib.Path(peaks.name).read_text().splitlines())
        by_name = {name: int(most) for most, name in lines}
    return [by_name[f"rank {rank}"] for rank in range(sum(name.startswith("rank ") for name in by_name))]


def memory_of(bin_folder, scenario):
    """Predicted and counted bytes of the rank for which they differ most. Ranks of a stage stand side by side."""
    predicted, counted = predicted_bytes(bin_folder, scenario), heap_bytes(bin_folder, scenario)
    a_stage = len(counted) // len(predicted)
    pairs = [(predicted[rank // a_stage], most) for rank, most in enumerate(counted)]
    return max(pairs, key=lambda pair: abs(pair[0] / pair[1] - 1))
