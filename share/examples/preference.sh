#!/bin/sh
# preference FOLDER: a simulated user who likes some classes of the shipped model's pictures (sandal, sneaker, ankle boot), asked ten
# questions a round. Methods that learn from the answers (PAPA, EPAPA, D3PO, Diffusion-DPO) beside DDPO with as many labels; how much a
# dislike helps; which K of EPAPA; what to ask about; wrong answers. Judged by a second classifier, which nobody asked: share of samples in
# the classes liked, how evenly they spread over these, distance to real images of them. About two hours on two cores; ends with a table and
# the path of a page.
#
#   share/examples/preference.sh runs/preference                          all cells, then table and page
#   SEEDS="1 2 3 4 5" COUNT=1000 JOBS=4 share/examples/preference.sh      more seeds, more samples, more at a time
#   SETS="arms variants choices errors" share/examples/preference.sh      more of the tables of cells below: three and a half hours
#   share/examples/preference.sh --cells                                  names of the cells, a line each: ARM SEED
#   share/examples/preference.sh --base FOLDER                            the second classifier; --cell ARM SEED FOLDER: one cell, for make
#   share/examples/preference.sh --page FOLDER                            and Slurm (share/make/preference.mk, share/slurm/experiment.sbatch)
#   SETS=literal SEEDS=1 share/examples/preference.sh runs/literal        the published loop, all of T = 1000, beside draws of it: hours
#
# Other pictures: MODEL (unconditional, or asked for no class), CLASSIFIER, DATA (labelled images that ingest reads, for the second
# classifier and the distance), LABELS (how many of it that classifier learns from) and LIKED say which; share/examples/digits.sh does so for MNIST.
# Run it again: finished cells are kept, a killed one goes on where it was; delete the folder to start anew.
set -eu
. "$(dirname "$0")/common.sh"

# arm                how
arms() {
  entries <<'ROWS'
papa                 ask papa                                         # safe: likes, and a distance to the base model
epapa-100            ask epapa --papa.k 100
epapa-200            ask epapa --papa.k 200
epapa-400            ask epapa --papa.k 400
epapa-600            ask epapa --papa.k 600
epapa-800            ask epapa --papa.k 800
d3po                 pairs d3po
ddpo                 reward ddpo-is
ROWS
}
# What each part is worth.
variants() {
  entries <<'ROWS'
papa-liked           ask papa --papa.gamma 0                          # L_p alone
papa-parity          ask papa --papa.preset parity --papa.passes 10 --papa.replay all --papa.guard 0     # a dislike weighs what a like does
papa-np-0.02         ask papa --papa.alpha-np 0.002                   # a fiftieth of it
papa-np-cap          ask papa --papa.alpha-np 0.01 --papa.neg-cap 1.5
d3po-one-sided       pairs d3po --d3po.clip one-sided
diffusion-dpo        pairs diffusion-dpo --lr 1e-3                    # as d3po
diffusion-dpo-slow   pairs diffusion-dpo --lr 1e-4                    # its default
ROWS
}
# What to ask about: ten of 40.
choices() {
  entries <<'ROWS'
choose-random        ask papa --candidates 40
choose-diverse       ask papa --candidates 40 --choose diverse
choose-uncertain     ask papa --candidates 40 --choose uncertain
ROWS
}
# Wrong answers; and the guard.
errors() {
  entries <<'ROWS'
error-10             ask papa ,error=0.1
error-20             ask papa ,error=0.2
error-30             ask papa ,error=0.3
parity-guard         ask papa --papa.preset parity --papa.passes 10 --papa.replay all --papa.guard 3
parity-error-20      ask papa ,error=0.2 --papa.preset parity --papa.passes 10 --papa.replay all --papa.guard 0
parity-error-20-guard ask papa ,error=0.2 --papa.preset parity --papa.passes 10 --papa.replay all --papa.guard 3
ROWS
}
# The published code: all weights at 1e-5, every timestep in sampling and learning; and the same with 50 steps and $LEVELS timesteps.
literal() {
  entries <<'ROWS'
literal              literal reference 1000 0
literal-drawn        literal parity 50 $LEVELS
literal-drawn-1000   literal parity 1000 $LEVELS
literal-drawn-100    literal parity 50 100
literal-50           literal parity 50 0                              # every timestep in learning alone
ROWS
}
SETS=${SETS:-arms errors}
SEEDS=${SEEDS:-1 2 3}
ROUNDS=${ROUNDS:-30}
EVERY=${EVERY:-10}                 # rounds from one evaluation to the next
PER_ROUND=${PER_ROUND:-10}         # answers
STEPS=${STEPS:-50}                 # of the sampler, in rounds
LEVELS=${LEVELS:-4}                # timesteps of a sample in an update, of 1000
BATCH=${BATCH:-5}                  # samples or pairs of an update
LR=${LR:-2e-3}
COUNT=${COUNT:-300}                # samples of an evaluation
SAMPLER=${SAMPLER:---sampler dpm-solver++ --steps 20}
LIKED=${LIKED:-5,7,9}
MODEL=${MODEL:-$share/models/fashion-mnist.h5}
CLASSIFIER=${CLASSIFIER:-}         # of the simulated user; empty: the shipped one
DATA=${DATA:-}                     # images of an IDX file; empty: Fashion-MNIST's training set
LABELS=${LABELS:-20000}            # of these, for the second classifier
absolute MODEL CLASSIFIER DATA

settings="ROUNDS EVERY PER_ROUND STEPS LEVELS BATCH LR COUNT SAMPLER LIKED MODEL CLASSIFIER DATA LABELS"
export SETS SEEDS $settings
folders="cells"
preparing="the second classifier, real images of the classes liked, and how the base model does"
fashion=${PLUMB_FASHION_MNIST:-/usr/share/datasets/fashion-mnist}
likes=class-in:$(quoted "$CLASSIFIER,$LIKED")

all_rows() { for table in $SETS; do "$table"; done; }

prepare() {
  [ -e data.h5 ] || quietly ingest "${DATA:-$fashion/train-images-idx3-ubyte.gz}" -o data.h5
  # Another network, other weights and another draw of the images than the user's.
  [ -e second.h5 ] || quietly reward-train data.h5 --network cnn --epochs 3 --labels "$LABELS" --seed 11 --held-out 0.1 -j "$JOBS" -o second.h5
  [ -e liked.h5 ] || quietly ingest "${DATA:-$fashion/train-images-idx3-ubyte.gz}" $(echo "$LIKED" | sed 's/[^,]*/--class &/g; s/,/ /g') --limit 2000 -o liked.h5
  [ -e liked-features.h5 ] || quietly evaluate-fid liked.h5 --features classifier:second.h5 --save-features liked-features.h5 -j 1
  evaluate base "$MODEL"
}
# evaluate NAME MODEL: cells/NAME-classes.json and cells/NAME.json, the last to appear.
evaluate() {
  [ ! -e "cells/$1.json" ] || return 0
  sample --model "$2" --class none -n "$COUNT" --seed 77 $SAMPLER -j 1 -q -o "cells/$1-samples.h5" --force >"cells/$1-samples.json"
  diversity --features classifier:second.h5 --metric class-coverage --class-coverage.classes "$LIKED" -j 1 -q \
    <"cells/$1-samples.json" >"cells/$1-classes.json"
  evaluate-fid --features classifier:second.h5 --reference liked-features.h5 --metric fid --metric inception-score -j 1 -q \
    <"cells/$1-samples.json" >"cells/$1.json.part"
  mv "cells/$1.json.part" "cells/$1.json"
}

# cell ARM SEED
cell() {
  arm=$1 seed=$2
  line=$(entry all_rows "$1")
  [ -n "$line" ] || { step "no arm '$1'"; return 2; }
  set -- $(eval "echo $line")
  how=$1 method=$2 error= drawn=
  shift 2
  case ${1-} in ,error=*) error=$1,seed=$seed; shift ;; esac
  common="--class none --seed $seed --sampler-steps $STEPS --monitor-every 0 --save-epochs $EVERY"
  case $how in
    ask) tune "cells/$arm-$seed.h5" --model "$MODEL" $common --method "$method" --ask "oracle:reward=$likes>=0.5$error" --rounds "$ROUNDS" --per-round "$PER_ROUND" \
      --papa.timesteps "$LEVELS" --papa.batch "$BATCH" --lr "$LR" "$@" || return ;;
    pairs)
      case $method in
        d3po) set -- --timestep-fraction 0.2 --train-batch-size "$BATCH" --inner-epochs 2 "$@" ;;
        diffusion-dpo) set -- --dpo.timesteps "$LEVELS" --dpo.batch "$BATCH" --dpo.passes 10 "$@" ;;
      esac
      tune "cells/$arm-$seed.h5" --model "$MODEL" $common --method "$method" --ask "oracle:reward=$likes$error" --rounds "$ROUNDS" --per-round "$PER_ROUND" "$@" || return ;;
    literal)
      [ "$2" = 0 ] || drawn="--papa.timesteps $2"
      tune "cells/$arm-$seed.h5" --model "$MODEL" --class none --seed "$seed" --monitor-every 0 --save-epochs "$EVERY" --full --lr 1e-5 \
        --method papa --papa.preset "$method" --sampler-steps "$1" $drawn --ask "oracle:reward=$likes>=0.5" --rounds "$ROUNDS" --per-round "$PER_ROUND" || return ;;
    reward) tune "cells/$arm-$seed.h5" --model "$MODEL" $common --method "$method" --reward "$likes" --epochs "$ROUNDS" --samples-per-epoch "$PER_ROUND" \
      --train-batch-size "$BATCH" --timestep-fraction 0.4 "$@" || return ;;
  esac
  round=$EVERY
  while [ "$round" -le "$ROUNDS" ]; do
    from=$(printf 'cells/%s.h5.rounds/model-%04d.h5' "$arm-$seed" "$round")
    [ "$round" != "$ROUNDS" ] || from=cells/$arm-$seed.h5
    evaluate "$arm-$seed-$round" "$from"
    round=$((round + EVERY))
  done
  step "$arm, seed $seed: done"
}

# inception FILE.json: the inception score, which stands behind another value.
inception() { sed -n 's/.*"inception-score":{"value":\([-0-9.e+]*\).*/\1/p' "$1"; }

# or_dash: a value from standard input, or - where there is none: no sample of a class liked has no spread.
or_dash() { sed 's/^$/-/' | grep . || echo -; }

# minutes LOG ROUND: how long a run had taken, in all, when a round ended.
minutes() { sed -n "s/.*\"epoch\":$2,.*\"seconds\":\([0-9.]*\).*/\1/p" "$1" | tail -n 1 | awk '{ printf "%.2f", $1 / 60 }'; }

# A row a cell and evaluation.
collect() {
  printf 'arm\tseed\tlabels\tsuccess\tcoverage\tleast\tspread\tfid\tinception\tminutes\n'
  cells | while read -r arm seed; do
    [ -e "cells/$arm-$seed.h5.rounds" ] || continue
    round=0
    while [ "$round" -le "$ROUNDS" ]; do
      name=cells/$arm-$seed-$round
      [ "$round" != 0 ] || name=cells/base
      if [ -e "$name.json" ]; then
        printf '%s\t%s\t%s' "$arm" "$seed" $((round * PER_ROUND))
        for key in value normalised_entropy min_share class_distance; do printf '\t%s' "$(number "$name-classes.json" "$key" | or_dash)"; done
        printf '\t%s\t%s' "$(number "$name.json" value | or_dash)" "$(inception "$name.json" | or_dash)"
        printf '\t%s\n' "$(minutes "cells/$arm-$seed.h5.jsonl" "$round" | or_dash)"
      fi
      round=$((round + EVERY))
    done
  done
}

page() {
  collect >results.tsv
  report --table results.tsv --x labels --y success --y coverage --y fid --by arm --svg figures --tsv tables \
    --title "What a user's answers make of a model" -q -o page.html --force >/dev/null
  awk -F'\t' -v last=$((ROUNDS * PER_ROUND)) 'NR == 1 || $3 == last || $3 == 0' results.tsv >end.tsv
  means end.tsv 1,3 4,5,6,7,8,9,10
  echo "$PWD/page.html"
}

cells() { entry_cells all_rows; }

study "$@"
