"""Features made by a formula, and peers imported by the piece. The formula is also tests/unit/metrics/synthetic.h; it is exact
in float32.   SPDX-License-Identifier: Apache-2.0"""
import importlib
import importlib.util
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


def frechet_peer():
    """pytorch-fid's calculate_frechet_distance; its module also wants torchvision and a network, which this needs not."""
    stub("torchvision", transforms=stub("torchvision.transforms"))
    stub("pytorch_fid", __path__=list(importlib.util.find_spec("pytorch_fid").submodule_search_locations))
    stub("pytorch_fid.inception", InceptionV3=type("InceptionV3", (), {"BLOCK_INDEX_BY_DIM": {2048: 3}}))
    return submodule("pytorch_fid", "fid_score").calculate_frechet_distance


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
