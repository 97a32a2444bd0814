#!/usr/bin/env python3
"""make.py WHAT...: tiny inputs for the tables, in the current folder, from the standard library alone.

  idx       img.idx lab.idx      12 grey 4x4 images of 3 classes (image i has all pixels 20 i), IDX
  patches   patches.idx patches-lab.idx   160 grey 8x8 images: class 0 bright on the left, 1 on the right, IDX
  vectors   v.npy                6 vectors of 3 float32, NPY
  heaps     heaps.npy heaps.txt  120 points of the plane in three heaps, float32, and a value for each
  far       w.npy                the vectors plus 2
  plane     plane.npy            4 points of the plane; support-x.npy support.npz: a vector of 4 and a subspace of 2 axes with theta
  few       few.npy              4 vectors of 5
  unet      unet/                a diffusers folder with two tensors, float32
  sequences dna.h5 rna.h5 pep.h5  datasets of 64 sequences of 16 letters, written as HDF5 byte by byte: DNA and RNA of 2 classes (more A, more G)
            with values (share of G), a peptide alphabet of 5 letters without labels
  dropout   dropout.pt           a TorchScript network [B,1,8,8] -> [B,2] that zeroes half of its inputs while it learns
  tiny      tiny.json            a small UNet for the 4x4 images, and unfit.json, that is too deep for them
  bad       bad/*.h5 *.json      foreign, empty, truncated, newer, NaN; needs good.h5
SPDX-License-Identifier: Apache-2.0
"""
import json
import os
import pathlib
import random
import struct
import sys
import zipfile


def npy(path, descr, shape, data):
    head = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    head += " " * (64 - (10 + len(head) + 1) % 64) + "\n"
    pathlib.Path(path).write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode() + data)


def idx():
    pixels = b"".join(bytes([20 * i]) * 16 for i in range(12))
    pathlib.Path("img.idx").write_bytes(struct.pack(">IIII", 0x803, 12, 4, 4) + pixels)
    pathlib.Path("lab.idx").write_bytes(struct.pack(">II", 0x801, 12) + bytes(i % 3 for i in range(12)))


def patches():
    pixels = bytearray()
    for i in range(160):
        for p in range(64):
            bright = (p % 8 >= 4) == (i % 2 == 1)
            pixels.append((i * 37 + p * 101) % 32 + (60 + i * 53 % 160 if bright else 0))
    pathlib.Path("patches.idx").write_bytes(struct.pack(">IIII", 0x803, 160, 8, 8) + pixels)
    pathlib.Path("patches-lab.idx").write_bytes(struct.pack(">II", 0x801, 160) + bytes(i % 2 for i in range(160)))


def vectors():
    npy("v.npy", "<f4", (6, 3), struct.pack("<18f", *range(18)))
    npy("nan.npy", "<f4", (6, 3), struct.pack("<18f", *([1.0] * 16), float("nan"), 0.5))


def heaps():
    draw = random.Random(1)
    points = [(3 * (i % 3) - 3 + draw.gauss(0, 0.4), draw.gauss(0, 0.4)) for i in range(120)]
    npy("heaps.npy", "<f4", (120, 2), struct.pack("<240f", *[v for point in points for v in point]))
    with open("heaps.txt", "w") as out:
        out.writelines(f"{x + draw.gauss(0, 0.05):.6f}\n" for x, _ in points)


def far():
    npy("w.npy", "<f4", (6, 3), struct.pack("<18f", *range(2, 20)))


def plane():
    npy("plane.npy", "<f4", (4, 2), struct.pack("<8f", 3, 0, 3, 3, 1.5, 1.5, 0, 0))
    npy("support-x.npy", "<f8", (1, 4), struct.pack("<4d", 1, -2, 0.3, 0.4))
    npy("A.npy", "<f8", (4, 2), struct.pack("<8d", 1, 0, 0, 1, 0, 0, 0, 0))
    npy("theta.npy", "<f8", (4,), struct.pack("<4d", 0.6, 0.8, 0, 0))
    with zipfile.ZipFile("support.npz", "w") as archive:
        for name in ("A.npy", "theta.npy"):
            archive.write(name)


def few():
    npy("few.npy", "<f4", (4, 5), struct.pack("<20f", *[(7 * i % 11) / 4 for i in range(20)]))


def unet():
    os.makedirs("unet", exist_ok=True)
    config = {"_class_name": "UNet2DModel", "in_channels": 1, "out_channels": 1, "sample_size": 8, "block_out_channels": [8],
              "down_block_types": ["DownBlock2D"], "up_block_types": ["UpBlock2D"]}
    pathlib.Path("unet/config.json").write_text(json.dumps(config))
    tensors = {"conv_in.weight": [8, 1, 3, 3], "conv_out.weight": [1, 8, 3, 3]}
    header, data = {}, b""
    for name, shape in tensors.items():
        values = struct.pack("<72f", *[i / 8 for i in range(72)])
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + len(values)]}
        data += values
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    pathlib.Path("unet/diffusion_pytorch_model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    pathlib.Path("unet/scheduler_config.json").write_text(json.dumps({"_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear"}))


def dropout():
    source = pathlib.Path(os.environ["PLUMB_SOURCE_DIR"], "tests/unit/rewards/data/logits.pt")
    with zipfile.ZipFile(source) as old, zipfile.ZipFile("dropout.pt", "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name.endswith("code/__torch__.py"):
                data = data.replace(b"torch.flatten(x, 1)", b"torch.dropout(torch.flatten(torch.slice(torch.slice(x, 2, 0, 6), 3, 0, 6), 1), 0.5, self.training)")
            if not name.endswith("debug_pkl"):
                new.writestr(name, data)


def tiny():
    config = {"block_out_channels": [8, 8], "layers_per_block": 1, "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
              "up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "attention_head_dim": 8, "norm_num_groups": 4}
    pathlib.Path("tiny.json").write_text(json.dumps({"type": "unet2d", "config": config}))
    deep = {**config, "block_out_channels": [8] * 4, "down_block_types": ["DownBlock2D"] * 4, "up_block_types": ["UpBlock2D"] * 4}
    pathlib.Path("unfit.json").write_text(json.dumps({"type": "unet2d", "config": deep}))


class Hdf5:
    """A file of the oldest format (superblock 0): datasets of the root group, contiguous, and string attributes."""

    def __init__(self):
        self.blocks = bytearray(96)   # the superblock is written last

    def place(self, data):
        self.blocks += b"\0" * (-len(self.blocks) % 8)
        at = len(self.blocks)
        self.blocks += data
        return at

    @staticmethod
    def message(kind, data):
        data += b"\0" * (-len(data) % 8)
        return struct.pack("<HHB3x", kind, len(data), 0) + data

    def attribute(self, name, value):
        text = value.encode()
        fields = [name.encode() + b"\0", struct.pack("<BBBBI", 0x13, 0x11, 0, 0, len(text)), struct.pack("<BBB5x", 1, 0, 0)]
        padded = b"".join(field + b"\0" * (-len(field) % 8) for field in fields)   # name, UTF-8 string padded with 0, scalar
        return self.message(0x000C, struct.pack("<BxHHH", 1, *(len(field) for field in fields)) + padded + text)

    def header(self, messages):
        data = b"".join(messages)
        return self.place(struct.pack("<BxHII4x", 1, len(messages), 1, len(data)) + data)

    def dataset(self, kind, shape, data, attributes=()):
        types = {"u1": struct.pack("<BBBBIHH", 0x10, 0, 0, 0, 1, 0, 8), "i8": struct.pack("<BBBBIHH", 0x10, 8, 0, 0, 8, 0, 64),
                 "f4": struct.pack("<BBBBIHHBBBBI", 0x11, 0x20, 31, 0, 4, 0, 32, 23, 8, 0, 23, 127)}
        at = self.place(data)
        return self.header([self.message(0x0001, struct.pack(f"<BBB5x{len(shape)}Q", 1, len(shape), 0, *shape)),
                            self.message(0x0003, types[kind]), self.message(0x0005, bytes([2, 2, 2, 0])),
                            self.message(0x0008, struct.pack("<BBQQ", 3, 1, at, len(data)))] +
                           [self.attribute(*pair) for pair in attributes])

    def write(self, path, manifest, datasets):
        names, entries = b"\0" * 8, b""
        for name, at in sorted(datasets.items()):
            entries += struct.pack("<QQII16x", len(names), at, 0, 0)
            last = len(names)
            names += name.encode() + b"\0" * (8 - len(name) % 8)
        symbols = self.place(struct.pack("<4sBxH", b"SNOD", 1, len(datasets)) + entries.ljust(320, b"\0"))
        heap_data = self.place(names)
        heap = self.place(struct.pack("<4sB3xQQQ", b"HEAP", 0, len(names), 1, heap_data))
        tree = self.place((struct.pack("<4sBBHQQ", b"TREE", 0, 0, 1, 2**64 - 1, 2**64 - 1) + struct.pack("<QQQ", 0, symbols, last)).ljust(544, b"\0"))
        root = self.header([self.message(0x0011, struct.pack("<QQ", tree, heap)), self.attribute("manifest", manifest)])
        self.place(b"")
        self.blocks[:96] = (b"\x89HDF\r\n\x1a\n" + struct.pack("<BBBxBBBxHHI", 0, 0, 0, 0, 8, 8, 4, 16, 0) +
                            struct.pack("<QQQQ", 0, 2**64 - 1, len(self.blocks), 2**64 - 1) + struct.pack("<QQIIQQ", 0, root, 1, 0, tree, heap))
        pathlib.Path(path).write_bytes(self.blocks)


def sequences():
    count, length = 64, 16
    label = [i % 2 for i in range(count)]
    draw = lambda i, j: (i * 7919 + j * 104729 + i * j * 31) % 97 / 97   # in [0,1)
    codes = [[(0 if label[i] == 0 else 2) if draw(i, j) < 0.6 else int(draw(j, i) * 4) for j in range(length)] for i in range(count)]
    for name, alphabet, labelled in (("dna", "ACGT", True), ("rna", "ACGU", True), ("pep", "ACDEF", False)):
        file = Hdf5()
        data = {"sequences": file.dataset("u1", [count, length], bytes(sum(codes, [])), [("alphabet", alphabet)])}
        if labelled:
            data["label"] = file.dataset("i8", [count], struct.pack(f"<{count}q", *label))
            data["value"] = file.dataset("f4", [count], struct.pack(f"<{count}f", *(row.count(2) / length for row in codes)))
        manifest = {"format": "plumb/1", "kind": "dataset", "tool": "make.py", "version": "0", "argv": [], "config": {}, "count": count,
                    "space": {"type": "sequence", "shape": [length], "alphabet": alphabet}}
        if labelled:
            manifest["classes"] = ["low", "high"]
        file.write(name + ".h5", json.dumps(manifest), data)


def bad():
    os.makedirs("bad", exist_ok=True)
    good = pathlib.Path("good.h5").read_bytes()
    pathlib.Path("bad/empty.h5").write_bytes(b"")
    pathlib.Path("bad/foreign.h5").write_bytes(b"not HDF5 at all\n" * 100)
    pathlib.Path("bad/truncated.h5").write_bytes(good[: len(good) // 2])
    pathlib.Path("bad/changed.h5").write_bytes(good.replace(b"\x28" * 16, b"\x29" * 16, 1))
    pathlib.Path("bad/newer.json").write_text('{"format":"plumb/99","kind":"samples"}\n')
    pathlib.Path("bad/broken.json").write_text('{"format":"plumb/1","kind":')
    pathlib.Path("bad/other.json").write_text('{"a":1}\n')
    pathlib.Path("bad/schema.json").write_text('{"format":"plumb/1","kind":"metrics","metrics":3,"seed":-1}\n')


if __name__ == "__main__":
    for what in sys.argv[1:]:
        {"idx": idx, "patches": patches, "vectors": vectors, "far": far, "few": few, "plane": plane, "heaps": heaps, "sequences": sequences, "unet": unet,
         "tiny": tiny, "dropout": dropout, "bad": bad}[what]()
