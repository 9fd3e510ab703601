#!/usr/bin/env python3
"""record.py > trace.json: what torch.profiler records of training steps of a small GPT on a CPU.

The model is model.json beside this file: one layer, fp32, one sequence a step; forward, backward, clipping and
AdamW on one thread. Two steps are recorded after a warm-up and exported by `export_chrome_trace`; what takes less than 10 µs
is dropped, so that the file is small. Run with the Debian package python3-torch (1.13), which is built without Kineto:
torch.profiler then writes a plain list of events without categories.
"""
import json
import os
import pathlib
import tempfile

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import torch
from torch import nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile, schedule

MODEL = json.loads(pathlib.Path(__file__).with_name("model.json").read_text())
HIDDEN, HEADS, LENGTH, VOCABULARY = (MODEL[key] for key in ("hidden", "attention_heads", "sequence", "vocabulary"))
BATCH, LEAST = 1, 10  # sequences, microseconds
torch.set_num_threads(1)
torch.manual_seed(1)


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(HIDDEN) for _ in range(2))
        self.qkv, self.projection = nn.Linear(HIDDEN, 3 * HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.fc1, self.fc2 = nn.Linear(HIDDEN, 4 * HIDDEN), nn.Linear(4 * HIDDEN, HIDDEN)

    def forward(self, x, mask):
        q, k, v = (t.view(BATCH, LENGTH, HEADS, -1).transpose(1, 2) for t in self.qkv(self.norms[0](x)).split(HIDDEN, 2))
        scores = (q @ k.transpose(2, 3)) * (HIDDEN // HEADS) ** -0.5
        y = (F.softmax(scores.masked_fill(mask, -float("inf")), 3) @ v).transpose(1, 2).reshape(BATCH, LENGTH, HIDDEN)
        x = x + self.projection(y)
        return x + self.fc2(F.gelu(self.fc1(self.norms[1](x))))


table, places = nn.Embedding(VOCABULARY, HIDDEN), nn.Embedding(LENGTH, HIDDEN)
layers, norm = nn.ModuleList(Layer() for _ in range(MODEL["layers"])), nn.LayerNorm(HIDDEN)
mask = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
parameters = [p for module in (table, places, layers, norm) for p in module.parameters()]
optimizer = torch.optim.AdamW(parameters, lr=1e-3, foreach=True)


def step():
    tokens = torch.randint(VOCABULARY, (BATCH, LENGTH + 1))
    x = table(tokens[:, :-1]) + places.weight
    for layer in layers:
        x = layer(x, mask)
    logits = norm(x) @ table.weight.T
    F.cross_entropy(logits.view(-1, VOCABULARY), tokens[:, 1:].reshape(-1)).backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)


with profile(activities=[ProfilerActivity.CPU], schedule=schedule(wait=1, warmup=1, active=2)) as recorder:
    for _ in range(4):
        step()
        recorder.step()
with tempfile.NamedTemporaryFile(suffix=".json") as file:
    recorder.export_chrome_trace(file.name)
    events = json.load(open(file.name))
print("[" + ",\n".join(json.dumps(event) for event in events if event["dur"] >= LEAST) + "]")
