"""large.py BIN prepare FOLDER | vendi|kid|prdc FOLDER N: our side of the --large rows of bench.py.

prepare makes features artefacts of FOLDER/x.npy and y.npy, as a command with --save-features leaves them. The rest are whole
commands on those files, start-up and reading included; with a value that the peer has too.   SPDX-License-Identifier: Apache-2.0"""
import json
import os
import pathlib
import resource
import subprocess
import sys
import time

COMMANDS = {
    "vendi": ("diversity", ["--metric", "vendi", "--vendi.order", "1", "--vendi.kernel", "cosine", "--bootstrap", "0"],
              lambda m: m["vendi"]["value"]),
    "kid": ("evaluate-fid", ["--metric", "kid", "--kid.items", "0", "-r", "y.h5"], lambda m: m["kid"]["value"]),
    "prdc": ("evaluate-fid", ["--metric", "prdc", "--prdc.precision-k", "5", "-r", "y.h5"], lambda m: m["prdc"]["recall"]),
}


def prepare(tools):
    for name in "xy":
        for line in ["ingest", "-q", f"{name}.npy", "-o", "v.h5", "--force"], ["evaluate-fid", "-q", "--features", "raw", "--save-features", f"{name}.h5", "v.h5"]:
            subprocess.run([tools / line[0], *line[1:]], check=True, stdout=subprocess.DEVNULL)
    os.remove("v.h5")


def main():
    tools, what = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2]
    os.chdir(sys.argv[3])
    if what == "prepare":
        return prepare(tools)
    command, options, value = COMMANDS[what]
    line = [tools / command, "-q", "--features", "raw", "--limit", sys.argv[4], *options, "x.h5"]
    start = time.monotonic()
    done = subprocess.run(line, check=True, stdout=subprocess.PIPE)
    seconds, used = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return print(json.dumps({"seconds": seconds, "cpu_seconds": used.ru_utime + used.ru_stime,
                             "value": value(json.loads(done.stdout)["metrics"]), "peak_mib": used.ru_maxrss / 1024}))


main()
