"""large.py make FOLDER N D | vendi|kid|prdc FOLDER N [GIB]: features of many items, and the peer's side of the --large rows of bench.py.

make writes FOLDER/x.npy and y.npy, float32 [N,D]: a mixture of 20 Gaussians whose spectrum decays, and one like it, moved by 0.01.
The others use the first N rows. The memory of the process is limited to GIB (address space); beyond, the row says so.
vendi is the package's cheaper way, score_dual (d x d); its other one needs N x N.   SPDX-License-Identifier: Apache-2.0"""
import contextlib
import importlib.util
import io
import json
import pathlib
import resource
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "numeric"))
sys.dont_write_bytecode = True
from synthetic import stub, submodule  # noqa: E402


def make(folder, n, d):
    centres = np.random.default_rng(7).standard_normal((20, d), dtype=np.float32)
    scale = ((1 + np.arange(d)) ** -0.5).astype(np.float32)
    for name, seed, shift in ("x", 1, 0), ("y", 2, 0.01):
        random = np.random.default_rng(seed)
        x = centres[random.integers(0, 20, n)]
        x *= 2 * scale
        x += random.standard_normal((n, d), dtype=np.float32) * scale
        np.save(folder / f"{name}.npy", x + np.float32(0.3 + shift))


def work_of(what):
    """The peer's function of (samples, reference), and what it needs imported, so that no import is timed."""
    if what == "vendi":
        vendi = submodule("vendi_score", "vendi")
        return lambda x, y: vendi.score_dual(x)
    if what == "prdc":
        prdc = submodule("prdc", "prdc").compute_prdc
        return lambda x, y: prdc(y, x, 5)["recall"]
    import torch
    stub("torch_fidelity", __path__=list(importlib.util.find_spec("torch_fidelity").submodule_search_locations))
    stub("torch_fidelity.helpers", get_kwarg=lambda name, kwargs: kwargs[name], vassert=lambda truth, text: None,
         vprint=lambda *_: None)
    stub("torch_fidelity.utils", create_feature_extractor=None, extract_featuresdict_from_input_id_cached=None)
    kid = submodule("torch_fidelity", "metric_kid")
    options = dict(kid_subsets=100, kid_subset_size=1000, kid_degree=3, kid_gamma=None, kid_coef0=1, rng_seed=2020, verbose=False)
    return lambda x, y: kid.kid_features_to_metric(torch.from_numpy(x), torch.from_numpy(y), **options)[kid.KEY_METRIC_KID_MEAN]


def main():
    what, folder, n = sys.argv[1], pathlib.Path(sys.argv[2]), int(sys.argv[3])
    if what == "make":
        return make(folder, n, int(sys.argv[4]))
    work = work_of(what)
    x, y = (np.load(folder / f"{name}.npy", mmap_mode="r")[:n] for name in "xy")
    x, y = np.array(x), np.array(y) if what != "vendi" else None
    if len(sys.argv) > 4:
        resource.setrlimit(resource.RLIMIT_AS, (int(float(sys.argv[4]) * 2**30),) * 2)
    start, cpu = time.monotonic(), time.process_time()
    out = {}
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            out["value"] = float(work(x, y))
    except MemoryError:
        out["failed"] = f"out of memory within {sys.argv[4]} GiB"
    out.update(seconds=time.monotonic() - start, cpu_seconds=time.process_time() - cpu,
               peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return print(json.dumps(out))


main()
