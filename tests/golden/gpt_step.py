#!/usr/bin/env python3
"""gpt_step.py > gpt_step.json: one training step of two small models in PyTorch, in double precision on the CPU.

Run with the Debian package python3-torch (1.13). Weights and tokens follow a rule that a test can repeat:
weight i of parameter number n (in the order of PARAMETERS) is deviation sin(1 + 12.9898 n + 0.37 i), plus 1 where it
scales a normalisation; token p of sequence s is (17 s + 5 p + p p) mod vocabulary. The file holds, per model, the loss
before and after one AdamW update, the norm of the gradients, and of each parameter the norm of its gradient, its sum
weighted with cos(i), and the same two of the updated parameter.
"""
import json
import math

import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
LAYERS, HIDDEN, HEADS, FFN, SEQUENCE, VOCABULARY, BATCH = 2, 16, 4, 32, 6, 24, 4
ADAM = dict(lr=1e-2, betas=(0.9, 0.999), eps=1e-8)
WEIGHT_DECAY, CLIP, DEVIATION = 0.01, 1.0, 0.2


def shapes(llama):
    d, kv = HIDDEN // HEADS, 2 if llama else HEADS
    packed = (HEADS + 2 * kv) * d
    yield "embedding.weight", (VOCABULARY, HIDDEN)
    if not llama:
        yield "position.weight", (SEQUENCE, HIDDEN)
    for layer in range(LAYERS):
        at = f"layer.{layer}."
        for norm, weights in (("attention_norm", (("qkv", (packed, HIDDEN)), ("projection", (HIDDEN, HIDDEN)))),
                              ("mlp_norm", (("fc1", (FFN * (2 if llama else 1), HIDDEN)), ("fc2", (HIDDEN, FFN))))):
            yield at + norm + ".weight", (HIDDEN,)
            if not llama:
                yield at + norm + ".bias", (HIDDEN,)
            for name, shape in weights:
                yield at + name + ".weight", shape
                if not llama:
                    yield at + name + ".bias", shape[:1]
    yield "final_norm.weight", (HIDDEN,)
    if not llama:
        yield "final_norm.bias", (HIDDEN,)
    if llama:
        yield "logits.weight", (VOCABULARY, HIDDEN)


def parameters(llama):
    made = {}
    for n, (name, shape) in enumerate(shapes(llama)):
        i = torch.arange(math.prod(shape))
        value = DEVIATION * torch.sin(1 + 12.9898 * n + 0.37 * i) + (1 if name.endswith("norm.weight") else 0)
        made[name] = value.reshape(shape).requires_grad_()
    return made


def norm(p, name, x, llama):
    if llama:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5) * p[name + ".weight"]
    return F.layer_norm(x, (HIDDEN,), p[name + ".weight"], p[name + ".bias"], 1e-5)


def linear(p, name, x):
    return F.linear(x, p[name + ".weight"], p.get(name + ".bias"))


def rotate(x):  # (B, heads, S, D)
    half = x.shape[-1] // 2
    angle = torch.outer(torch.arange(SEQUENCE).double(), 10000.0 ** (-torch.arange(half).double() / half))
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()), -1)


def attention(p, at, x, llama):
    d, kv = HIDDEN // HEADS, 2 if llama else HEADS
    q, k, v = linear(p, at + "qkv", x).split((HEADS * d, kv * d, kv * d), -1)
    q, k, v = (t.reshape(BATCH, SEQUENCE, -1, d).transpose(1, 2) for t in (q, k, v))
    if llama:
        q, k = rotate(q), rotate(k)
    k, v = (t.repeat_interleave(HEADS // kv, 1) for t in (k, v))
    scores = q @ k.transpose(-1, -2) / math.sqrt(d)
    hidden = torch.triu(torch.ones(SEQUENCE, SEQUENCE, dtype=torch.bool), 1)
    out = scores.masked_fill(hidden, -math.inf).softmax(-1) @ v
    return linear(p, at + "projection", out.transpose(1, 2).reshape(BATCH, SEQUENCE, HIDDEN))


def gelu(x):  # the tanh form
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def loss_of(p, text, llama):
    x = p["embedding.weight"][text[:, :-1]]
    if not llama:
        x = x + p["position.weight"]
    for layer in range(LAYERS):
        at = f"layer.{layer}."
        x = x + attention(p, at, norm(p, at + "attention_norm", x, llama), llama)
        h = linear(p, at + "fc1", norm(p, at + "mlp_norm", x, llama))
        h = F.silu(h[..., :FFN]) * h[..., FFN:] if llama else gelu(h)
        x = x + linear(p, at + "fc2", h)
    table = p["logits.weight" if llama else "embedding.weight"]
    logits = F.linear(norm(p, "final_norm", x, llama), table)
    return F.cross_entropy(logits.reshape(-1, VOCABULARY), text[:, 1:].reshape(-1))


def summary(tensor):
    flat = tensor.detach().reshape(-1)
    return [flat.norm().item(), (flat * torch.cos(torch.arange(flat.numel()).double())).sum().item()]


def step(llama):
    p = parameters(llama)
    place = torch.arange(SEQUENCE + 1)
    text = torch.stack([(17 * s + 5 * place + place * place) % VOCABULARY for s in range(BATCH)])
    matrices = [t for t in p.values() if t.dim() > 1]
    vectors = [t for t in p.values() if t.dim() == 1]
    optimizer = torch.optim.AdamW([dict(params=matrices, weight_decay=WEIGHT_DECAY), dict(params=vectors, weight_decay=0)], **ADAM)
    before = loss_of(p, text, llama)
    before.backward()
    gradients = {name: summary(t.grad) for name, t in p.items()}
    total = torch.nn.utils.clip_grad_norm_(p.values(), CLIP).item()
    optimizer.step()
    return {"loss": before.item(), "loss_after": loss_of(p, text, llama).item(), "gradient_norm": total,
            "gradients": gradients, "parameters": {name: summary(t) for name, t in p.items()}}


print(json.dumps({"torch": torch.__version__, "gpt": step(False), "llama": step(True)}, indent=1))
