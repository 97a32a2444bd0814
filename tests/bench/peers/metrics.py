"""metrics.py frechet D N | vendi D N: the peer's side of the rows of bench.py.   SPDX-License-Identifier: Apache-2.0"""
import json
import pathlib
import sys
import time
import warnings

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "numeric"))
sys.dont_write_bytecode = True
from synthetic import features, frechet_peer, submodule  # noqa: E402


def main():
    what, d, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("ignore")
    x = features(11, n, d).astype(np.float64)
    if what == "frechet":
        work, y = frechet_peer(), features(21, n, d, 0.125).astype(np.float64)
        arguments = (x.mean(0), np.cov(x, rowvar=False), y.mean(0), np.cov(y, rowvar=False))
    else:
        vendi, arguments = submodule("vendi_score", "vendi"), (x,)

        def work(x):
            unit = x / np.linalg.norm(x, axis=1, keepdims=True)
            return vendi.score_K(unit @ unit.T)
    start, cpu = time.monotonic(), time.process_time()
    value = work(*arguments)
    print(json.dumps({"seconds": time.monotonic() - start, "cpu_seconds": time.process_time() - cpu, "value": float(value)}))


main()
