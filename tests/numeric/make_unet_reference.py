#!/usr/bin/env python3
"""Writes unet2d.safetensors: outputs and gradients of diffusers' UNet2DModel, for tests/unit/nn/unet2d_test.cpp.

usage: make_unet_reference.py [--live] [-o FILE]

Weights are not stored but made from a formula that the test repeats bit for bit (hashed.py), so the file stays small. --live writes
larger networks and batches instead; point PLUMB_UNET_REFERENCE at the file and run the test:
  make_unet_reference.py --live -o /tmp/live.safetensors && PLUMB_UNET_REFERENCE=/tmp/live.safetensors build/bin/test_nn -tc='*diffusers*'
"""
import argparse
import json
import os

import diffusers
import torch
from safetensors.torch import save_file

from hashed import fill, weight

BASE = dict(sample_size=8, in_channels=2, out_channels=2, block_out_channels=[4, 8], layers_per_block=1, norm_num_groups=2,
            attention_head_dim=4, down_block_types=["DownBlock2D", "AttnDownBlock2D"], up_block_types=["AttnUpBlock2D", "UpBlock2D"])
CASES = {
    "class_table": dict(BASE, num_class_embeds=3),
    "scale_shift": dict(BASE, resnet_time_scale_shift="scale_shift", downsample_type="resnet", upsample_type="resnet",
                        class_embed_type="timestep", norm_eps=1e-3, mid_block_scale_factor=1.5, attention_head_dim=None,
                        flip_sin_to_cos=False, freq_shift=1, down_block_types=["AttnDownBlock2D"] * 2, up_block_types=["AttnUpBlock2D"] * 2),
    "fourier": dict(BASE, time_embedding_type="fourier", downsample_padding=0, center_input_sample=True, add_attention=False, dropout=0.1),
    "learned": dict(BASE, time_embedding_type="learned", num_train_timesteps=1000, attn_norm_num_groups=4, layers_per_block=2, block_out_channels=[4, 4],
                    resnet_time_scale_shift="scale_shift", out_channels=1),
    "no_middle": dict(BASE, mid_block_type=None, class_embed_type="identity", time_embedding_dim=12,
                      block_out_channels=[4, 6, 6], attention_head_dim=3, act_fn="swish",
                      down_block_types=["DownBlock2D", "AttnDownBlock2D", "DownBlock2D"],
                      up_block_types=["UpBlock2D", "UpBlock2D", "AttnUpBlock2D"]),
}
LIVE = {
    "table": dict(BASE, sample_size=32, in_channels=3, out_channels=3, block_out_channels=[32, 64, 96], layers_per_block=2, norm_num_groups=16,
                  attention_head_dim=8, num_class_embeds=11, down_block_types=["DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"],
                  up_block_types=["AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"]),
    "resnet": dict(BASE, sample_size=16, block_out_channels=[64, 96], norm_num_groups=32, attention_head_dim=16, layers_per_block=1,
                   resnet_time_scale_shift="scale_shift", downsample_type="resnet", upsample_type="resnet"),
}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--live", action="store_true")
    parser.add_argument("-o", default=os.path.join(os.path.dirname(os.path.abspath(__file__)), "unet2d.safetensors"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    tensors = {}
    for name, config in (LIVE if args.live else CASES).items():
        model = diffusers.UNet2DModel(**config).eval()
        with torch.no_grad():
            fill(model)
        batch = 8 if args.live else 2
        x = weight(1001, (batch, config["in_channels"], config["sample_size"], config["sample_size"]), 1.5, 0.0).requires_grad_(True)
        t = torch.tensor([(37 + 331 * i) % 1000 for i in range(batch)])
        label = None
        if config.get("class_embed_type") == "identity":
            label = weight(1002, (batch, config["time_embedding_dim"]), 1.0, 0.0)
        elif config.get("num_class_embeds") or config.get("class_embed_type"):
            label = torch.tensor([(2 + 2 * i) % 3 for i in range(batch)])
        y = model(x, t, label).sample
        cotangent = weight(1003, tuple(y.shape), 1.0, 0.0)
        (y * cotangent).sum().backward()
        tensors[f"{name}/x"] = x.detach()
        tensors[f"{name}/timestep"] = t
        if label is not None:
            tensors[f"{name}/label"] = label
        tensors[f"{name}/output"] = y.detach().contiguous()
        tensors[f"{name}/cotangent"] = cotangent
        tensors[f"{name}/grad_x"] = x.grad
        trained = sorted((key, p.grad) for key, p in model.named_parameters() if p.grad is not None)
        tensors[f"{name}/grad"] = torch.cat([g.flatten() for _, g in trained])   # in the order of sorted names
    source = f"diffusers {diffusers.__version__} UNet2DModel, torch {torch.__version__}, tests/numeric/make_unet_reference.py"
    cases = LIVE if args.live else CASES
    save_file(tensors, args.o, metadata={"source": source, "cases": json.dumps(cases)})
    print(f"{args.o}: {os.path.getsize(args.o)} bytes")


if __name__ == "__main__":
    main()
