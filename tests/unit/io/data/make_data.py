"""Makes the files of this folder with the programs that users have: NumPy, Pillow, safetensors, h5py. Run it anywhere with those
packages; the tests only read the results.   SPDX-License-Identifier: Apache-2.0"""
import gzip
import io
import json
import pathlib
import sys

import h5py
import numpy as np
import PIL
from PIL import Image, features
from safetensors.numpy import save_file

HERE = pathlib.Path(__file__).parent


def noise(count, seed):
    """count bytes of a linear congruential generator, the top byte of each state (Numerical Recipes' constants)."""
    out = np.empty(count, np.uint8)
    state = seed
    for i in range(count):
        state = (state * 1664525 + 1013904223) % 2**32
        out[i] = state >> 24
    return out


def jpeg_size(pixels, quality):
    buffer = io.BytesIO()
    Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(buffer, "JPEG", quality=quality)
    return len(buffer.getvalue())


def main():
    rgb = noise(3 * 5 * 7, 1).reshape(5, 7, 3)
    Image.fromarray(rgb).save(HERE / "rgb.png")
    Image.fromarray(rgb[..., 0]).save(HERE / "grey.png")
    Image.fromarray(np.dstack([rgb, rgb[..., 0]])).save(HERE / "rgba.png")
    Image.fromarray(rgb).quantize(8).save(HERE / "palette.png")
    Image.fromarray(np.arange(0, 65536, 1872, dtype=np.uint16)[:35].reshape(5, 7)).save(HERE / "grey16.png")
    smooth = np.add.outer(np.arange(24) * 5, np.arange(32) * 4).astype(np.uint8)
    Image.fromarray(smooth).save(HERE / "grey.jpg", quality=95)
    Image.fromarray(np.dstack([smooth, smooth[::-1], 255 - smooth])).save(HERE / "rgb.jpg", quality=95)
    Image.fromarray(smooth).save(HERE / "progressive.jpg", quality=90, progressive=True)

    mu, sigma = np.array([1.0, -2.5]), np.array([[2.0, 0.5], [0.5, 3.0]])
    np.savez(HERE / "stats.npz", mu=mu, sigma=sigma)
    np.savez_compressed(HERE / "stats_compressed.npz", mu=mu, sigma=sigma)
    np.save(HERE / "big_endian_fortran.npy", np.asfortranarray(np.arange(6).reshape(2, 3).astype(">i4")))
    np.save(HERE / "half.npy", np.array([1.5, -0.0, 6e-8, np.inf, 65504], np.float16))
    np.save(HERE / "object.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    save_file({"b": np.arange(3, dtype=np.int64), "a": np.array([[1.5, -2]], np.float32), "h": np.array(0.25, np.float16),
               "u": np.array([1, 2, 3], np.uint8)}, HERE / "tensors.safetensors", metadata={"who": "us"})
    with h5py.File(HERE / "h5py.h5", "w") as f:
        f.attrs["manifest"] = json.dumps({"format": "plumb/1", "kind": "dataset", "count": 3,
                                          "space": {"type": "vector", "shape": [2]}})
        f.create_dataset("vectors", data=np.arange(6, dtype=np.float32).reshape(3, 2), chunks=(2, 1), compression="gzip",
                         shuffle=True, fletcher32=True)
        f["label"] = np.array([2, 0, 1], np.int32)
        f["prompt"] = ["a", "bb", "z\u00fcrich"]
    with h5py.File(HERE / "h5py_latest.h5", "w", libver=("v110", "v110")) as f:
        f.attrs["manifest"] = json.dumps({"format": "plumb/1", "kind": "dataset", "count": 3})
        f.create_dataset("vectors", data=np.arange(6, dtype=np.float32).reshape(3, 2), chunks=(2, 1), compression="gzip")

    with gzip.open(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz") as f:
        fashion = np.frombuffer(f.read()[16:], np.uint8).reshape(-1, 1, 28, 28)
    shapes = [(1, 1, 1), (3, 1, 1), (1, 8, 8), (3, 16, 16), (3, 17, 31), (3, 32, 32), (1, 64, 50), (3, 64, 64), (3, 100, 7), (3, 130, 121)]
    rows = []
    for quality in (95, 75, 30, 100, 1):
        for seed, (c, h, w) in enumerate(shapes):
            rows.append([c, h, w, quality, seed, jpeg_size(noise(c * h * w, seed).reshape(c, h, w), quality)])
    (HERE / "jpeg_sizes.json").write_text(json.dumps({
        "source": f"Pillow {PIL.__version__}, libjpeg-turbo {features.version('libjpeg_turbo')}: image.save(f, 'JPEG', quality=q)",
        "tolerance": "none: the reward counts bytes",
        "noise [C, H, W, quality, seed, bytes]": rows,
        "fashion-mnist t10k, first 1000, quality 95": [jpeg_size(image, 95) for image in fashion[:1000]],
    }, separators=(",", ":")) + "\n")


main()
