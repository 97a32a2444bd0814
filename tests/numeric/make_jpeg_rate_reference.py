#!/usr/bin/env python3
"""Writes jpeg_rate_reference.json: the stand-in for a JPEG's size of lib/rewards/jpeg_rate.h, by SciPy's DCT, for the pictures of
jpeg_sizes.json. Run: python3 tests/numeric/make_jpeg_rate_reference.py > tests/numeric/jpeg_rate_reference.json
SPDX-License-Identifier: Apache-2.0"""
import json
import pathlib

import numpy as np
import scipy
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
import io


def drawn(kind, c, h, w):
    k, y, x = np.mgrid[0:c, 0:h, 0:w]
    if kind == "ramp":
        return (x * 7 + y * 3 + k * 40) % 256
    if kind == "hash":
        return (x * 73 + y * 151 + k * 97 + x * y * 31) % 256
    if kind == "disc":
        distance = (2 * x - w) ** 2 + (2 * y - h) ** 2
        return np.where(distance < w * h // 2, 220 - 30 * k, 10 + 20 * k)
    return 100 + 50 * k + 0 * x


def tables(quality=95):
    """The two tables that Pillow writes at this quality, by rows."""
    data = io.BytesIO()
    Image.new("RGB", (16, 16)).save(data, "JPEG", quality=quality)
    quantization = JpegImageFile(io.BytesIO(data.getvalue())).quantization
    return [np.array(quantization[i], float).reshape(8, 8) for i in (0, 1)]


def sizes(plane, step):
    h, w = plane.shape
    p = np.pad(plane, ((0, -h % 8), (0, -w % 8)), mode="edge")
    blocks = p.reshape(p.shape[0] // 8, 8, p.shape[1] // 8, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    q = scipy.fft.dctn(blocks, axes=(1, 2), norm="ortho") / step
    dc = q[:, 0, 0].copy()
    q[:, 0, 0] = 0
    return np.log2(1 + abs(q)).sum() + np.log2(1 + abs(np.diff(dc, prepend=0))).sum()


def rate(image):
    luminance, chrominance = tables()
    image = image.astype(float)
    if len(image) == 1:
        return 2.5 / 8 * sizes(image[0] - 128, luminance)
    r, g, b = image
    y = 0.299 * r + 0.587 * g + 0.114 * b
    total = sizes(y - 128, luminance)
    for c in ((b - y) / 1.772, (r - y) / 1.402):
        c = np.pad(c, ((0, c.shape[0] % 2), (0, c.shape[1] % 2)), mode="edge")
        total += sizes(c.reshape(c.shape[0] // 2, 2, c.shape[1] // 2, 2).mean((1, 3)), chrominance)
    return 2.5 / 8 * total


pictures = json.loads((pathlib.Path(__file__).parent / "jpeg_sizes.json").read_text())["images"]
print(json.dumps({"source": f"tests/numeric/make_jpeg_rate_reference.py, scipy {scipy.__version__}, tables of Pillow {Image.__version__}",
                  "images": [{"kind": p["kind"], "shape": p["shape"], "rate": float(rate(drawn(p["kind"], *p["shape"])))} for p in pictures]},
                 indent=1))
