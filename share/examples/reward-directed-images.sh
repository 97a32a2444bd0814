#!/bin/sh
# reward-directed-images FOLDER: images that are asked to have a reward, from few labels (Yuan et al. 2023, "Reward-directed conditional
# diffusion", section 5.2). The truth is the size of an image as a JPEG file in kB, jpeg-incompressibility: a fixed score of the pixels
# whose range in the data is plain (Fashion-MNIST), that any image has, and that no network here was made with. A reward network sees
# 2,000 images with noisy labels and gives the 58,000 others pseudo-labels; the shipped diffusion model goes on training with these as its
# condition; then it is asked for rewards inside and beyond the data's range, with classifier-free guidance of several strengths. The table
# sets what the network thinks of the samples beside the truth. About an hour on two cores, most of it training.
#
#   share/examples/reward-directed-images.sh runs/images       all cells, then table and page
#   STEPS=400 COUNT=64 JOBS=1 share/examples/...               shorter training, fewer samples
#   share/examples/reward-directed-images.sh --cells           names of the cells, a line each: STRENGTH SEED
#   share/examples/reward-directed-images.sh --base FOLDER     data, rewards and models; --cell STRENGTH SEED FOLDER: one cell, for make
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
SEEDS=${SEEDS:-1}                      # of the labelled images, networks and samples
DEVICE=${DEVICE:-cpu}                  # of training and sampling
STRENGTHS=${STRENGTHS:-1 2 4}          # of guidance; 1: none
REWARD=${REWARD:-jpeg-incompressibility}
LABELLED=${LABELLED:-2000}
NOISE=${NOISE:-0.1}                    # of the labels, in standard deviations of the reward
STEPS=${STEPS:-2000}                   # of 64 images, from the shipped model
COUNT=${COUNT:-128}                    # samples of a target and strength
SAMPLER=${SAMPLER:---sampler ddim --eta 1 --steps 40}

settings="REWARD LABELLED NOISE STEPS COUNT SAMPLER"
export SEEDS DEVICE STRENGTHS $settings
folder=runs/images
folders="base cells"
preparing="rewards and models"
shipped=$root/share/models/fashion-mnist.h5
images=${PLUMB_FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
# statistic KEY: mean, std, min, max, or a quantile, of the column in the manifest of scores on standard input.
statistic() { sed "s/.*\"n\":[0-9]*,\"mean\"/\"mean\"/; s/.*\"$1\":\\([-0-9.e+]*\\).*/\\1/"; }

# base SEED: the truth of all images, a reward network from noisy labels, pseudo-labels, the conditional model.
base() {
  [ ! -e "base/model-$1.h5" ] || return 0
  if ! [ -e base/truth.json ]; then
    ingest "$images/train-images-idx3-ubyte.gz" -q -o base/all.h5 --force >/dev/null
    score base/all.h5 --reward "truth=$REWARD" -j 1 -q -o base/truth.h5 --force >base/truth.json.part
    mv base/truth.json.part base/truth.json
  fi
  sd=$(statistic std <base/truth.json)
  # Each seed has labelled images of its own: a stretch of the data.
  first=$(($1 * LABELLED % 50000))
  if ! [ -e "base/reward-$1.h5" ]; then
    ingest "$images/train-images-idx3-ubyte.gz" --skip "$first" --limit "$LABELLED" -q -o "base/labelled-$1.h5" --force |
      score --reward "truth=$REWARD" --noise "$(awk -v a="$NOISE" -v sd="$sd" 'BEGIN { print a * sd }')" --seed "$1" -j 1 -q -o "base/labels-$1.h5" --force |
      reward-train --type regressor --epochs 20 --evaluate-every 50 --patience 10 --seed "$1" -j 1 -q -o "base/reward-$1.h5" --force >/dev/null
  fi
  # Pseudo-labels of all images, with noise of 1 / sqrt(784) standard deviations.
  if ! [ -e "base/pseudo-$1.json" ]; then
    score base/all.h5 --reward "reward=learned:base/reward-$1.h5" --noise "$(awk -v sd="$sd" 'BEGIN { print sd / 28 }')" --seed "$1" -j 1 -q \
      -o "base/pseudo-$1.h5" --force >"base/pseudo-$1.json.part"
    mv "base/pseudo-$1.json.part" "base/pseudo-$1.json"
  fi
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

# cell STRENGTH SEED
cell() {
  name=$1-$2
  [ ! -e "cells/$name.csv" ] || return 0
  list=$(targets | while read -r target; do value "$target" "$2"; done | paste -sd, -)
  n=$(($(targets | wc -l) * COUNT))
  sample --model "base/model-$2.h5" --class none --target "$list" --guidance-scale "$1" -n "$n" --seed "$2" $SAMPLER --device "$DEVICE" -j 1 -q -o "cells/$name-samples.h5" --force |
    score --reward "truth=$REWARD" --reward "predicted=learned:base/reward-$2.h5" -j 1 -q -o "cells/$name-scores.h5" --force >/dev/null || return
  csv "cells/$name.csv.part" "cells/$name-scores.h5"
  mv "cells/$name.csv.part" "cells/$name.csv"
  step "strength $1, seed $2: done"
}

# A row a strength, seed and target: results.tsv.
collect() {
  printf 'strength\tseed\tname\ttarget\ttruth\ttruth_sd\tpredicted\tpredicted_sd\tgap\n'
  cells | while read -r strength seed; do
    [ -e "cells/$strength-$seed.csv" ] || continue
    awk -F, -v OFS='\t' -v strength="$strength" -v seed="$seed" -v names="$(targets | paste -sd' ' -)" "$header"'
      {
        k = $at["target"]; t = $at["truth"]; p = $at["predicted"]
        if (!(k in n)) order[++targets] = k
        ++n[k]; st[k] += t; tt[k] += t * t; sp[k] += p; pp[k] += p * p
      }
      function sd(squares, sum, n) { return n > 1 && squares > sum * sum / n ? sqrt((squares - sum * sum / n) / (n - 1)) : 0 }
      END {
        split(names, name, " ")
        for (i = 1; i <= targets; ++i) {
          k = order[i]
          print strength, seed, name[i], k, st[k] / n[k], sd(tt[k], st[k], n[k]), sp[k] / n[k], sd(pp[k], sp[k], n[k]), (sp[k] - st[k]) / n[k]
        }
      }' "cells/$strength-$seed.csv"
  done
}

page() {
  collect >results.tsv
  report --table results.tsv --x target --y truth --y predicted --y gap --by strength --svg figures --tsv tables \
    --title "Fashion-MNIST images that were asked for a reward: what the reward network thinks of them and what is true" -q -o page.html --force >/dev/null
  printf '| strength | target | | predicted | truth | gap |\n|---|---|---|---|---|---|\n'
  awk -F'\t' 'NR > 1 { printf "| %s | %s | %.3f | %.3f ± %.3f | %.3f ± %.3f | %.3f |\n", $1, $3, $4, $7, $8, $5, $6, $9 }' results.tsv
  echo "$PWD/page.html"
}

cells() { for seed in $SEEDS; do for strength in $STRENGTHS; do echo "$strength $seed"; done; done; }
prepare() { for seed in $SEEDS; do base "$seed"; done; }

study "$@"
