#!/usr/bin/env python3
"""Writes optimizer_reference.json: AdamW steps and moving averages of torch, for tests/unit/nn/optimizer_test.cpp."""
import json
import os

import torch

torch.set_num_threads(1)


def values(n, k):
    """n float32 numbers from an integer hash; the test repeats it."""
    return torch.tensor([(((i * 2654435761 + k * 40503) % 4294967296) / 2147483648.0 - 1.0) for i in range(n)], dtype=torch.float32)


def adamw():
    p, q = values(37, 1).requires_grad_(), values(5, 2).requires_grad_()
    optimizer = torch.optim.AdamW([p, q], lr=1e-2, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.1, fused=True)
    norms = []
    for step in range(6):
        p.grad = values(37, 10 + step) * (step + 1)
        q.grad = values(5, 20 + step) if step != 2 else None      # a parameter without gradient is left alone
        for group in optimizer.param_groups:
            group["lr"] = 1e-2 / (step + 1)
        norms.append(float(torch.nn.utils.clip_grad_norm_([p, q], 5.0)))
        optimizer.step()
    return {"p": p.tolist(), "q": q.tolist(), "norms": norms}


def ema():
    """torch-ema's rule: decay = min(d, (1 + n) / (10 + n)); shadow -= (1 - decay) * (shadow - value)."""
    shadow, n = values(9, 3).double(), 0
    for step in range(30):
        n += 1
        decay = min(0.7, (1 + n) / (10 + n))
        shadow -= (1 - decay) * (shadow - values(9, 30 + step).double())
    return shadow.tolist()


reference = {"source": f"torch {torch.__version__}, tests/numeric/make_optimizer_reference.py", "adamw": adamw(), "ema": ema()}
path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "optimizer_reference.json")
with open(path, "w") as f:
    json.dump(reference, f, indent=1)
    f.write("\n")
