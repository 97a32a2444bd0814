#!/usr/bin/env python3
"""Writes scheduler_reference.json: what diffusers' schedulers do, for tests/unit/diffusion/sampler_test.cpp.

Networks and noise are closed formulas that the C++ test repeats, so the file holds results only.
Run: python3 tests/numeric/make_scheduler_reference.py > tests/numeric/scheduler_reference.json
SPDX-License-Identifier: Apache-2.0"""
import json
import math

import diffusers
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler
from diffusers.schedulers import scheduling_ddpm

B, D, T = 2, 8, 1000
BETAS = {"linear": (1e-4, 0.02), "scaled_linear": (0.00085, 0.012), "squaredcos_cap_v2": (1e-4, 0.02)}


def network(x, t, prediction_type):
    """A smooth stand-in: roughly what a network would say of data near N(0, 1)."""
    g = float(t) / T
    if prediction_type == "epsilon":
        return x * (1 - math.exp(-4 * g)) + 0.2 * torch.sin(2 * x + 3 * g)
    if prediction_type == "sample":
        return 0.8 * torch.tanh(x) + 0.1 * g
    return 0.3 * torch.sin(2 * x + 3 * g)


def noise(i):
    """Draw i of a chain (i = -1: the prior), [B, D] float32; exact formula, not normal."""
    k = torch.arange(B * D, dtype=torch.float64)
    return (1.4 * torch.sin(0.37 * (i + 2) ** 2 + 2.3 * k + 0.5)).reshape(B, D).float()


def config(schedule, prediction, spacing, offset, to_one):
    start, end = BETAS[schedule]
    return dict(num_train_timesteps=T, beta_schedule=schedule, beta_start=start, beta_end=end, prediction_type=prediction,
                timestep_spacing=spacing, steps_offset=offset), dict(set_alpha_to_one=to_one, clip_sample=False)


def make(sampler, base, extra, clip=False):
    if sampler == "ddim":
        return DDIMScheduler(**base, clip_sample=clip, set_alpha_to_one=extra["set_alpha_to_one"])
    if sampler == "ddpm":
        return DDPMScheduler(**base, clip_sample=clip)
    return DPMSolverMultistepScheduler(**base, algorithm_type="dpmsolver++", solver_order=2, solver_type="midpoint",
                                       final_sigmas_type="zero" if extra["set_alpha_to_one"] else "sigma_min")


def float64_table(base):
    """alphas_cumprod of the published formulas in float64; diffusers keeps float32, where 1 - alphas_cumprod[0] = 4e-5 of the
    cosine schedule is off by 1e-3 of itself."""
    n, start, end = base["num_train_timesteps"], base["beta_start"], base["beta_end"]
    i = torch.arange(n, dtype=torch.float64)
    if base["beta_schedule"] == "squaredcos_cap_v2":
        f = lambda k: torch.cos((k / n + 0.008) / 1.008 * math.pi / 2) ** 2
        betas = torch.clamp(1 - f(i + 1) / f(i), max=0.999)
    elif base["beta_schedule"] == "linear":
        betas = start + (end - start) * i / (n - 1)
    else:
        betas = (start**0.5 + (end**0.5 - start**0.5) * i / (n - 1)) ** 2
    return torch.cumprod(1 - betas, 0)


def chain(sampler, base, extra, steps, eta, table=None):
    scheduler = make(sampler, base, extra)
    if table is not None:
        scheduler.alphas_cumprod = table
        scheduler.final_alpha_cumprod = torch.tensor(1.0).double() if extra["set_alpha_to_one"] else table[0]
    scheduler.set_timesteps(steps)
    x = noise(-1)
    for i, t in enumerate(scheduler.timesteps):
        output = network(x, t, base["prediction_type"])
        if sampler == "ddim":
            x = scheduler.step(output, t, x, eta=eta, variance_noise=noise(i) if eta > 0 else None).prev_sample
        elif sampler == "ddpm":
            scheduling_ddpm.randn_tensor = lambda *a, i=i, **k: noise(i)
            x = scheduler.step(output, t, x).prev_sample
        else:
            x = scheduler.step(output, t, x).prev_sample
    return x


def digest_of_timesteps(sampler, spacing, offset):
    """One number for the timesteps of every chain length; lengths that diffusers refuses or miscounts are left out."""
    base, extra = config("linear", "epsilon", spacing, offset, False)
    total, left_out = 0, []
    for n in range(1, T + (sampler != "dpm-solver++")):
        scheduler = make(sampler, base, extra)
        try:
            scheduler.set_timesteps(n)
        except Exception:
            left_out.append(n)
            continue
        steps = [int(t) for t in scheduler.timesteps]
        if len(steps) != n or steps[0] >= T or min(steps) < 0:
            left_out.append(n)
            continue
        for i, t in enumerate(steps):
            total = (total * 31 + t * (i + 1) + n) % 2147483647
    return {"sampler": sampler, "timestep_spacing": spacing, "steps_offset": offset, "digest": total, "left_out": left_out}


CHAINS = [  # sampler, steps, eta, beta schedule, prediction, spacing, offset, set_alpha_to_one
    ("ddim", 50, 0.0, "linear", "epsilon", "leading", 1, False),
    ("ddim", 50, 1.0, "linear", "epsilon", "leading", 1, False),
    ("ddim", 50, 0.0, "scaled_linear", "epsilon", "leading", 0, True),
    ("ddim", 50, 1.0, "squaredcos_cap_v2", "v_prediction", "trailing", 1, False),
    ("ddim", 50, 0.5, "squaredcos_cap_v2", "sample", "linspace", 0, True),
    ("ddpm", 1000, 1.0, "linear", "epsilon", "leading", 0, True),
    ("ddpm", 1000, 1.0, "squaredcos_cap_v2", "v_prediction", "leading", 0, True),
    ("ddpm", 50, 1.0, "linear", "sample", "trailing", 0, True),
    ("dpm-solver++", 20, 0.0, "linear", "epsilon", "linspace", 0, True),
    ("dpm-solver++", 20, 0.0, "scaled_linear", "epsilon", "leading", 1, False),
    ("dpm-solver++", 20, 0.0, "squaredcos_cap_v2", "v_prediction", "trailing", 0, True),
    ("dpm-solver++", 10, 0.0, "linear", "sample", "linspace", 0, False),
]


def main():
    out = {"source": f"diffusers {diffusers.__version__}, torch {torch.__version__}, tests/numeric/make_scheduler_reference.py",
           "note": "final: diffusers as shipped, whose tables are float32. final_float64_tables: the same scheduler on float64 tables.",
           "chains": []}
    for sampler, steps, eta, schedule, prediction, spacing, offset, to_one in CHAINS:
        base, extra = config(schedule, prediction, spacing, offset, to_one)
        rounded = lambda x: [[float(f"{v:.9g}") for v in row] for row in x.tolist()]
        one = {"sampler": sampler, "steps": steps, "eta": eta, "schedule": {**base, **extra},
               "final": rounded(chain(sampler, base, extra, steps, eta))}
        if sampler != "dpm-solver++":  # it derives more tables than one
            one["final_float64_tables"] = rounded(chain(sampler, base, extra, steps, eta, float64_table(base)))
        out["chains"].append(one)
    out["alphas_cumprod"] = {s: {str(t): float(DDPMScheduler(**config(s, "epsilon", "leading", 0, True)[0]).alphas_cumprod[t])
                                 for t in (0, 1, 10, 250, 500, 750, 990, 999)} for s in BETAS}
    out["timesteps"] = [digest_of_timesteps(sampler, spacing, offset) for sampler in ("ddim", "ddpm", "dpm-solver++")
                        for spacing, offset in (("leading", 0), ("leading", 1), ("trailing", 0), ("linspace", 0))]
    print(json.dumps(out, indent=1))


main()
