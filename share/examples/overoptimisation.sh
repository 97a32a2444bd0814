#!/bin/sh
# overoptimisation FOLDER: reward over-optimisation where the truth is known, of four methods. GOLD is a reward that can be
# computed exactly. PROXY is a small network fitted to few noisy labels of it on samples of the shipped model: a fair stand-in
# there, and wrong elsewhere. Each method raises PROXY, the monitor watches GOLD. A cell is one row of the table below with one
# seed, which also draws the labels. About 40 minutes on two cores; ends with a table and the path of a page.
#
#   share/examples/overoptimisation.sh runs/overoptimisation           all cells, then table and page
#   SEEDS="1 2 3 4 5" JOBS=4 EPOCHS=80 share/examples/...              more seeds, more at a time, longer runs
#   share/examples/overoptimisation.sh --cells                         names of the cells, a line each: NAME SEED
#   share/examples/overoptimisation.sh --cell NAME SEED FOLDER         one cell (and its seed's proxy), for make and Slurm:
#   share/examples/overoptimisation.sh --page FOLDER                   share/make/overoptimisation.mk, share/slurm/
#
# Run it again: finished cells are kept, a killed one goes on where it was; delete the folder to start anew.
set -eu
. "$(dirname "$0")/common.sh"

# name            what the cell says to finetune besides the common settings. A row may be left out with #.
# Learning rates are the published ones: TDPO takes several times as many steps an epoch.
methods() {
  entries <<'ROWS'
ddpo-is           --method ddpo-is --lr 3e-4
ddpo-columns      --method ddpo-is --lr 1e-4 --update-order columns --advantage-clip 0   # TDPO without its critic
dpok-0.02         --method dpok --lr 3e-4 --kl-coef 0.02
dpok-0.1          --method dpok --lr 3e-4 --kl-coef 0.1
tdpo              --method tdpo --lr 1e-4 $CRITIC
tdpo-r            --method tdpo-r --lr 1e-4 $CRITIC --tdpo.reset active --tdpo.reset-every 10
tdpo-r-dormant    --method tdpo-r --lr 1e-4 $CRITIC --tdpo.reset dormant --tdpo.reset-every 10
ROWS
}
SEEDS=${SEEDS:-1 2 3}
# Detail, as long as the picture is still taken for what was asked for: kilobytes as JPEG + 0.05 x nats of the classifier.
GOLD=${GOLD:-jpeg-incompressibility + 0.05*class-logp}
LABELS=${LABELS:-300}             # a fifth of them held out
NOISE=${NOISE:-0.1}               # standard deviation of the labels' noise; GOLD's own is 0.09
NETWORK=${NETWORK:-tiny}
EPOCHS=${EPOCHS:-40}
SAMPLES=${SAMPLES:-64}            # an epoch
STEPS=${STEPS:-10}                # of the sampler, for labels too
# The critic's published first weights keep it constant for longer than these runs last (plumb-methods(7)).
CRITIC=${CRITIC:---tdpo.critic-init default --tdpo.critic-lr 1e-3}
COMMON=${COMMON:---timestep-fraction 0.5 --monitor-n 128}
MONITOR_EPOCHS=${MONITOR_EPOCHS:-4}

settings="GOLD LABELS NOISE NETWORK EPOCHS SAMPLES STEPS CRITIC COMMON"
export SEEDS MONITOR_EPOCHS $settings
folders="cells proxies"
preparing="labels and proxies"
model=$share/models/fashion-mnist.h5

# Samples with their true reward that no proxy is fitted to.
test_set() {
  [ ! -e proxies/test.h5 ] || return 0
  quietly sample --model "$model" -n 1000 --seed 999 --sampler ddim --steps "$STEPS" -j 1 -o proxies/test-samples.h5 --force
  quietly score proxies/test-samples.h5 --reward "gold=$GOLD" -j 1 -o proxies/test.h5 --force
}

# proxy SEED: the labels of that seed, and the network fitted to them.
proxy() {
  [ ! -e "proxies/$1.h5" ] || return 0
  test_set
  quietly sample --model "$model" -n "$LABELS" --seed "$((1000 + $1))" --sampler ddim --steps "$STEPS" -j 1 \
    -o "proxies/$1-samples.h5" --force
  quietly score "proxies/$1-samples.h5" --reward "gold=$GOLD" -j 1 -o "proxies/$1-labels.h5" --force
  reward-train "proxies/$1-labels.h5" --type regressor --label-noise "$NOISE" --network "$NETWORK" --held-out 0.2 --seed "$1" \
    --batch-size 32 --steps 300 --lr-warmup 30 --evaluate-every 5 --patience 20 --test proxies/test.h5 -q -j 1 -o "proxies/$1.h5" >"proxies/$1.json"
  step "proxy $1: rank correlation with gold on 1000 other samples $(sed -n 's/.*"test":{[^{}]*"spearman":\([-0-9.]*\).*/\1/p' "proxies/$1.json" | cut -c1-5)"
}

# cell NAME SEED: one run of finetune. Updates an epoch differ between methods, epochs between evaluations do not.
cell() {
  proxy "$2"
  [ ! -e "cells/$1-$2.h5" ] || return 0
  options=$(entry methods "$1")
  [ -n "$options" ] || { step "no row '$1'"; return 2; }
  set -- "$1" "$2" $(eval "echo $options $COMMON")
  name=$1 seed=$2
  shift 2
  plan=$(finetune --model "$model" --reward "learned:proxies/$seed.h5" --epochs 1 --samples-per-epoch "$SAMPLES" --sampler-steps "$STEPS" \
    "$@" --dry-run -q | sed -n 's/.*"updates_per_epoch":\([0-9]*\).*/\1/p')
  tune "cells/$name-$seed.h5" --model "$model" --reward "learned:proxies/$seed.h5" --gold "gold=$GOLD" --seed "$seed" --epochs "$EPOCHS" \
    --samples-per-epoch "$SAMPLES" --sampler-steps "$STEPS" --monitor-every "$((plan * MONITOR_EPOCHS))" "$@"
  step "$name-$seed: $(sed -n 's/.*"verdict":"\([^"]*\)".*/\1/p' "cells/$name-$seed.h5.jsonl")"
}

page() {
  set --
  for name in $(methods | awk '{ print $1 }'); do
    for seed in $SEEDS; do [ ! -e "cells/$name-$seed.h5" ] || set -- "$@" "cells/$name-$seed.h5"; done
  done
  [ $# -gt 0 ] || { step "no cell is finished"; return 1; }
  report "$@" --pool-seeds --title "Reward over-optimisation with a known truth, by method" --tsv tables --svg figures -q -o page.html >/dev/null
  # The exact numbers are in tables/runs.tsv; shown: value and half of the 95% interval, three decimals; seconds as ratios.
  awk -F '\t' '
    NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }
    function shown(key,    v) {
      v = $at[key]
      if (v == "") return "-"
      return sprintf("%.3f", v) ($at[key "_ci95"] == "" ? "" : sprintf(" +- %.3f", $at[key "_ci95"]))
    }
    BEGIN { f = "%-16s %2s %17s %17s %17s %17s %6s %17s %17s %6s\n"
            printf f, "method", "n", "proxy at end", "gold at end", "gold at best", "gold, equal proxy", "parted", "Vendi at end", "path KL at end", "time" }
    { if (!first) first = $at["seconds"]
      printf f, $1, $at["runs"], shown("proxy_end"), shown("gold_end"), shown("gold_best"), shown("gold_equal_reward"), $at["parted"], \
        shown("diversity_end"), shown("kl_end"), sprintf("%.2f", $at["seconds"] / first) }' tables/runs.tsv
  echo "labels: $LABELS (noise $NOISE) and $((EPOCHS * SAMPLES)) questions to the proxy for each cell"
  echo "$PWD/page.html"
}

cells() { entry_cells methods; }
prepare() { for seed in $SEEDS; do proxy "$seed"; done; }

case ${1-} in --proxy) enter "$3"; same_settings; proxy "$2"; exit ;; esac
study "$@"
