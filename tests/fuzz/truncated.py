#!/usr/bin/env python3
"""truncated.py [--every N] [--budget SECONDS] [NAME...]: each command on its inputs cut at every N-th length (default 1).

A command must end with 3 (bad input) or, where what is left still makes sense (a shorter log, text), 0; with one line on standard
error and nothing under the output's name unless it ended with 0; and never with a signal or after 20 seconds. --budget picks N
so that the whole takes about so many seconds. Commands run in forked children of forkserver.cpp.   SPDX-License-Identifier: Apache-2.0
"""
import argparse
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("PLUMB_BUILD_DIR", ROOT / "build"))
NETWORK = {"type": "resnet", "config": {"in_channels": 1, "channels": [4], "blocks_per_stage": 1, "stem_stride": 1,
                                        "norm_num_groups": 2, "outputs": 3}}
TUNE = ["--reward", "brightness", "--epochs", "1", "--samples-per-epoch", "2", "--sampler-steps", "2", "--monitor-every", "0",
        "--max-step-gain", "0", "-o", "out.h5", "--force"]
TRAIN = ["--denoiser", "tiny.json", "--batch-size", "2", "-o", "out.h5", "--force"]
FIT = ["--network", "net.json", "--batch-size", "4", "--held-out", "0", "--epochs", "1", "-o", "out.h5", "--force"]


def run(tool, *args, stdin=subprocess.DEVNULL, check=True):
    done = subprocess.run([BUILD / "bin" / tool, "-q", *args], check=False, stdin=stdin, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True)
    if check and done.returncode != 0:
        raise SystemExit(f"{tool} {' '.join(args)}: exit {done.returncode}: {done.stderr}")
    return done.stdout


def checkpoint(tool, *args):
    """The checkpoint that a run leaves when it is stopped at once."""
    run(tool, *args, "--time-limit", "0.000001", check=False)
    pathlib.Path("out.h5.ckpt").rename(f"{tool}.ckpt")
    for left in pathlib.Path(".").glob("out.h5*"):
        left.unlink()


def inputs():
    subprocess.run([sys.executable, ROOT / "tests/cli/data/make.py", "idx", "vectors", "tiny", "unet"], check=True)
    pathlib.Path("net.json").write_text(json.dumps(NETWORK))
    pathlib.Path("img.idx.gz").write_bytes(gzip.compress(pathlib.Path("img.idx").read_bytes(), mtime=0))
    pathlib.Path("seq.fa").write_text(">a x\nACGTAC\nGT\n>b\nTTGCNNAC\n>c\nGGCAGGCA\n")
    pathlib.Path("seq.fa.gz").write_bytes(gzip.compress(pathlib.Path("seq.fa").read_bytes(), mtime=0))
    pathlib.Path("seq.csv").write_text('name,seq,y,kind\n"a ""1""",ACGT,0.5,x\nb,GGTA,-1e-3,y\n"c\nd",TTTT,,x\n')
    pathlib.Path("seq.csv.gz").write_bytes(gzip.compress(pathlib.Path("seq.csv").read_bytes(), mtime=0))
    pathlib.Path("cifar.bin").write_bytes(bytes(i % 251 for i in range(3073)))
    run("ingest", "img.idx", "--labels", "lab.idx", "-o", "data.h5")
    run("pretrain", "data.h5", "--denoiser", "tiny.json", "--steps", "2", "--batch-size", "2", "-o", "model.h5")
    run("reward-train", "data.h5", "--network", "net.json", "--held-out", "0", "--epochs", "1", "--batch-size", "4", "-o", "reward.h5")
    run("sample", "--model", "model.h5", "-n", "4", "--steps", "2", "-o", "samples.h5")
    pathlib.Path("scores.json").write_text(run("score", "samples.h5", "--reward", "brightness", "-o", "scores.h5"))
    pathlib.Path("metrics.json").write_text(run("diversity", "samples.h5", "--features", "raw", "--metric", "vendi", "--bootstrap", "0"))
    run("finetune", "--model", "model.h5", *TUNE[:-3], "-o", "tuned.h5")
    run("export", "--to", "png", "-o", "png", "samples.h5")
    next(pathlib.Path("png").rglob("*.png")).rename("one.png")
    run("export", "--to", "npz", "-o", "items.npz", "data.h5")
    run("evaluate-fid", "samples.h5", "--reference", "data.h5", "--features", "raw", "--metric", "kid", "-o", "kid.json")
    run("feedback", "data.h5", "--ask", "oracle:label=1", "-o", "judged.h5")
    checkpoint("pretrain", "data.h5", *TRAIN, "--steps", "3")
    checkpoint("reward-train", "data.h5", *FIT)
    checkpoint("finetune", "--model", "model.h5", *TUNE)


# NAME: the whole input, its name on the command line, the output, the command; may_pass: a cut input may still be a good one.
CASES = {
    "ingest-idx": ("img.idx", "cut.idx", "ingest cut.idx -o out.h5", False),
    "ingest-idx-labels": ("lab.idx", "cut.idx", "ingest img.idx --labels cut.idx -o out.h5", False),
    "ingest-gz": ("img.idx.gz", "cut.gz", "ingest cut.gz --format idx -o out.h5", False),
    "ingest-cifar": ("cifar.bin", "cut.bin", "ingest cut.bin --format cifar -o out.h5", False),
    "ingest-fasta": ("seq.fa", "cut.fa", "ingest cut.fa --window 4 --stride 1 --strands both --format fasta -o out.h5", True),
    "ingest-fasta-gz": ("seq.fa.gz", "cut.gz", "ingest cut.gz --format fasta -o out.h5", False),
    "ingest-table": ("seq.csv", "cut.csv", "ingest cut.csv --format table --length 4 --sequence-column 2 --value-column 3 --label-column 4 -o out.h5", True),
    "ingest-table-gz": ("seq.csv.gz", "cut.gz", "ingest cut.gz --format table --length 4 --value-column y --label-column kind -o out.h5", False),
    "ingest-npy": ("v.npy", "cut.npy", "ingest cut.npy -o out.h5", False),
    "ingest-npz": ("items.npz", "cut.npz", "ingest cut.npz -o out.h5", False),
    "ingest-png": ("one.png", "folder/cut.png", "ingest folder -o out.h5", False),
    "ingest-diffusers": ("unet/diffusion_pytorch_model.safetensors", "unet/cut.safetensors", "ingest --from diffusers unet -o out.h5", False),
    "ingest-config": ("unet/config.json", "unet2/config.json", "ingest --from diffusers unet2 -o out.h5", False),
    "check-dataset": ("data.h5", "cut.h5", "check cut.h5", False),
    "check-checkpoint": ("pretrain.ckpt", "cut.h5", "check cut.h5", False),
    "check-json": ("metrics.json", "cut.json", "check cut.json", True),
    "pretrain": ("data.h5", "cut.h5", ["pretrain", "cut.h5", "--steps", "1", *TRAIN], False),
    "pretrain-init": ("model.h5", "cut.h5", "pretrain data.h5 --init cut.h5 --steps 1 --batch-size 2 -o out.h5 --force", False),
    "pretrain-resume": ("pretrain.ckpt", "out.h5.ckpt", ["pretrain", "data.h5", "--steps", "3", *TRAIN[:-1]], False),
    "pretrain-denoiser": ("tiny.json", "cut.json", "pretrain data.h5 --denoiser cut.json --steps 1 --batch-size 2 -o out.h5", False),
    "sample": ("model.h5", "cut.h5", "sample --model cut.h5 -n 2 --steps 2 -o out.h5", False),
    "sample-adapter": ("tuned.h5", "cut.h5", "sample --model cut.h5 -n 2 --steps 2 -o out.h5", False),
    "score": ("samples.h5", "cut.h5", "score cut.h5 --reward brightness -o out.h5", False),
    "score-learned": ("reward.h5", "cut.h5", "score samples.h5 --reward class-prob:cut.h5,1 -o out.h5", False),
    "score-json": ("scores.json", "cut.json", "score cut.json --reward brightness -o out.h5", True),
    "reward-train": ("data.h5", "cut.h5", ["reward-train", "cut.h5", *FIT], False),
    "reward-train-scores": ("scores.h5", "cut.h5", ["reward-train", "--type", "regressor", "cut.h5", *FIT], False),
    "reward-train-resume": ("reward-train.ckpt", "out.h5.ckpt", ["reward-train", "data.h5", *FIT[:-1]], False),
    "finetune": ("model.h5", "cut.h5", ["finetune", "--model", "cut.h5", *TUNE], False),
    "finetune-resume": ("finetune.ckpt", "out.h5.ckpt", ["finetune", "--model", "model.h5", *TUNE[:-1]], False),
    "feedback": ("data.h5", "cut.h5", "feedback cut.h5 --ask oracle:label=1 -o out.h5", False),
    "feedback-file": ("judged.h5.jsonl", "cut.jsonl", "feedback data.h5 --ask file:cut.jsonl -o out.h5", True),
    "feedback-resume": ("judged.h5.jsonl", "out.h5.jsonl", "feedback data.h5 --ask oracle:label=1 -o out.h5", True),
    "evaluate-fid": ("samples.h5", "cut.h5", "evaluate-fid cut.h5 --reference data.h5 --features raw --metric kid -o out.h5", False),
    "evaluate-fid-reference": ("data.h5", "cut.h5", "evaluate-fid samples.h5 --reference cut.h5 --features raw --metric kid -o out.h5", False),
    "diversity": ("samples.h5", "cut.h5", "diversity cut.h5 --features raw --bootstrap 0 -o out.h5", False),
    "diversity-features": ("reward.h5", "cut.h5", "diversity samples.h5 --features classifier:cut.h5 --bootstrap 0 -o out.h5", False),
    "report": ("scores.h5", "cut.h5", "report cut.h5 -o out.h5", False),
    "report-log": ("tuned.h5.jsonl", "cut.jsonl", "report samples.h5 --log cut.jsonl -o out.h5", True),
    "export": ("samples.h5", "cut.h5", "export --to npy cut.h5 -o out.h5", False),
    "export-adapter": ("tuned.h5", "cut.h5", "export --to peft cut.h5 -o out.h5", False),
}


def fuzz(name, every):
    whole, cut, command, may_pass = CASES[name]
    words = command if isinstance(command, list) else command.split()
    size = pathlib.Path(whole).stat().st_size
    pathlib.Path(cut).parent.mkdir(exist_ok=True)
    if cut.startswith("unet/"):
        cut = whole
        data = pathlib.Path(whole).read_bytes()
        pathlib.Path("whole.safetensors").write_bytes(data)
        whole = "whole.safetensors"
    if cut.startswith("unet2/"):
        pathlib.Path("unet2/diffusion_pytorch_model.safetensors").write_bytes(
            pathlib.Path("unet/diffusion_pytorch_model.safetensors").read_bytes())
    lengths = sorted({*range(0, size, every), size - 1})
    pathlib.Path("lengths").write_text("\n".join(map(str, lengths)) + "\n")
    module = BUILD / f"lib/tool_{words[0]}.so"
    env = dict(os.environ, LD_PRELOAD=str(BUILD / "lib/libfuzz_forkserver.so"), FUZZ_WHOLE=whole, FUZZ_INPUT=cut, FUZZ_LENGTHS="lengths",
               FUZZ_OUTPUT="out.h5", FUZZ_MODULE=str(module) if module.exists() else "", FUZZ_REPORT="report", OMP_NUM_THREADS="1")
    start = time.monotonic()
    done = subprocess.run([BUILD / "bin" / words[0], "-q", *words[1:]], env=env, stdin=subprocess.DEVNULL, check=False)
    rows = [line.split(" ", 4) for line in pathlib.Path("report").read_text().splitlines()]
    if done.returncode != 0 or len(rows) != len(lengths):
        raise SystemExit(f"{name}: the fork server ended with {done.returncode} after {len(rows)} of {len(lengths)} runs")
    bad = [row for row in rows if not (
        (row[1] == "3" and row[2] == "0" and row[3] == "1") or (may_pass and row[1] == "0" and row[3] == "0"))]
    for row in bad[:5]:
        print(f"    {name}: {row[0]} of {size} bytes: status {row[1]}, output {row[2]}, {row[3]} lines: {row[4][:200]}")
    print(f"{'FAILED' if bad else 'ok'} {name}: {len(rows)} runs of {size} bytes, {len(bad)} bad, {time.monotonic() - start:.1f} s", flush=True)
    for left in [cut, *pathlib.Path(".").glob("out.h5*")]:
        pathlib.Path(left).unlink(missing_ok=True)
    if whole == "whole.safetensors":
        pathlib.Path("whole.safetensors").rename(cut)
    return len(rows), len(bad)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(CASES))
    parser.add_argument("--every", type=int, default=1, help="bytes between two lengths")
    parser.add_argument("--runs", type=int, help="about so many lengths of each input instead")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        os.chdir(folder)
        inputs()
        runs = bad = 0
        for name in args.names or CASES:
            size = pathlib.Path(CASES[name][0]).stat().st_size
            every = max(1, size // args.runs) if args.runs else args.every
            more, wrong = fuzz(name, every)
            runs, bad = runs + more, bad + wrong
    print(f"{runs} runs passed" if bad == 0 else f"{bad} of {runs} runs failed")
    return 1 if bad else 0


sys.exit(main())
