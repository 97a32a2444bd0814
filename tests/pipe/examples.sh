#!/bin/sh
# The studies of share/examples, each whole on settings too small to show anything: every command of theirs is accepted, every cell ends, and
# a table and a page come out of it. That they say the right thing is for unit tests, and for whoever runs them in full.
# SPDX-License-Identifier: Apache-2.0
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
export PLUMB_BIN="${PLUMB_BUILD_DIR:-$root/build}/bin" OMP_NUM_THREADS=1 JOBS=2 SEEDS=1
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
work="$scratch/a folder"
mkdir "$work"
cd "$work"
passed=0
# study NAME SETTING=VALUE...: the script, all of its cells; then again, which must find nothing left to do.
study() {
  name=$1
  shift
  script=$root/share/examples/$name.sh
  env "$@" "$script" "$work/$name" >"$name.log" 2>&1 && [ -s "$(tail -n 1 "$name.log")" ] && ! grep -q 'did not finish' "$name.log" || {
    echo "FAILED $name"
    grep -v " done$" "$name.log" | head -n 20
    exit 1
  }
  touch end
  env "$@" "$script" "$work/$name" >"$name.log" 2>&1 || { echo "FAILED $name, a second time"; tail -n 20 "$name.log"; exit 1; }
  again=$(find "$name" -newer end \( -path '*/cells/*' -o -path '*/models/*' -o -path '*/rows/*' \) ! -name '*.csv')   # tables of samples are the page's
  [ -z "$again" ] || { echo "FAILED $name: made again: $again"; exit 1; }
  passed=$((passed + 1))
  echo "ok $name, $(env "$@" "$script" --cells | wc -l) cells"
}

# The measurements of tfbind8.sh for all words of four letters, made up.
mkdir data
awk 'BEGIN {
  print "sequence,value,replicate"; split("A C G T", letter, " ")
  for (i = 0; i < 256; i++) {
    word = ""; k = i
    for (j = 0; j < 4; j++) { word = word letter[k % 4 + 1]; k = int(k / 4) }
    printf "%s,%g,%g\n", word, i % 17 / 17, i % 13 / 13
  }
}' >data/six6.csv

export FIT_STEPS=20
study braid-datasize SIZES=60
study braid-uncertainty SIZES=60 GP_ITEMS=40 COUNT=50
study braid-alpha N=60 COUNT=50 ALPHAS="0.1 1" UPDATES=2
study braid-ablation N=60 COUNT=50 UPDATES=2 RUNS=2
study subspace UNLABELLED=300 LABELLED=64 TARGETS=0,4 STEPS=4 COUNT=5 LEVELS=25
study tfbind8 DATA="$work/data" LABELS=100 UPDATES=2 STEPS=4 COUNT=20 PARTICLES=2 PRETRAIN=4
for model in fashion-mnist fashion-mnist-classifier; do cp "$root/share/models/$model.h5" .; done
study preference MODEL=fashion-mnist.h5 CLASSIFIER=fashion-mnist-classifier.h5 LABELS=300 ROUNDS=1 EVERY=1 PER_ROUND=2 BATCH=2 STEPS=8 LEVELS=1 COUNT=130 SAMPLER="--sampler ddim --steps 2" SETS="arms variants"
echo "$passed passed"
