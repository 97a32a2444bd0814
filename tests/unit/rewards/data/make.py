"""Makes the TorchScript files of the reward tests: python3 make.py (needs PyTorch).   SPDX-License-Identifier: Apache-2.0"""
import pathlib

import torch

HERE = pathlib.Path(__file__).parent


class MeanSquare(torch.nn.Module):
    """[B,C,H,W] in [0,1] -> [B]: mean of squares."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x * x).flatten(1).mean(1)


class Logits(torch.nn.Module):
    """[B,1,6,6] -> [B,2], trainable."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(36, 2)
        with torch.no_grad():
            self.linear.weight.zero_()
            self.linear.bias.zero_()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(x.flatten(1))


torch.jit.script(MeanSquare()).save(str(HERE / "mean_square.pt"))
torch.jit.script(Logits()).save(str(HERE / "logits.pt"))
