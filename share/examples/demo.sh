#!/bin/sh
# demo FOLDER: the whole job on the shipped model in a few minutes. Draws samples, scores them, tunes the model for a reward
# with the monitor watching two others, draws again, measures diversity and distance to real images, writes one page.
# Run it again: finished steps are kept (delete the folder to start anew); a killed step goes on where it was.
set -eu
share=$(cd "$(dirname "$0")/.." && pwd)
PATH="${PLUMB_BIN:-$share/../build/bin:$share/../../libexec/plumb}:$PATH"   # built here, or installed
models="$share/models"
data=${PLUMB_FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
out=${1:-runs/demo}
mkdir -p "$out"
cd "$out"
reward=jpeg-incompressibility
classifier=$models/fashion-mnist-classifier.h5
case $classifier in *[[:space:]+*\(\)]*) classifier="'$classifier'" ;; esac   # a reward's argument would end there
gold="class-logp:$classifier"
step() { echo "demo: $*" >&2; }

step "1/5 real images to compare with"
[ -e real.h5 ] || ingest "$data/t10k-images-idx3-ubyte.gz" --limit 2000 -q -o real.h5 >/dev/null

step "2/5 samples of the shipped model, their reward, diversity and distance to real images"
measure() {  # measure MODEL NAME: the pipe of the README, ending in NAME.json
  [ -e "$2.json" ] ||
    sample --model "$1" -n 300 --seed 7 --sampler dpm-solver++ --steps 20 -q -o "$2-samples.h5" |
    score --reward "$reward" --reward "$gold" -q -o "$2-scores.h5" |
    diversity --bootstrap 50 -q |
    evaluate-fid --reference real.h5 --kid.subset-size 200 -q -o "$2.json" >/dev/null
}
measure "$models/fashion-mnist.h5" base

step "3/5 tuning for $reward (about three minutes); gold: the classifier's log-probability of the class asked for"
[ -e tuned.h5 ] ||
  finetune --model "$models/fashion-mnist.h5" --method ddpo-is --reward "$reward" --gold "$gold" \
    --seed 7 --epochs 12 --samples-per-epoch 64 --sampler-steps 20 --lr 1e-3 \
    --monitor-every 3 --monitor-n 64 -o tuned.h5 >/dev/null

step "4/5 the same measures after tuning"
measure tuned.h5 tuned

step "5/5 the report"
report base.json tuned.json tuned.h5 --title "plumb demo: tuning Fashion-MNIST for $reward" -q -o report.html >/dev/null
echo "$PWD/report.html"
