#!/usr/bin/env python3
"""bench: our commands against Python peers on the same work, alternated in one run, as ratios of medians.

  tests/bench/bench.py --bin build/bin [NAME...] [--large] [--repeat N] [--threads N] [--list]

Each side is a command that does the work once and prints one JSON line {"seconds", "cpu_seconds", "value"}: wall and CPU time
of the work alone, without start-up, reading and making the input, and a number that both sides must agree on. The driver
times the whole processes as well. A ratio above 1 means that ours is faster; `goal` is what the row should reach.
The sides take turns, so that a busy machine slows both; with one thread (the default) the ratio of CPU times is the steadier.

--large runs the rows of metrics on 50,000 items of 1280 features instead (half an hour on one core; 16 GiB of memory, 2 GB of disk):
ours are whole commands on features artefacts, the peers' first three figures are of the work alone, on arrays in memory; `all CPU`, which
the goals are about, and both memories are of the whole processes.

Peers run by the Python in $PLUMB_PEERS, else by one that this script makes in .deps/peers from peers.txt.
To add a row: a line of ROWS, and for each side a program that prints that JSON.   SPDX-License-Identifier: Apache-2.0
"""
import argparse
import dataclasses
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]


@dataclasses.dataclass
class Row:
    name: str
    ours: str          # {bin}: our executables; {here}: tests/bench
    peer: str          # {python}: the peers' Python; {peers}: tests/bench/peers
    peer_name: str
    goal: float        # ratio of CPU times to reach (of whole processes if large); 0: none, the row only tells
    tolerance: float   # relative, of the values
    repeat: int = 5
    large: bool = False  # only with --large; {data}: the folder with its features


ROWS = [
    Row("frechet-1024", "{bin}/bench_metrics frechet 1024 2560", "{python} {peers}/metrics.py frechet 1024 2560",
        "pytorch-fid calculate_frechet_distance", 6, 1e-6),
    Row("frechet-2048", "{bin}/bench_metrics frechet 2048 5120", "{python} {peers}/metrics.py frechet 2048 5120",
        "pytorch-fid calculate_frechet_distance", 6, 1e-6, repeat=3),
    Row("vendi-4000", "{bin}/bench_metrics vendi 1280 4000", "{python} {peers}/metrics.py vendi 1280 4000",
        "vendi-score score_K of the 4000 x 4000 kernel", 10, 1e-8, repeat=3),
    # Noise differs between the sides: the values are means over samples, and agree within their spread.
    Row("sample-ddim", "{python} {here}/commands.py {bin} sample 64 20", "{python} {peers}/diffusion.py {bin} sample 64 20",
        "diffusers UNet2DModel and DDIMScheduler", 1, 0.2, repeat=3),
] + [  # what each method costs: one epoch of the same samples and transitions against the same peer
    Row(f"epoch-{method}", f"{{python}} {{here}}/commands.py {{bin}} {method} 32 10", "{python} {peers}/diffusion.py {bin} ddpo 32 10",
        "a plain PyTorch DDPO epoch on diffusers' UNet2DModel", 1 if method.startswith("ddpo") else 0, 0.1, repeat=3)
    for method in ("ddpo-is", "ddpo-sf", "dpok", "grpo", "tdpo", "tdpo-r")
]

LIMIT_GIB = 16  # of a peer with --large
ROWS += [
    Row(f"{what}-{n}", f"{{python}} {{here}}/large.py {{bin}} {what} {{data}} {n}", f"{{python}} {{peers}}/large.py {what} {{data}} {n} {LIMIT_GIB}",
        peer, goal, tolerance, repeat=repeat, large=True)
    for what, n, peer, goal, tolerance, repeat in [
        ("vendi", 50000, "vendi-score score_dual, float32", 1, 1e-4, 3),
        # Other subsets: the values agree within their spread.
        ("kid", 50000, "torch-fidelity KID, 100 subsets of 1000", 1, 0.1, 3),
        ("prdc", 32000, "prdc compute_prdc, k = 5", 1.5, 1e-3, 1),
        ("prdc", 50000, "prdc compute_prdc, k = 5", 0, 1e-3, 1)]
]


def peers_python():
    if os.environ.get("PLUMB_PEERS"):
        return os.environ["PLUMB_PEERS"]
    home = ROOT / ".deps/peers"
    python, stamp, wanted = home / "bin/python", home / "installed.txt", (HERE / "peers.txt").read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return str(python)
    print(f"bench: installing the peers into {home} (about 1 GB)", file=sys.stderr)
    subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-deps", "-r", HERE / "peers.txt"]
    cpu = ["--retries", "0", "--extra-index-url", "https://download.pytorch.org/whl/cpu"]
    if subprocess.run(pip + cpu, check=False).returncode != 0:
        subprocess.run(pip, check=True)
    stamp.write_text(wanted)
    return str(python)


def run(command, threads):
    env = dict(os.environ, **{f"{x}_NUM_THREADS": str(threads) for x in ("OMP", "MKL", "OPENBLAS")})
    start, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, shell=True, env=env, stdout=subprocess.PIPE, text=True, check=False)
    wall = time.monotonic() - start
    if done.returncode != 0:
        raise SystemExit(f"bench: exit {done.returncode}: {command}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return dict(json.loads(done.stdout.strip().splitlines()[-1]), process_seconds=wall, process_cpu_seconds=cpu)


def measure(row, places, repeat, threads):
    sides = {"ours": row.ours.format(**places), "peer": row.peer.format(**places)}
    runs = {side: [] for side in sides}
    for turn in range(repeat):
        for side in ("ours", "peer") if turn % 2 == 0 else ("peer", "ours"):
            runs[side].append(run(sides[side], threads))
    failed = runs["peer"][0].pop("failed", "")
    if failed:
        del runs["peer"][1:]
        runs["peer"][0]["value"] = float("nan")
    median = {side: {key: statistics.median(r[key] for r in runs[side]) for key in runs[side][0]} for side in sides}
    ours, peer = median["ours"], median["peer"]
    if failed:
        return {"name": row.name, "peer": row.peer_name, "repeat": repeat, "threads": threads, "ours": ours, "other": peer, "ratio": {},
                "goal": row.goal, "reached": True, "difference": float("nan"), "agrees": True, "failed": failed}
    difference = abs(ours["value"] - peer["value"]) / max(abs(peer["value"]), 1e-300)
    ratio = {key: peer[key] / ours[key] for key in ("seconds", "cpu_seconds", "process_seconds", "process_cpu_seconds", "peak_mib") if key in ours}
    return {"name": row.name, "peer": row.peer_name, "repeat": repeat, "threads": threads, "ours": ours, "other": peer,
            "ratio": ratio, "goal": row.goal, "reached": ratio["process_cpu_seconds" if row.large else "cpu_seconds"] >= row.goal,
            "difference": difference, "agrees": difference <= row.tolerance}


def run_rows(rows, places, args):
    results = []
    print(f"{'row':<16} {'ours s':>9} {'peer s':>9} {'ratio':>7} {'CPU':>7} {'process':>8} {'all CPU':>8} {'ours MiB':>9} {'peer MiB':>9} {'goal':>6} "
          f"{'difference':>11}  peer")
    for row in rows:
        r = measure(row, places, args.repeat or row.repeat, args.threads)
        results.append(r)
        mark = ("" if r["reached"] else "  BELOW GOAL") + ("" if r["agrees"] else "  VALUES DIFFER")
        mark += f": {r['failed']}" if "failed" in r else ""
        none = float("nan")
        ratio = [r["ratio"].get(key, none) for key in ("seconds", "cpu_seconds", "process_seconds", "process_cpu_seconds")]
        print(f"{r['name']:<16} {r['ours']['seconds']:>9.3f} {r['other']['seconds']:>9.3f} {ratio[0]:>7.2f} "
              f"{ratio[1]:>7.2f} {ratio[2]:>8.2f} {ratio[3]:>8.2f} "
              f"{r['ours'].get('peak_mib', none):>9.0f} {r['other'].get('peak_mib', none):>9.0f} {r['goal']:>6.1f} {r['difference']:>11.1e}  "
              f"{r['peer']}{mark}", flush=True)
    return results


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows to run; default all")
    parser.add_argument("--bin", default=str(ROOT / "build/bin"), help="folder of our executables")
    parser.add_argument("--repeat", type=int, help="runs of each side; default by row")
    parser.add_argument("--threads", type=int, default=1, help="threads of both sides")
    parser.add_argument("--json", metavar="FILE", help="also write all figures")
    parser.add_argument("--large", action="store_true", help="the rows of many items instead")
    parser.add_argument("--list", action="store_true", help="print the rows' names")
    args = parser.parse_args()
    rows = [row for row in ROWS if row.large == args.large]
    if args.list:
        print("\n".join(row.name for row in rows))
        return 0
    unknown = set(args.names) - {row.name for row in rows}
    if unknown:
        parser.error(f"no row {', '.join(sorted(unknown))}; there are {', '.join(row.name for row in rows)}")
    rows = [row for row in rows if not args.names or row.name in args.names]
    bin_folder = pathlib.Path(args.bin).resolve()
    if not (bin_folder / "bench_metrics").exists():  # not part of `all`
        subprocess.run(["cmake", "--build", bin_folder.parent, "--target", "bench"], check=True, stdout=sys.stderr)
    places = {"bin": bin_folder, "python": peers_python(), "peers": HERE / "peers", "here": HERE}
    with tempfile.TemporaryDirectory(prefix="plumb-bench-") as folder:
        if args.large:
            places["data"] = folder
            subprocess.run([places["python"], HERE / "peers/large.py", "make", folder, "50000", "1280"], check=True)
            subprocess.run([places["python"], HERE / "large.py", bin_folder, "prepare", folder], check=True)
        results = run_rows(rows, places, args)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(results, indent=1) + "\n")
    return 0 if all(r["reached"] and r["agrees"] for r in results) else 1


sys.exit(main())
