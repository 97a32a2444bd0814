"""diffusion.py BIN sample N T | ddpo N T: the peer's side of the rows of bench.py on the shipped model: diffusers' UNet2DModel
and DDIMScheduler, and one epoch of DDPO in plain PyTorch on top of them. Weights come from `export --to diffusers`.
SPDX-License-Identifier: Apache-2.0"""
import io
import json
import math
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

import torch
from diffusers import DDIMScheduler, UNet2DModel
from PIL import Image
from torch import nn
from torch.nn import functional as F

MODEL = pathlib.Path(__file__).resolve().parents[3] / "share/models/fashion-mnist.h5"
ROWS, RANK, CLIP, CLASSES, FOLD = 32, 4, 1e-4 * 16384 / 784, 10, 2


class Lora(nn.Module):
    """A linear or convolution layer with a rank-4 adapter beside it."""

    def __init__(self, base):
        super().__init__()
        self.base = base
        if isinstance(base, nn.Conv2d):
            self.down = nn.Conv2d(base.in_channels, RANK, base.kernel_size, base.stride, base.padding, bias=False)
            self.up = nn.Conv2d(RANK, base.out_channels, 1, bias=False)
        else:
            self.down = nn.Linear(base.in_features, RANK, bias=False)
            self.up = nn.Linear(RANK, base.out_features, bias=False)
        nn.init.normal_(self.down.weight, std=1 / RANK)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


def attach(module):
    for name, child in module.named_children():
        if isinstance(child, (nn.Linear, nn.Conv2d)):
            setattr(module, name, Lora(child))
        else:
            attach(child)


def load(tools):
    with tempfile.TemporaryDirectory(prefix="plumb-bench-") as folder:
        subprocess.run([f"{tools}/export", "-q", "--to", "diffusers", "-o", f"{folder}/m", MODEL], check=True,
                       stdout=subprocess.DEVNULL)
        config = next(path.parent for path in pathlib.Path(folder).rglob("config.json"))
        return UNet2DModel.from_pretrained(config).eval().requires_grad_(False)


class Policy:
    def __init__(self, unet, steps):
        self.unet, self.steps = unet, steps
        self.scheduler = DDIMScheduler(1000, beta_schedule="squaredcos_cap_v2", prediction_type="v_prediction",
                                       timestep_spacing="trailing", clip_sample=False, set_alpha_to_one=False)
        self.scheduler.set_timesteps(steps)
        self.alpha = self.scheduler.alphas_cumprod
        self.timesteps = self.scheduler.timesteps
        before = (self.timesteps - 1000 // steps).clamp_min(0)
        self.a, self.b = self.alpha[self.timesteps], self.alpha[before]

    def output(self, x, t, label):
        return F.pixel_shuffle(self.unet(F.pixel_unshuffle(x, FOLD), t, class_labels=label).sample, FOLD)

    def step(self, v, x, i):
        """Mean and sigma of step i (a tensor of indices), eta 1."""
        a, b = self.a[i].view(-1, 1, 1, 1), self.b[i].view(-1, 1, 1, 1)
        var = (1 - b) / (1 - a) * (1 - a / b)
        x0, eps = a.sqrt() * x - (1 - a).sqrt() * v, a.sqrt() * v + (1 - a).sqrt() * x
        return b.sqrt() * x0 + (1 - b - var).clamp_min(0).sqrt() * eps, var.sqrt()

    @staticmethod
    def log_prob(x, mean, sigma):
        return (-((x - mean) / sigma).square() / 2 - sigma.log() - math.log(2 * math.pi) / 2).flatten(1).mean(1)


@torch.no_grad()
def sample(policy, n):
    images = []
    for begin in range(0, n, ROWS):
        rows = min(ROWS, n - begin)
        label, x = torch.randint(CLASSES, (rows,)), torch.randn(rows, 1, 28, 28)
        for t in policy.timesteps:
            x = policy.scheduler.step(policy.output(x, t, label), t, x, eta=1.0).prev_sample
        images.append(x)
    return (torch.cat(images) / 2 + 0.5).clamp(0, 1)


@torch.no_grad()
def rollout(policy, n):
    labels, chains, log_probs = torch.randint(CLASSES, (n,)), [], []
    for begin in range(0, n, ROWS):
        label = labels[begin:begin + ROWS]
        x = torch.randn(len(label), 1, 28, 28)
        chain, log_prob = [x], []
        for i, t in enumerate(policy.timesteps):
            mean, sigma = policy.step(policy.output(x, t, label), x, torch.full((len(label),), i))
            x = mean + sigma * torch.randn_like(x)
            chain.append(x)
            log_prob.append(policy.log_prob(x, mean, sigma))
        chains.append(torch.stack(chain, 1))
        log_probs.append(torch.stack(log_prob, 1))
    return labels, torch.cat(chains), torch.cat(log_probs)


def jpeg_kb(image):
    out = io.BytesIO()
    Image.fromarray(image.numpy()).save(out, "JPEG", quality=95)
    return len(out.getvalue()) / 1000


def ddpo(policy, optimizer, trained, n):
    """One epoch: rollout, rewards, global advantages, two updates of half the samples. Returns the mean reward."""
    labels, chain, old = rollout(policy, n)
    pixels = ((chain[:, -1, 0] / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    reward = torch.tensor([jpeg_kb(image) for image in pixels])
    advantage = ((reward - reward.mean()) / (reward.std(unbiased=False) + 1e-8)).clamp(-5, 5)
    used = policy.steps - 1  # ours leaves the nearly noiseless last step out
    for half in torch.randperm(n).chunk(2):
        rows = torch.cartesian_prod(half, torch.arange(used))
        for part in rows[torch.randperm(len(rows))].split(ROWS):
            s, i = part.unbind(1)
            x, following = chain[s, i], chain[s, i + 1]
            log_prob = policy.log_prob(following, *policy.step(policy.output(x, policy.timesteps[i], labels[s]), x, i))
            ratio, a = (log_prob - old[s, i]).exp(), advantage[s]
            loss = torch.maximum(-a * ratio, -a * ratio.clamp(1 - CLIP, 1 + CLIP)).sum() / len(rows)
            loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    return reward.mean().item()


def main():
    tools, what, n, steps = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    torch.manual_seed(0)
    unet = load(tools)
    if what == "ddpo":
        attach(unet)
    policy = Policy(unet, steps)
    if what == "sample":
        def work():
            return sample(policy, n).mean().item()
        sample(policy, ROWS)  # untimed: as on our side, what happens once a process does not count
    else:
        trained = [p for p in unet.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=1e-3, weight_decay=1e-4)

        def work():
            return ddpo(policy, optimizer, trained, n)
        work()
    start, cpu = time.monotonic(), time.process_time()
    value = work()
    print(json.dumps({"seconds": time.monotonic() - start, "cpu_seconds": time.process_time() - cpu, "value": value,
                      "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


main()
