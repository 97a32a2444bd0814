#!/bin/sh
# subspace FOLDER: reward-directed conditional diffusion where everything is known (Yuan et al. 2023, "Reward-directed conditional diffusion:
# provable distribution estimation and reward improvement", section 5.1). Data x = A z lie on a 16-dimensional subspace of R^64, z ~ N(0,I);
# the reward is theta^T x_par - 5 |x_perp|^2, theta = A b of length 1. A ridge estimate from 1,024 noisy labels gives 65,536 unlabelled items
# their pseudo-labels; a diffusion model learns the items given those; then it is asked for rewards inside and far beyond the data's range
# (whose standard deviation is 1). Networks: one made for subspaces, the same around the exact Gaussian part, and a plain perceptron.
# About half an hour on two cores; ends with a table and the path of a page.
#
#   share/examples/subspace.sh runs/subspace                   all cells, then table and page
#   SEEDS="1 2" STEPS=1000 JOBS=4 share/examples/...           fewer seeds, shorter training, more at a time
#   share/examples/subspace.sh --cells                         names of the cells, a line each: NETWORK SEED
#   share/examples/subspace.sh --base FOLDER                   data, labels and reward estimates
#   share/examples/subspace.sh --cell NETWORK SEED FOLDER      one cell, for make and Slurm: share/make/subspace.mk, share/slurm/
#   share/examples/subspace.sh --page FOLDER
#
# Run it again: finished cells are kept, a killed one goes on where it was; delete the folder to start anew.
set -eu
. "$(dirname "$0")/common.sh"

# name       network                                                                             what else pretrain is told
networks() {
  entries <<'ROWS'
subspace     {"type":"subspace","config":{"subspace_dim":16}}                   --prediction-type sample --min-snr-gamma 1e6   # the loss of the noise
residual     {"type":"subspace","config":{"subspace_dim":16,"residual":true}}   --prediction-type sample --min-snr-gamma 1e6
mlp          {"type":"mlp","config":{"hidden":[512,512]}}                       --prediction-type epsilon --min-snr-gamma 0
ROWS
}
SEEDS=${SEEDS:-1 2 3 4 5}                   # of A, theta, all data, weights and samples
UNLABELLED=${UNLABELLED:-65536}
LABELLED=${LABELLED:-1024}
TARGETS=${TARGETS:-0,1,2,4,8,12,16}
STEPS=${STEPS:-5000}                        # of 256 items: 20 passes
COUNT=${COUNT:-1000}                        # samples of a target
LEVELS=${LEVELS:-200}                       # noise levels, and steps of the sampler

settings="UNLABELLED LABELLED TARGETS STEPS COUNT LEVELS"
export SEEDS $settings
folders="data cells"
preparing="data and reward estimates"

# generate SEED: truth-SEED.csv (a line a coordinate: theta, then the row of A) and the items. Random numbers: L'Ecuyer 1988 (Comm. ACM 31,
# 742), the same in every awk; normal ones by Marsaglia's polar method; A by Gram and Schmidt, twice for the rounding.
generate() {
  awk -v seed="$1" -v unlabelled="$UNLABELLED" -v labelled="$LABELLED" -v D=64 -v d=16 '
    function uniform(    z) {
      s1 = (40014 * s1) % 2147483563; s2 = (40692 * s2) % 2147483399
      z = s1 - s2; if (z < 1) z += 2147483562
      return z * 4.656613057391769e-10
    }
    function normal(    u, v, r) {
      if (spare) { spare = 0; return kept }
      do { u = 2 * uniform() - 1; v = 2 * uniform() - 1; r = u * u + v * v } while (r >= 1 || r == 0)
      r = sqrt(-2 * log(r) / r); kept = v * r; spare = 1
      return u * r
    }
    function items(file, n,    i, j, k, x, line) {
      for (i = 0; i < n; ++i) {
        for (k = 1; k <= d; ++k) z[k] = normal()
        line = ""
        for (j = 1; j <= D; ++j) {
          x = 0
          for (k = 1; k <= d; ++k) x += A[j, k] * z[k]
          line = line (j > 1 ? "," : "") sprintf("%.7g", x)
        }
        print line >file
      }
      close(file)
    }
    BEGIN {
      s1 = 12345 + 7919 * seed; s2 = 67890 + 104729 * seed
      for (i = 0; i < 50; ++i) uniform()
      for (k = 1; k <= d; ++k) for (j = 1; j <= D; ++j) A[j, k] = normal()
      for (pass = 1; pass <= 2; ++pass) for (k = 1; k <= d; ++k) {
        for (l = 1; l < k; ++l) {
          dot = 0; for (j = 1; j <= D; ++j) dot += A[j, k] * A[j, l]
          for (j = 1; j <= D; ++j) A[j, k] -= dot * A[j, l]
        }
        norm = 0; for (j = 1; j <= D; ++j) norm += A[j, k] ^ 2
        for (j = 1; j <= D; ++j) A[j, k] /= sqrt(norm)
      }
      for (k = 1; k <= d; ++k) { b[k] = normal(); square += b[k] ^ 2 }
      file = "data/truth-" seed ".csv"
      line = "theta"; for (k = 1; k <= d; ++k) line = line ",A" k
      print line >file
      for (j = 1; j <= D; ++j) {
        theta = 0; for (k = 1; k <= d; ++k) theta += A[j, k] * b[k] / sqrt(square)
        line = sprintf("%.15g", theta); for (k = 1; k <= d; ++k) line = line sprintf(",%.15g", A[j, k])
        print line >file
      }
      close(file)
      items("data/labelled-" seed ".csv", labelled)
      items("data/unlabelled-" seed ".csv", unlabelled)
    }'
}

# data SEED: items, the ridge estimate (lambda 1), and pseudo-labels with noise 1/sqrt(64).
data() {
  [ ! -e "data/pseudo-$1.h5" ] || return 0
  generate "$1"
  for part in labelled unlabelled; do ingest "data/$part-$1.csv" --format numbers -q -o "data/$part-$1.h5" --force >/dev/null; done
  score "data/labelled-$1.h5" --reward "truth=off-support:data/truth-$1.csv" --noise 0.1 --seed "$1" -j 1 -q -o "data/labels-$1.h5" --force |
    reward-train --type regressor --network linear --ridge 1 --held-out 0 -j 1 -q -o "data/ridge-$1.h5" --force >/dev/null
  quietly score "data/unlabelled-$1.h5" --reward "reward=learned:data/ridge-$1.h5" --noise 0.125 --seed "$1" -j 1 \
    -o "data/pseudo-$1.h5" --force
  rm "data/labelled-$1.csv" "data/unlabelled-$1.csv"
  step "data of seed $1: done"
}

# cell NETWORK SEED: a model, its samples at every target, their truth.
cell() {
  name=$1-$2
  [ ! -e "cells/$name.csv" ] || return 0
  line=$(entry networks "$1")
  [ -n "$line" ] || { step "no network '$1'"; return 2; }
  seed=$2 truth=off-support:data/truth-$2.csv
  set -- $line
  echo "$1" >"cells/$name.json"
  shift
  [ -e "cells/$name.h5" ] ||
    quietly pretrain "data/pseudo-$seed.h5" --condition reward --denoiser "cells/$name.json" "$@" --label-drop 0 --steps "$STEPS" --batch-size 256 --lr 1e-3 \
      --num-train-timesteps "$LEVELS" --beta-schedule linear --beta-start $(awk -v T="$LEVELS" 'BEGIN { print 0.1 / T, "--beta-end", 20 / T }') \
      --set-alpha-to-one --seed "$seed" --log-every 100 --save-every 60 -j 1 -o "cells/$name.h5" || {
    status=$?  # 75: stopped with a checkpoint, the next call goes on
    step "$name: exit $status"
    return "$status"
  }
  n=$(echo "$TARGETS" | awk -F, -v count="$COUNT" '{ print NF * count }')
  sample --model "cells/$name.h5" -n "$n" --target "$TARGETS" --seed "$seed" --sampler ddpm --steps "$LEVELS" --batch-size 1000 -j 1 -q \
    -o "cells/$name-samples.h5" --force |
    score --reward "truth=$truth" --reward "linear=$truth,part=linear" --reward "off=$truth,part=norm" --reward "ratio=$truth,part=ratio" \
      --reward "along=$truth,part=along" --reward "predicted=learned:data/ridge-$seed.h5" -j 1 -q -o "cells/$name-scores.h5" --force >/dev/null
  case $name in
    mlp-*) ;;
    *) diversity "cells/$name-samples.h5" --metric subspace --features raw --subspace "data/truth-$seed.csv" -j 1 -q >"cells/$name-subspace.json" ;;
  esac
  csv "cells/$name.csv.part" "cells/$name-scores.h5"
  mv "cells/$name.csv.part" "cells/$name.csv"
  step "$name: done"
}

# A row a cell and target: results.tsv. shift is |mean of the samples|: the mean of the data is 0.
collect() {
  printf 'network\tseed\ttarget\ttruth\tlinear\tpredicted\tgap\toff_support\tratio\talong\tshift\tsubspace_error\n'
  cells | while read -r network seed; do
    name=cells/$network-$seed
    [ -e "$name.csv" ] || continue
    error=$([ ! -e "$name-subspace.json" ] || sed -n 's/.*"subspace":{"value":\([-0-9.e+]*\).*/\1/p' "$name-subspace.json")
    awk -F, -v OFS='\t' -v network="$network" -v seed="$seed" -v error="$error" '
      NR == 1 { for (i = 1; i <= NF; ++i) { at[$i] = i; if ($i ~ /^x[0-9]+$/) element[++elements] = i } next }
      {
        t = $at["target"]
        if (!(t in n)) order[++targets] = t
        ++n[t]
        split("truth linear predicted off ratio along", names, " ")
        for (i = 1; i <= 6; ++i) sum[t, names[i]] += $at["reward/" names[i]]
        for (i = 1; i <= elements; ++i) mean[t, i] += $element[i]
      }
      END {
        for (k = 1; k <= targets; ++k) {
          t = order[k]; shift = 0
          for (i = 1; i <= elements; ++i) shift += (mean[t, i] / n[t]) ^ 2
          f = sum[t, "truth"] / n[t]
          print network, seed, t, f, sum[t, "linear"] / n[t], sum[t, "predicted"] / n[t], t - f, sum[t, "off"] / n[t], sum[t, "ratio"] / n[t],
            sum[t, "along"] / n[t], sqrt(shift), error
        }
      }' "$name.csv"
  done
}

# Means over seeds, beside one run of an independent implementation in PyTorch (16,384 items, one seed).
table() {
  awk -F'\t' '
    BEGIN {
      split("0 1 2 4 8 12 16", t, " ")
      split("0.01 0.90 1.80 3.60 7.24 10.86 14.41", s, " "); split("-0.56 0.42 1.39 3.32 6.99 10.26 12.94", m, " ")
      for (i = 1; i <= 7; ++i) { other["subspace", t[i]] = s[i]; other["mlp", t[i]] = m[i] }
      printf "| network | target | reward f* | (PyTorch) | predicted | gap a - f* | off the subspace | on it | shift | subspace error |\n"
      printf "|---|---|---|---|---|---|---|---|---|---|\n"
    }
    NR > 1 {
      key = $1 SUBSEP $3; if (!(key in n)) order[++rows] = key
      ++n[key]; for (i = 4; i <= NF; ++i) { sum[key, i] += $i; square[key, i] += $i ^ 2 }
    }
    END {
      for (k = 1; k <= rows; ++k) {
        key = order[k]; split(key, part, SUBSEP); c = n[key]; mean = sum[key, 4] / c
        sd = c > 1 ? sqrt((square[key, 4] - c * mean ^ 2 > 0 ? square[key, 4] - c * mean ^ 2 : 0) / (c - 1)) : 0
        printf "| %s | %g | %.2f ± %.2f | %s | %.2f | %.2f | %.3f | %.2f | %.2f | %s |\n", part[1], part[2], mean, sd,
          (key in other) ? other[key] : "", sum[key, 6] / c, sum[key, 7] / c, sum[key, 8] / c, sum[key, 10] / c, sum[key, 11] / c,
          part[1] == "mlp" ? "" : sprintf("%.2g", sum[key, 12] / c)
      }
    }' results.tsv
}

page() {
  collect >results.tsv
  report --table results.tsv --x target --y truth --y gap --y off_support --y shift --by network --svg figures --tsv tables \
    --title "Reward-directed diffusion on a subspace: what was asked for and what came" -q -o page.html --force >/dev/null
  table
  echo "$PWD/page.html"
}

cells() { for seed in $SEEDS; do networks | while read -r name _; do echo "$name $seed"; done; done; }
prepare() { for seed in $SEEDS; do data "$seed"; done; }

study "$@"
