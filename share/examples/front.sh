#!/bin/sh
# front FOLDER: what raising a reward costs in diversity, and what three regularisers win back. For each reward and seed the
# shipped model is tuned for several lengths and with several KL weights; the longest run is also sampled with its adapter scaled
# down (LoRA scaling) and with the base model in the early steps (annealed importance guidance, AIG). Every point is measured on the
# same noise. Ends with a page: reward against each diversity measure, Pareto sets, hypervolumes, samples at equal reward.
# About 40 minutes on two cores.
#
#   share/examples/front.sh runs/front                        all cells, then the page
#   SEEDS="1 2 3 4 5" COUNT=2000 JOBS=4 share/examples/...    more seeds, more samples, more at a time
#   share/examples/front.sh --cells                           names of the cells, a line each: REWARD TRAINING SEED
#   share/examples/front.sh --cell REWARD TRAINING SEED FOLDER    one cell, for make and Slurm: share/make/front.mk, share/slurm/
#   share/examples/front.sh --page FOLDER
#
# Run it again: finished cells are kept, a killed one goes on where it was; delete the folder to start anew.
set -eu
. "$(dirname "$0")/common.sh"

# name    expression, evaluated where it is used            what else sample and finetune are told
rewards() {
  entries <<'ROWS'
shoes     "class-logp:$shoes"                               --class none    # sandal, sneaker or boot, from a model asked for nothing
detail    jpeg-incompressibility
ROWS
}
# name        what else finetune is told
trainings() {
  entries <<ROWS
short         --epochs $((EPOCHS / 4))
middle        --epochs $((EPOCHS / 2))
long          --epochs $EPOCHS
kl-weak       --epochs $EPOCHS --kl-form plain --kl-coef 0.01
kl-middle     --epochs $EPOCHS --kl-form plain --kl-coef 0.1
kl-strong     --epochs $EPOCHS --kl-form plain --kl-coef 1
ROWS
}
# training    how its model is sampled
points() {
  entries <<'ROWS'
short
middle
long
long          --lora-scale 0.2
long          --lora-scale 0.4
long          --lora-scale 0.6
long          --lora-scale 0.8
long          --aig linear
long          --aig power:2
long          --aig power:4
long          --aig power:8
long          --aig step:0.6
long          --aig step:0.8
kl-weak
kl-middle
kl-strong
ROWS
}
SEEDS=${SEEDS:-1 2 3}
METHOD=${METHOD:---method draft --draft.k 1 --eta 0}
EPOCHS=${EPOCHS:-16}               # of the longest run, 2 updates each
SAMPLES=${SAMPLES:-32}            # an epoch
COUNT=${COUNT:-500}               # samples of a point
REAL=${REAL:-2000}                # real images that recall and the like are measured against
SAMPLER=${SAMPLER:---sampler ddim --eta 1 --steps 20}

settings="METHOD EPOCHS SAMPLES COUNT REAL SAMPLER"
export SEEDS $settings
folders="models samples scores features points"
preparing="real images and the shipped model"
model=$share/models/fashion-mnist.h5
shoes=$(quoted "$share/models/fashion-mnist-classifier.h5,5,7,9")
data=${PLUMB_FASHION_MNIST:-/usr/share/datasets/fashion-mnist}

# Real images that recall, coverage and the spectra are measured against, and their features.
reference() {
  [ -e real-features.h5 ] && return
  ingest "$data/t10k-images-idx3-ubyte.gz" --labels none --limit "$REAL" -q -o real.h5 --force |
    evaluate-fid --save-features real-features.h5 -j 1 -q --force >/dev/null
}

# measure REWARD NAME MODEL OPTIONS...: one point, from the same noise as all others of its reward.
measure() {
  trained=$1 point=$2 from=$3
  shift 3
  [ ! -e "points/$point.json" ] || return 0
  sample --model "$from" -n "$COUNT" --seed 7 $SAMPLER "$@" -j 1 -q -o "samples/$point.h5" --force |
    eval "score $(asked "$trained")" -j 1 -q -o '"scores/$point.h5"' --force |
    diversity --metric vendi --metric pairwise --metric spectral --no-per-class --reference real-features.h5 --bootstrap 20 \
      --save-features "features/$point.h5" --force -j 1 -q |
    evaluate-fid --metric fid --metric prdc --reference real-features.h5 -j 1 -q -o "points/$point.json" --force >/dev/null
}
# asked REWARD: options of score, to be evaluated: that reward, and those that are not trained, to see what becomes of them.
asked() { rewards | awk -v own="$1" '$1 == own { first = " --reward " $2; next } { rest = rest " --reward " $2 } END { print first rest }'; }

base() { measure "$1" "$1-base" "$model" $(entry rewards "$1" | sed 's/^[^ ]* *//'); }

# cell REWARD TRAINING SEED: one run of finetune, and every point that is sampled from its model.
cell() {
  reward=$1 training=$2 seed=$3
  name=$reward-$training-$seed
  options=$(entry trainings "$training")
  [ -n "$options" ] || { step "no training '$training'"; return 2; }
  eval "set -- $(entry rewards "$reward")"
  [ $# -gt 0 ] || { step "no reward '$reward'"; return 2; }
  expression=$1
  shift
  tune "models/$name.h5" --model "$model" --reward "$expression" "$@" $METHOD --samples-per-epoch "$SAMPLES" --sampler-steps 20 \
    --seed "$seed" --monitor-every 0 $options
  class=$*
  points | while read -r from how; do
    [ "$from" = "$training" ] || continue
    measure "$reward" "$name$(echo "$how" | sed 's/--lora-scale/-lora/; s/--aig/-aig/; s/[ :]/-/g')" "models/$name.h5" $class $how || {
      status=$?
      [ "$status" -le 128 ] || exit 75  # a signal: the next call measures the rest
      exit "$status"
    }
  done
  step "$name: done"
}

page() {
  report points/*.json --front --title "Reward and diversity of the tuned Fashion-MNIST model" --tsv tables --svg figures -q -o front.html --force >/dev/null
  echo "$PWD/front.html"
}

cells() {
  for seed in $SEEDS; do
    rewards | while read -r reward _; do trainings | while read -r training _; do echo "$reward $training $seed"; done; done
  done
}
prepare() { reference; for reward in $(rewards | awk '{ print $1 }'); do base "$reward"; done; }

study "$@"
