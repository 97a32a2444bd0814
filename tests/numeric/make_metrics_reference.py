#!/usr/bin/env python3
"""Makes metrics_reference.json: what the Python peers say about features made by a formula.

Needs numpy, scipy, scikit-learn, pytorch-fid, torch-fidelity, prdc, vendi-score. The features are made by the same formula
in tests/unit/metrics/synthetic.h, exact in float32, so no data file is needed.   SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import importlib.metadata
import importlib.util
import io
import json
import os
import sys
import types

import numpy as np


def stub(name, **contents):
    """Puts an empty module in place of one that would load networks."""
    module = types.ModuleType(name)
    module.__dict__.update(contents)
    sys.modules[name] = module
    return module


def submodule(package, name):
    """Imports package/name.py without running package/__init__.py, which may want torchvision."""
    if package not in sys.modules:
        stub(package, __path__=list(importlib.util.find_spec(package).submodule_search_locations))
    return importlib.import_module(f"{package}.{name}")


def splitmix64(x):
    """Steele et al. 2014; x uint64."""
    with np.errstate(over="ignore"):
        z = x + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def uniform(seed, n, d):
    """[n,d] in [0,1), 24 bits: element (i,j) from the counter seed * 2^40 + i * d + j."""
    counter = np.uint64(seed << 40) + np.arange(n * d, dtype=np.uint64).reshape(n, d)
    return (splitmix64(counter) >> np.uint64(40)).astype(np.float64) / 2.0**24


def features(seed, n, d, shift=0.0):
    """Columns of unequal scale, neighbours correlated, one common factor; float32."""
    own, common = uniform(seed, n, d), uniform(seed + 1, n, 1)
    scale = 0.25 + (np.arange(d) % 7) * 0.125
    left = np.roll(own, 1, axis=1)
    return (scale * (own + 0.5 * left - 0.75) + 0.25 * common + shift).astype(np.float32)


def main():
    peers = ["numpy", "scipy", "scikit-learn", "pytorch-fid", "torch-fidelity", "prdc", "vendi-score"]
    out = {"made_by": "tests/numeric/make_metrics_reference.py",
           "peers": {p: importlib.metadata.version(p) for p in peers}}

    stub("torchvision", transforms=stub("torchvision.transforms"))
    stub("pytorch_fid", __path__=list(importlib.util.find_spec("pytorch_fid").submodule_search_locations))
    stub("pytorch_fid.inception", InceptionV3=type("InceptionV3", (), {"BLOCK_INDEX_BY_DIM": {2048: 3}}))
    frechet = submodule("pytorch_fid", "fid_score").calculate_frechet_distance
    out["frechet"] = []
    for n, m, d, shift in [(600, 700, 32, 0.125), (600, 700, 32, 5.0), (300, 300, 64, 0.0), (40, 300, 64, 0.125)]:
        x, y = features(11, n, d).astype(np.float64), features(21, m, d, shift).astype(np.float64)
        value = frechet(x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False))
        out["frechet"].append({"n": n, "m": m, "d": d, "shift": shift, "value": float(value)})

    stub("torch_fidelity", __path__=list(importlib.util.find_spec("torch_fidelity").submodule_search_locations))
    stub("torch_fidelity.helpers", get_kwarg=None, vassert=lambda truth, message: None, vprint=None)
    stub("torch_fidelity.utils", create_feature_extractor=None, extract_featuresdict_from_input_id_cached=None,
         get_cacheable_input_name=None)
    mmd = submodule("torch_fidelity", "metric_kid").polynomial_mmd
    n, m, d, subsets, size = 600, 700, 32, 10, 200
    x, y = features(11, n, d).astype(np.float64), features(21, m, d, 0.125).astype(np.float64)
    values = []
    for s in range(subsets):  # subset s: rows 37 s + 7 t of x, 29 s + 3 t of y, t = 0, 1, ... (7 and 600, 3 and 700 coprime)
        t = np.arange(size)
        values.append(mmd(x[(37 * s + 7 * t) % n], y[(29 * s + 3 * t) % m], 3, None, 1))
    out["kid"] = {"n": n, "m": m, "d": d, "shift": 0.125, "subset_size": size, "subsets": subsets,
                  "mean": float(np.mean(values)), "std": float(np.std(values)),
                  "first": float(values[0])}

    import torch
    isc = submodule("torch_fidelity", "metric_isc").isc_features_to_metric
    logits = torch.from_numpy(features(31, 500, 10).astype(np.float64) * 8)
    mean, std = list(isc(logits, splits=10, shuffle=False).values())[:2]
    out["inception_score"] = {"n": 500, "classes": 10, "scale": 8, "splits": 10, "mean": float(mean), "std": float(std)}

    prdc = submodule("prdc", "prdc").compute_prdc
    out["prdc"] = []
    for n, m, d, shift, k in [(600, 700, 32, 0.0625, 3), (600, 700, 32, 0.0625, 5), (150, 90, 3, 0.25, 5)]:
        x, y = features(11, n, d).astype(np.float64), features(21, m, d, shift).astype(np.float64)
        with contextlib.redirect_stdout(io.StringIO()):
            value = prdc(y, x, k)
        out["prdc"].append({"n": n, "m": m, "d": d, "shift": shift, "k": k, **{a: float(b) for a, b in value.items()}})

    vendi = submodule("vendi_score", "vendi")
    out["vendi"] = []
    for n, d in [(400, 32), (30, 64)]:
        x = features(11, n, d, 0.5).astype(np.float64)
        cosine = vendi.normalize_K(x @ x.T)
        squared = ((x[:, None] - x[None]) ** 2).sum(-1)
        sigma = float(np.sqrt(np.sort(squared[np.triu_indices(n, 1)])[(n * (n - 1) // 2 - 1) // 2]))
        rbf = np.exp(-squared / (2 * sigma**2))
        for q in [0.5, 1, 2, "inf"]:
            dual = vendi.score_dual(x, q=q) if d < n else vendi.score_K(cosine, q=q)
            out["vendi"].append({"n": n, "d": d, "q": str(q), "cosine": float(dual), "sigma": sigma,
                                 "rbf": float(vendi.score_K(rbf, q=q))})

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "metrics_reference.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(out, file, indent=1)
        file.write("\n")


main()
