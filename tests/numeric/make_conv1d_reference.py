#!/usr/bin/env python3
"""Writes conv1d.safetensors: outputs and gradients of the dilated network of sequence diffusion models and of the predictor of sequences,
in PyTorch, for tests/unit/nn/conv1d_test.cpp.

The score network is written after ScoreNet of masa-ue/RLfinetuning_Diffusion_Bioseq (and of jzhoulab/ddsm, from which it comes), with each of
its layers from torch.nn: embed = silu(linear(GaussianFourierProjection(t))), out = silu(linear(x)), then per block
out = out + silu(conv(norm(out + dense(embed)))), final = conv, GELU, conv, then the scale of the time and minus the mean over letters. The
class enters as the time does. Weights are not stored but made from a formula that the test repeats (hashed.py).
SPDX-License-Identifier: Apache-2.0
"""
import json
import os

import torch
from safetensors.torch import save_file
from torch import nn

from hashed import fill, weight

BASE = dict(channels=4, width=6, kernel=5, dilations=[1, 4, 2], embedding_dim=8, num_train_timesteps=1000)
CASES = {
    "gaussian": dict(BASE, num_classes=2),
    "simplex": dict(BASE, num_classes=0, output_scale=[[0.0, 0.5], [400.0, 2.0], [800.0, 1.25]], subtract_mean=True),
}
PREDICTOR = dict(channels=4, width=6, first_kernel=7, kernel=5, blocks=2, hidden=5, outputs=3)


class Fourier(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.register_buffer("weight", torch.zeros(dim))

    def forward(self, s):
        angle = s[:, None] * self.weight[None, :] * 2 * torch.pi
        return torch.cat([angle.sin(), angle.cos()], 1)


class Block(nn.Module):
    def __init__(self, c, dilation):
        super().__init__()
        self.norm = nn.GroupNorm(1, c["width"])
        self.conv = nn.Conv1d(c["width"], c["width"], c["kernel"], padding="same", dilation=dilation)
        self.time_proj = nn.Linear(c["embedding_dim"], c["width"])
        if c["num_classes"]:
            self.class_proj = nn.Linear(c["embedding_dim"], c["width"])

    def forward(self, out, embed, of_class):
        h = out + self.time_proj(embed)[:, :, None]
        if of_class is not None:
            h = h + self.class_proj(of_class)[:, :, None]
        return out + nn.functional.silu(self.conv(self.norm(h)))


class ScoreNet(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c = c
        self.time_proj = Fourier(c["embedding_dim"] // 2)
        self.time_embedding = nn.Linear(c["embedding_dim"], c["embedding_dim"])
        if c["num_classes"]:
            self.class_embedding = nn.Embedding(c["num_classes"] + 1, c["embedding_dim"])
        self.conv_in = nn.Conv1d(c["channels"], c["width"], c["kernel"], padding="same")
        self.blocks = nn.ModuleList([Block(c, d) for d in c["dilations"]])
        self.head = nn.Conv1d(c["width"], c["width"], 1)
        self.conv_out = nn.Conv1d(c["width"], c["channels"], 1)

    def forward(self, x, t, label):
        silu = nn.functional.silu
        embed = silu(self.time_embedding(self.time_proj(t / self.c["num_train_timesteps"])))
        of_class = self.class_embedding(label) if label is not None else None
        out = silu(self.conv_in(x))
        for block in self.blocks:
            out = block(out, embed, of_class)
        out = self.conv_out(nn.functional.gelu(self.head(out)))
        if "output_scale" in self.c:
            times, values = zip(*self.c["output_scale"])
            scale = []
            for value in t.tolist():   # by hand: linear between the two neighbours, constant outside
                k = sum(value > time for time in times)
                if k == 0 or k == len(times):
                    scale.append(values[min(k, len(times) - 1)])
                else:
                    share = (value - times[k - 1]) / (times[k] - times[k - 1])
                    scale.append(values[k - 1] + share * (values[k] - values[k - 1]))
            out = out * torch.tensor(scale)[:, None, None]
        return out - out.mean(1, keepdim=True) if self.c.get("subtract_mean") else out


class Predictor(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv_in = nn.Conv1d(c["channels"], c["width"], c["first_kernel"], padding="same")
        self.convs = nn.ModuleList([nn.Conv1d(c["width"], c["width"], c["kernel"], padding="same") for _ in range(c["blocks"])])
        self.hidden = nn.Linear(c["width"], c["hidden"])
        self.head = nn.Linear(c["hidden"], c["outputs"])

    def forward(self, x):
        h = nn.functional.gelu(self.conv_in(x))
        for conv in self.convs:
            h = nn.functional.max_pool1d(nn.functional.gelu(conv(h)), 2)
        return self.head(nn.functional.gelu(self.hidden(h.mean(2))))


def record(tensors, name, model, x, y):
    cotangent = weight(1003, tuple(y.shape), 1.0, 0.0)
    (y * cotangent).sum().backward()
    trained = sorted((key, p.grad) for key, p in model.named_parameters())
    tensors.update({f"{name}/x": x.detach(), f"{name}/output": y.detach().contiguous(), f"{name}/cotangent": cotangent,
                    f"{name}/grad_x": x.grad, f"{name}/grad": torch.cat([g.flatten() for _, g in trained])})


def main():
    torch.set_num_threads(1)
    tensors = {}
    x = lambda: weight(1001, (4, 4, 19), 1.5, 0.0).requires_grad_(True)   # an odd length
    for name, config in CASES.items():
        model = ScoreNet(config)
        with torch.no_grad():
            fill(model)
        t = torch.tensor([0, 37, 613, 999])
        label = torch.tensor([2, 0, 1, 2]) if config["num_classes"] else None
        items = x()
        record(tensors, name, model, items, model(items, t, label))
        tensors[f"{name}/timestep"] = t
        if label is not None:
            tensors[f"{name}/label"] = label
    model = Predictor(PREDICTOR)
    with torch.no_grad():
        fill(model)
    items = x()
    record(tensors, "predictor", model, items, model(items))
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "conv1d.safetensors")
    source = f"torch {torch.__version__}, tests/numeric/make_conv1d_reference.py"
    save_file(tensors, path, metadata={"source": source, "cases": json.dumps(CASES), "predictor": json.dumps(PREDICTOR)})
    print(f"{path}: {os.path.getsize(path)} bytes")


if __name__ == "__main__":
    main()
