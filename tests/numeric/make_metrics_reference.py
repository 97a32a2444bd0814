#!/usr/bin/env python3
"""Makes metrics_reference.json: what the Python peers say about features made by a formula.

Needs numpy, scipy, scikit-learn, torch, pytorch-fid, torch-fidelity, prdc, vendi-score, pillow. The features are made by a formula
(synthetic.py), so no data file is needed.   SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import importlib.metadata
import importlib.util
import io
import json
import os

import numpy as np

from synthetic import features, frechet_peer, stub, submodule, uniform


def main():
    peers = ["numpy", "scipy", "scikit-learn", "pytorch-fid", "torch-fidelity", "prdc", "vendi-score", "pillow"]
    out = {"made_by": "tests/numeric/make_metrics_reference.py",
           "peers": {p: importlib.metadata.version(p) for p in peers}}

    frechet = frechet_peer()
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

    from PIL import Image
    out["resize"] = []
    for height, width, size in [(5, 6, 11), (12, 12, 5)]:  # up and down; the float path of clean-fid
        picture = np.floor(uniform(51, height, width) * 256).astype(np.float32)
        resized = np.asarray(Image.fromarray(picture, mode="F").resize((size, size), Image.BICUBIC)).clip(0, 255)
        out["resize"].append({"height": height, "width": width, "size": size,
                              "values": [round(float(v), 4) for v in resized.ravel()]})

    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "metrics_reference.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(out, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
