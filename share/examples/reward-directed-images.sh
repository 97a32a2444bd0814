#!/bin/sh
# reward-directed-images FOLDER: images that are asked to have a reward, from few labels (Yuan et al. 2023, "Reward-directed conditional
# diffusion", section 5.2). The truth is a linear head on a network's features, as there: how much more an image looks like an ankle boot
# than like a sneaker to the shipped classifier (the difference of the two logits). A reward network sees 2,000 images with noisy labels.
# Three ways to ask for a reward inside and beyond the data's range, each in several strengths:
#   condition  the network's opinion of all 60,000 images becomes a condition of the shipped diffusion model, which goes on training; then
#              classifier-free guidance of that strength
#   guide      the shipped model as it is, each step shifted by the gradient of (target - reward of the noised image)^2 / 2; the strength
#              is in standard deviations of the reward squared
#   guide_x0   the same, by the gradient of the reward of the clean image that the step predicts, and a network that saw clean images
# The table sets what the way's reward network thinks of the samples beside the truth. About an hour and a half on one core, a third of it
# training.
#
#   share/examples/reward-directed-images.sh runs/images       all cells, then table and page
#   STEPS=400 COUNT=32 JOBS=1 share/examples/...               shorter training, fewer samples
#   REWARD=jpeg-incompressibility share/examples/...           another truth
#   share/examples/reward-directed-images.sh --cells           names of the cells, a line each: WAY STRENGTH SEED
#   share/examples/reward-directed-images.sh --base FOLDER     data, rewards and models; --cell WAY STRENGTH SEED FOLDER: one cell, for make
#   share/examples/reward-directed-images.sh --page FOLDER     and Slurm (share/make/reward-directed-images.mk, share/slurm/)
#
# Run it again: finished cells are kept, a killed one goes on where it was; delete the folder to start anew.
set -eu
. "$(dirname "$0")/common.sh"

# target, in terms of what a seed's pseudo-labels are: mean, std, min, max and quantiles
targets() {
  entries <<'ROWS'
q05
q50
q95
max
max+2std
max+4std
ROWS
}
SEEDS=${SEEDS:-1 2 3}                  # of the labelled images, networks and samples
DEVICE=${DEVICE:-cpu}                  # of training and sampling
CONDITION=${CONDITION-1 2 4}           # strengths of classifier-free guidance; 1: none
GUIDE=${GUIDE-0.1 1 16 256}            # strengths of guidance by the gradient, of both kinds
REWARD=${REWARD:-class-logp:,9 - class-logp:,7}
LABELLED=${LABELLED:-2000}
NOISE=${NOISE:-0.1}                    # of the labels, in standard deviations of the reward
STEPS=${STEPS:-600}                    # of 64 images, from the shipped model
COUNT=${COUNT:-64}                     # samples of a target, way and strength
INFERENCE=${INFERENCE:-40}             # steps of the sampler

settings="REWARD LABELLED NOISE STEPS COUNT INFERENCE"
export SEEDS DEVICE CONDITION GUIDE $settings
folder=runs/images
folders="base cells"
preparing="rewards and models"
shipped=$share/models/fashion-mnist.h5
images=${PLUMB_FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
# statistic KEY: mean, std, min, max, or a quantile, of the column in the manifest of scores on standard input.
statistic() { sed "s/.*\"n\":[0-9]*,\"mean\"/\"mean\"/; s/.*\"$1\":\\([-0-9.e+]*\\).*/\\1/"; }

# base SEED: the truth of all images, a reward network from noisy labels, pseudo-labels, the conditional model.
base() {
  if ! [ -e base/truth.json ]; then
    ingest "$images/train-images-idx3-ubyte.gz" -q -o base/all.h5 --force >/dev/null
    score base/all.h5 --reward "truth=$REWARD" -j 1 -q -o base/truth.h5 --force >base/truth.json.part
    mv base/truth.json.part base/truth.json
  fi
  sd=$(statistic std <base/truth.json)
  # Each seed has labelled images of its own: a stretch of the data. One network sees them noised as the sampler's steps do, one as they are.
  first=$(($1 * LABELLED % 50000))
  [ -e "base/labels-$1.h5" ] ||
    ingest "$images/train-images-idx3-ubyte.gz" --skip "$first" --limit "$LABELLED" -q -o "base/labelled-$1.h5" --force |
      score --reward "truth=$REWARD" --noise "$(awk -v a="$NOISE" -v sd="$sd" 'BEGIN { print a * sd }')" --seed "$1" -j 1 -q -o "base/labels-$1.h5" --force \
        >/dev/null
  [ -e "base/reward-$1.h5" ] ||
    quietly reward-train "base/labels-$1.h5" --type regressor --noised-by "$shipped" --noised-steps "$INFERENCE" --epochs 60 --evaluate-every 100 --seed "$1" -j 1 \
      -o "base/reward-$1.h5"
  [ -e "base/clean-$1.h5" ] ||
    quietly reward-train "base/labels-$1.h5" --type regressor --epochs 60 --evaluate-every 100 --seed "$1" -j 1 -o "base/clean-$1.h5"
  # Pseudo-labels of all images, with noise of 1 / sqrt(784) standard deviations.
  if ! [ -e "base/pseudo-$1.json" ]; then
    score base/all.h5 --reward "reward=learned:base/reward-$1.h5" --noise "$(awk -v sd="$sd" 'BEGIN { print sd / 28 }')" --seed "$1" -j 1 -q \
      -o "base/pseudo-$1.h5" --force >"base/pseudo-$1.json.part"
    mv "base/pseudo-$1.json.part" "base/pseudo-$1.json"
  fi
  [ -n "$CONDITION" ] && ! [ -e "base/model-$1.h5" ] || return 0
  pretrain "base/pseudo-$1.h5" --init "$shipped" --condition class --condition reward --steps "$STEPS" --batch-size 64 --lr 3e-4 --ema-decay 0.995 \
    --seed "$1" --log-every 20 --save-every 60 --device "$DEVICE" -j "$JOBS" -q -o "base/model-$1.h5" >/dev/null
  step "model of seed $1: done"
}

# value TARGET SEED: the number that a target means.
value() {
  s() { statistic "$1" <"base/pseudo-$2.json"; }
  case $1 in
    q05) s 0.05 "$2" ;; q50) s 0.5 "$2" ;; q95) s 0.95 "$2" ;;
    max) s max "$2" ;;
    max+*std) awk -v max="$(s max "$2")" -v sd="$(s std "$2")" -v k="${1#max+}" 'BEGIN { print max + (k + 0) * sd }' ;;
  esac
}

# How each way draws: what is asked for, and how strongly, as options of sample, to be evaluated.
by_condition() { echo "--model base/model-$seed.h5 --class none --target $target --guidance-scale $strength"; }
guided() {
  gamma=$(awk -v a="$strength" -v sd="$(statistic std <base/truth.json)" 'BEGIN { print a / (sd * sd) }')
  echo "--model \"\$shipped\" --class none --reward learned:$network --guide $1 --guide-target=$target --guide-strength $gamma"
}
by_guide() { guided x_t; }
by_guide_x0() { guided x0; }

# cell WAY STRENGTH SEED: a row a target.
cell() {
  way=$1 strength=$2 seed=$3 name=$1-$2-$3 network=base/reward-$3.h5
  [ "$way" != guide_x0 ] || network=base/clean-$seed.h5
  [ ! -e "cells/$name.tsv" ] || return 0
  : >"cells/$name.part"
  for at in $(targets); do
    target=$(value "$at" "$seed")
    eval "set -- $(by_"$way")"
    sample "$@" -n "$COUNT" --seed "$seed" --sampler ddim --eta 1 --steps "$INFERENCE" --device "$DEVICE" -j 1 -q -o "cells/$name-$at.h5" --force |
      score --reward "truth=$REWARD" --reward "predicted=learned:$network" -j 1 -q -o "cells/$name-scores.h5" --force >/dev/null || return
    csv "cells/$name.csv" "cells/$name-scores.h5"
    awk -F, -v OFS='\t' -v row="$way-$strength,$seed,$at,$target" "$header"'
      { t = $at["truth"]; p = $at["predicted"]; n++; st += t; tt += t * t; sp += p; pp += p * p }
      function sd(squares, sum) { return n > 1 && squares > sum * sum / n ? sqrt((squares - sum * sum / n) / (n - 1)) : 0 }
      END { gsub(",", OFS, row); print row, st / n, sd(tt, st), sp / n, sd(pp, sp), (sp - st) / n }' "cells/$name.csv" >>"cells/$name.part"
  done
  rm "cells/$name.csv" "cells/$name-scores.h5"
  mv "cells/$name.part" "cells/$name.tsv"
  step "$way $strength, seed $seed: done"
}

page() {
  { printf 'way\tseed\tname\ttarget\ttruth\ttruth_sd\tpredicted\tpredicted_sd\tgap\n'; cat cells/*.tsv; } >results.tsv
  # In the order of the targets; their values differ a little between seeds.
  targets | awk -F'\t' -v OFS='\t' 'NR == FNR { place[$1] = NR - 1; next } FNR == 1 { print $0, "asked_for"; next } { print $0, place[$3] }' - results.tsv >placed.tsv
  report --table placed.tsv --x asked_for --y truth --y predicted --y gap --by way --svg figures --tsv tables \
    --title "Fashion-MNIST images that were asked for a reward: what the reward network thinks of them and what is true" -q -o page.html --force >/dev/null
  means placed.tsv 1,10,3 4,7,5,9
  echo "$PWD/page.html"
}

cells() {
  for seed in $SEEDS; do
    for strength in $CONDITION; do echo "condition $strength $seed"; done
    for strength in $GUIDE; do echo "guide $strength $seed"; echo "guide_x0 $strength $seed"; done
  done
}
prepare() { for seed in $SEEDS; do base "$seed"; done; }

study "$@"
