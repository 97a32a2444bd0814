"""commands.py BIN sample N T | METHOD N T: our side of the rows of bench.py that are whole commands, on the shipped model.

The work alone is the difference of two runs of different length, so that start-up and reading cancel: of 2 N and N samples,
or of 3 and 1 epochs of N samples (then halved). peak_mib: the largest resident memory of a command.   SPDX-License-Identifier: Apache-2.0"""
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

MODEL = pathlib.Path(__file__).resolve().parents[2] / "share/models/fashion-mnist.h5"


def run(*command):
    """Wall and CPU seconds of a command that must succeed."""
    def cpu():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime
    start, before = time.monotonic(), cpu()
    subprocess.run([str(word) for word in command], check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - start, cpu() - before


def npy_mean(path):
    """Mean of a uint8 .npy file."""
    data = pathlib.Path(path).read_bytes()
    body = data[10 + int.from_bytes(data[8:10], "little"):]
    return sum(body) / len(body)


def sample(tools, n, steps):
    def draw(count):
        return run(tools / "sample", "-q", "--model", MODEL, "-n", count, "--steps", steps, "--eta", 1, "--class", "random",
                   "--batch-size", 32, "-o", "s.h5", "--force")
    short, long = draw(n), draw(2 * n)
    run(tools / "export", "-q", "--to", "npy", "-o", "s.npy", "s.h5")
    return long[0] - short[0], long[1] - short[1], npy_mean("s.npy") / 255


def epoch(tools, method, n, steps):
    def tune(epochs):
        return run(tools / "finetune", "-q", "--model", MODEL, "--method", method, "--reward", "jpeg-incompressibility",
                   "--epochs", epochs, "--samples-per-epoch", n, "--sampler-steps", steps, "--monitor-every", 0, "-o", "t.h5",
                   "--force", "--resume", "never")
    short, long = tune(1), tune(3)
    lines = [json.loads(line) for line in pathlib.Path("t.h5.jsonl").read_text().splitlines()]
    first = next(line for line in lines if line.get("epoch") == 1)
    return (long[0] - short[0]) / 2, (long[1] - short[1]) / 2, first["reward"]


def main():
    tools, what = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    with tempfile.TemporaryDirectory(prefix="plumb-bench-") as folder:
        os.chdir(folder)
        n, steps = int(sys.argv[3]), int(sys.argv[4])
        seconds, cpu_seconds, value = sample(tools, n, steps) if what == "sample" else epoch(tools, what, n, steps)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu_seconds, "value": value, "peak_mib": peak}))


main()
