"""Weights by a formula, so that reference files hold none: tests/unit/nn/reference.h repeats it bit for bit.   SPDX-License-Identifier: Apache-2.0"""
import numpy as np
import torch


def weight(index, shape, scale, offset):
    """offset + scale * u, u in [-1,1) from an integer hash of (parameter index, element index)."""
    n = np.arange(int(np.prod(shape)), dtype=np.uint64)
    h = (n * np.uint64(2654435761) + np.uint64(index) * np.uint64(40503) + np.uint64(12345)) % np.uint64(2**32)
    h = (h ^ (h >> np.uint64(15))) * np.uint64(2246822519) % np.uint64(2**32)
    h = (h ^ (h >> np.uint64(13))) * np.uint64(3266489917) % np.uint64(2**32)
    u = h.astype(np.float64) / 2.0**31 - 1.0
    return torch.from_numpy((offset + scale * u).astype(np.float32).reshape(shape))


def fill(model):
    """In the order of sorted names, so that the test need not know the order of registration."""
    for index, (name, p) in enumerate(sorted(model.state_dict().items())):
        norm = "norm" in name and name.endswith("weight")
        scale = 0.5 if p.dim() == 1 else (3.0 / (p.numel() // p.shape[0])) ** 0.5
        p.copy_(weight(index, tuple(p.shape), scale, 1.0 if norm else 0.0))
