#!/usr/bin/env python3
"""Makes sequence_reference.json: what the Python peers say about DNA sequences made by a formula.

Needs numpy, scipy, biopython (position weight matrices, GC share) and rapidfuzz (edit distance). The k-mer correlation is that of
DRAKES (ChenyuWang-Monica/DRAKES, compare_kmer): Pearson over the words seen on either side.   SPDX-License-Identifier: Apache-2.0
"""
import collections
import importlib.metadata
import itertools
import json
import os

import numpy as np
from Bio import motifs
from Bio.Seq import Seq
from Bio.SeqUtils import gc_fraction
from rapidfuzz.distance import Levenshtein
from scipy.spatial.distance import jensenshannon, pdist
from scipy.stats import pearsonr

from synthetic import uniform

LETTERS = "ACGT"


def sequences(seed, n, length, power):
    """Letter k = floor(4 u^power): power 1 uniform, above 1 rich in A."""
    return ["".join(LETTERS[int(4 * u**power)] for u in row) for row in uniform(seed, n, length)]


def words(items, k):
    return collections.Counter(s[i:i + k] for s in items for i in range(len(s) - k + 1))


def main():
    out = {"made_by": "tests/numeric/make_sequence_reference.py",
           "peers": {p: importlib.metadata.version(p) for p in ["numpy", "scipy", "biopython", "rapidfuzz"]}}

    counts = {"A": [3, 0, 25, 30, 1, 6.5], "C": [20, 1, 0, 0, 2, 9], "G": [5, 0, 6, 2, 28, 8.5], "T": [4, 31, 1, 0, 1, 8]}
    items = sequences(61, 6, 20, 1)
    out["pwm"] = {"counts": counts, "sequences": items, "cases": []}
    for pseudocount, gc in [(0.8, 0.5), (3.0, 0.38)]:
        background = {"A": (1 - gc) / 2, "C": gc / 2, "G": gc / 2, "T": (1 - gc) / 2}
        matrix = motifs.Motif(alphabet=LETTERS, counts=counts).counts.normalize({a: pseudocount * b for a, b in background.items()})
        pssm = matrix.log_odds(background)
        values = [float(max(p.calculate(Seq(s)).max() for p in (pssm, pssm.reverse_complement()))) for s in items]
        weights = [[float(pssm[a][i]) for a in LETTERS] for i in range(6)]
        out["pwm"]["cases"].append({"pseudocount": pseudocount, "gc": gc, "values": values, "weights": weights})
    out["gc"] = [gc_fraction(s) for s in items]

    a, b = sequences(71, 40, 24, 1.5), sequences(72, 60, 24, 1.25)
    a[7], a[30], a[31] = a[3], b[5], b[5]
    codes = np.array([[LETTERS.index(c) for c in s] for s in a])
    distances = pdist(codes, "hamming")
    pairs = list(itertools.combinations(a, 2))
    measures = {"n": 40, "m": 60, "length": 24, "hamming": float(distances.mean()),
                "hamming_without": [float(pdist(np.delete(codes, i, 0), "hamming").mean()) for i in range(40)],
                "edit": float(np.mean([Levenshtein.normalized_distance(x, y) for x, y in pairs])),
                "unique": len(set(a)) / len(a), "novelty": sum(s not in set(b) for s in a) / len(a), "kmers": []}
    for k in (1, 3, 5):
        p, q = words(a, k), words(b, k)
        seen = sorted(set(p) | set(q))
        x, y = np.array([p[w] for w in seen], float), np.array([q[w] for w in seen], float)
        measures["kmers"].append({"k": k, "seen": len(seen), "divergence_bits": float(jensenshannon(x, y, 2) ** 2),
                                  "correlation": float(pearsonr(x, y)[0])})
    out["measures"] = measures

    with open(os.path.join(os.path.dirname(__file__), "sequence_reference.json"), "w") as file:
        json.dump(out, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main()
