#!/usr/bin/env python3
"""Writes brisque_reference.json: what PyPI brisque 0.2.0 says, for tests/unit/rewards/brisque_test.cpp.

usage: make_brisque_reference.py [PICTURE...]

Needs numpy, scipy, scikit-image, opencv-python-headless, libsvm-official, requests, pillow and `pip install --no-deps brisque==0.2.0`.
The pictures are integer formulas that the test repeats. None has a flat 7x7 part: there the package goes by its rounding errors.
Shapes of distributions are kept in the range of the paper's table (0.2 to 10), which the SVM was trained with; the package searches
without bounds, and finds none for "uniform".
With PICTUREs nothing is written: their scores are printed, to be held against `score --reward brisque`.
SPDX-License-Identifier: Apache-2.0
"""
import importlib.metadata
import json
import os
import sys
import warnings

import cv2
import numpy as np
import skimage.color
from brisque import BRISQUE
from PIL import Image

SEVEN_SIXTHS = 7 / 6
SHAPES = [0, 2, 6, 10, 14, 18, 20, 24, 28, 32]   # which features are shapes
PICTURES = [("noise", 1, 64, 64), ("uniform", 1, 64, 64), ("bowl", 3, 64, 64), ("mix", 3, 64, 64), ("disc", 1, 28, 28),
            ("disc", 3, 45, 75),   # sides that halving rounds down and up
            ("bowl", 1, 14, 14),   # the smallest
            ("mix", 3, 96, 131)]


class Peer(BRISQUE):
    """The package, with its features as plain numbers: numpy 2 refuses float() of the arrays of one element that some are."""

    def scale_features(self, features):
        return super().scale_features([np.ravel(feature)[0] for feature in features])

    def features(self, picture):
        """The first lines of BRISQUE.score."""
        grey = skimage.color.rgb2gray(picture)
        half = cv2.resize(grey, None, fx=1 / 2, fy=1 / 2, interpolation=cv2.INTER_CUBIC)
        both = [self.calculate_brisque_features(scale, kernel_size=7, sigma=SEVEN_SIXTHS) for scale in (grey, half)]
        features = np.array([float(np.ravel(feature)[0]) for feature in np.concatenate(both)])
        features[SHAPES] = features[SHAPES].clip(0.2, 10)
        return features


def scramble(x, y, k):
    """32 bits that look random."""
    h = (x * 374761393 + y * 668265263 + k * 1274126177) % 2**32
    h = (h ^ h >> 13) * 1274126177 % 2**32
    return h ^ h >> 16


def pixel(kind, c, h, w, x, y, k):
    noise, bowl = scramble(x, y, k), (3 * x * x + 2 * y * y + (k + 1) * x * y) // 16
    if kind == "uniform":
        return noise % 256
    if kind == "noise":
        return noise % 64 + (noise >> 8) % 64 + (noise >> 16) % 64 + (noise >> 24) % 64
    if kind == "bowl":
        return bowl % 256
    if kind == "mix":
        return bowl % 200 + noise % 24
    inside = (2 * x - w) ** 2 + (2 * y - h) ** 2 < w * h // 2   # disc
    return (200 - 20 * k if inside else 60 + 30 * k) + noise % 5


def drawn(kind, c, h, w):
    """[h,w,3] uint8; the package takes grey as equal red, green and blue."""
    picture = [[[pixel(kind, c, h, w, x, y, k) for k in range(c)] for x in range(w)] for y in range(h)]
    return np.broadcast_to(np.array(picture, dtype=np.uint8), (h, w, 3)).copy()


def write(path):
    peer = Peer()
    out = {"made_by": "tests/numeric/make_brisque_reference.py",
           "peers": {p: importlib.metadata.version(p) for p in
                     ["brisque", "numpy", "scipy", "scikit-image", "opencv-python-headless", "libsvm-official"]},
           "pictures": []}
    for kind, *shape in PICTURES:
        picture = drawn(kind, *shape)
        features = peer.features(picture)
        score = float(peer.calculate_image_quality_score(features))
        assert kind == "uniform" or score == peer.score(picture)
        out["pictures"].append({"kind": kind, "shape": shape, "score": score, "features": features.tolist()})
    # An empty distribution: the least shape and nothing else. The package has NaN for a black picture, but its SVM can be asked.
    out["score_of_black"] = float(peer.calculate_image_quality_score([0.2 if f in SHAPES else 0.0 for f in range(36)]))
    with open(path, "w", encoding="utf-8") as file:
        json.dump(out, file, indent=1)
        file.write("\n")


def main(pictures):
    warnings.simplefilter("ignore")
    for path in pictures:
        print(os.path.basename(path), f"{Peer().score(np.asarray(Image.open(path).convert('RGB'))):.6f}")
    if not pictures:
        write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "brisque_reference.json"))


if __name__ == "__main__":
    main(sys.argv[1:])
