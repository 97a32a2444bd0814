#!/usr/bin/env python3
"""checkpointing.py: peak memory and CPU time of direct reward backpropagation by the number of steps that keep their gradient, with
and without --direct.checkpoint. One update of `finetune --method draft` on the shipped model a row, each a process of its own.

  tests/bench/checkpointing.py [--steps T] [--rows N] [--bin FOLDER]

Prints a Markdown table. Memory above start: peak resident memory less that of the same command whose gradient goes through no step but
the last of a chain of one row, so about what activations take.   SPDX-License-Identifier: Apache-2.0"""
import argparse
import os
import pathlib
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run(command):
    """Peak resident memory in MiB and CPU seconds of a command."""
    child = os.fork()
    if child == 0:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.execv(command[0], command)
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)}: status {status}")
    return usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--bin", default=str(ROOT / "build/bin"))
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        def peak(k, checkpoint, rows):
            return run([f"{args.bin}/finetune", "-q", "-j", "1", "--model", str(ROOT / "share/models/fashion-mnist.h5"), "--reward",
                        "class-logp", "--method", "draft", "--draft.k", str(k), "--eta", "0", "--sampler-steps", str(args.steps), "--epochs", "1",
                        "--samples-per-epoch", str(max(rows, 2)), "--train-batch-size", str(max(rows, 2)), "--batch-size", str(rows), "--monitor-every", "0", "--force",
                        "-o", f"{folder}/out.h5"] + (["--direct.checkpoint"] if checkpoint else []))

        start, _ = peak(1, True, 1)
        print(f"{args.rows} samples of {args.steps} steps; start {start:.0f} MiB\n")
        print("| steps with a gradient | MiB above start | with checkpointing | CPU time, with / without |\n|---|---|---|---|")
        for k in (1, 10, 0):
            plain, seconds = peak(k, False, args.rows)
            less, more_seconds = peak(k, True, args.rows)
            name = f"all {args.steps}" if k == 0 else str(k)
            print(f"| {name} | {plain - start:.0f} | {less - start:.0f} | {more_seconds / seconds:.2f} |", flush=True)


main()
