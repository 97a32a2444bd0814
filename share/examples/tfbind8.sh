#!/bin/sh
# tfbind8 FOLDER: offline design of DNA where the truth is known for every sequence. The binding of the transcription factor SIX6 to all
# 65,536 sequences of 8 letters was measured (TF-Bind-8). A diffusion model learns all sequences, without labels; a reward is fitted to the
# labels below their 60 % quantile alone, and knows where it is unsure. Methods raise that reward; the measurement says what came of it, and
# a replicate of the measurement says it again. About half an hour on two cores; ends with a table and the path of a page.
#
#   share/tools/sequence-data.sh runs/data                     the measurements, once (PyPI)
#   share/examples/tfbind8.sh runs/tfbind8                     all cells, then table and page
#   DATA=FOLDER SEEDS="1 2 3" JOBS=4 share/examples/...        where the measurements are; fewer seeds; more at a time
#   share/examples/tfbind8.sh --cells                          names of the cells, a line each: METHOD SEED
#   share/examples/tfbind8.sh --base FOLDER                    the model; --cell METHOD SEED FOLDER: one cell, for make and Slurm
#   share/examples/tfbind8.sh --page FOLDER                    (share/make/tfbind8.mk, share/slurm/tfbind8.sbatch)
#
# Run it again: finished cells are kept, a killed one goes on where it was; delete the folder to start anew.
set -eu

# name            reward            how
rows() {
  sed 's/ *#.*//; /^$/d' <<'ROWS'
pretrained        -                 sample
strl              learned           tune --method strl
braid-bonus       conservative      tune --method braid
braid-boot        conservative-boot tune --method braid
conditional       -                 conditional       # a model of the labelled sequences, asked for their top class
pseudo-labels     learned           pseudo            # a model of all sequences, conditioned on predicted reward, asked for more than any label
guidance          learned           sample --guide x0 --guide-strength $GUIDE
svdd              learned           sample --steer svdd --particles $PARTICLES --alpha $ALPHA
svdd-bonus        conservative      sample --steer svdd --particles $PARTICLES --alpha $ALPHA
das               learned           sample --steer das --particles $PARTICLES --alpha $ALPHA
das-bonus         conservative      sample --steer das --particles $PARTICLES --alpha $ALPHA
ROWS
}
SEEDS=${SEEDS:-1 2 3 4 5}          # draw the labels' subset, the reward's weights, and every sample
JOBS=${JOBS:-2}                    # cells at a time, one thread each
DATA=${DATA:-runs/data}
QUANTILE=${QUANTILE:-0.6}          # labels at or below it are the offline data
LABELS=${LABELS:-2000}             # of these, for the reward; 0 = all
ALPHA=${ALPHA:-0.05}               # temperature of the KL to the pretrained model; the reward's range is 1
SCALE=${SCALE:-}                   # C of the bonus, kappa of the bootstrap; empty: chosen on held-out labels, coverage 0.9
UPDATES=${UPDATES:-300}
STEPS=${STEPS:-50}                 # of the sampler
COUNT=${COUNT:-2000}               # samples of a method
PARTICLES=${PARTICLES:-10}
GUIDE=${GUIDE:-20}
TARGET=${TARGET:-0.8}              # what the model conditioned on predicted reward is asked for; the best label is 0.48
PRETRAIN=${PRETRAIN:-8000}         # steps of the diffusion model

self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
root=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${PLUMB_BIN:-$root/build/bin}:$PATH"
case $DATA in /*) ;; *) DATA=$PWD/$DATA ;; esac
truth=table:$DATA/six6.csv
step() { echo "tfbind8: $*" >&2; }
quietly() { "$@" -q >/dev/null; }

# The model of all sequences, and the labelled data set.
base() {
  [ -e "$DATA/six6.csv" ] || { step "$DATA/six6.csv is not there: run share/tools/sequence-data.sh $DATA"; return 3; }
  [ -e all.h5 ] || quietly ingest "$DATA/six6.csv" --alphabet dna --sequence-column sequence --value-column value -o all.h5
  echo '{"type": "mlp", "config": {"hidden": [256, 256]}}' >denoiser.json
  echo '{"type": "mlp", "config": {"hidden": [128, 128], "activation": "relu"}}' >reward.json
  [ -e base.h5 ] || quietly pretrain -j 1 --denoiser denoiser.json --unconditional --steps "$PRETRAIN" --batch-size 256 --save-every 60 -o base.h5 all.h5
}

# The two rewards of a seed, which see labels below the quantile only.
reward() {
  recipe="--type regressor --network reward.json --below $QUANTILE --labels $LABELS --held-out 0.1 --epochs 200 --batch-size 128
    --evaluate-every 50 --patience 20 --lr 2e-3 --weight-decay 0.01"
  chosen=${SCALE:---choose-scale 0.9}
  [ -e "rewards/bonus-$1.h5" ] ||
    quietly reward-train -j 1 all.h5 $recipe --uncertainty bonus $chosen --seed "$1" -o "rewards/bonus-$1.h5"
  [ -e "rewards/boot-$1.h5" ] ||
    quietly reward-train -j 1 all.h5 $recipe --uncertainty bootstrap --members 5 --prior-scale 1 $chosen --seed "$1" -o "rewards/boot-$1.h5"
}

# A seed's offline labels as CSV: as many as the reward gets, below the quantile. For a model that is trained on labels alone.
offline() {
  echo sequence,value
  sed 1d "$DATA/six6.csv" | LC_ALL=C sort -t , -k 2,2g | awk -F , -v OFS=, -v q="$QUANTILE" -v n="$LABELS" -v seed="$1" '
    { s[NR] = $1; v[NR] = $2 }
    END { m = int(q * NR); if (n == 0 || n > m) n = m; srand(seed)
          for (i = m; i > m - n; --i) { j = 1 + int(rand() * i); t = s[j]; s[j] = s[i]; s[i] = t; t = v[j]; v[j] = v[i]; v[i] = t; print s[i], v[i] } }'
}

rewards() { echo "$SEEDS" | tr ' ' '\n' | xargs -P "$JOBS" -I @ "$self" --reward @ "$PWD"; }

# The reward expression of a row, for a seed.
expression() {
  case $1 in
    learned) echo "learned:rewards/bonus-$2.h5" ;;
    conservative) echo "conservative:rewards/bonus-$2.h5" ;;
    conservative-boot) echo "conservative:rewards/boot-$2.h5" ;;
  esac
}

# draw NAME SEED MODEL OPTIONS...: samples of a cell, their truth, and what the rewards think of them.
draw() {
  name=$1 seed=$2 model=$3
  shift 3
  sample --model "$model" -n "$COUNT" --seed "$seed" --sampler ddpm --steps "$STEPS" --batch-size 256 "$@" -j 1 -q -o "cells/$name-$seed-samples.h5" --force |
    score --reward "truth=$truth,value" --reward "replicate=$truth,replicate" --reward "predicted=learned:rewards/bonus-$seed.h5" \
      --reward "uncertainty=uncertainty:rewards/bonus-$seed.h5" -j 1 -q -o "cells/$name-$seed-scores.h5" --force |
    diversity --metric sequences --reference all.h5 -j 1 -q >"cells/$name-$seed.json.part"
  mv "cells/$name-$seed.json.part" "cells/$name-$seed.json"
}

# cell METHOD SEED
cell() {
  [ ! -e "cells/$1-$2.json" ] || return 0
  line=$(rows | awk -v name="$1" '$1 == name { sub(/^[^ ]+ */, ""); print }')
  [ -n "$line" ] || { step "no method '$1'"; return 2; }
  method=$1 seed=$2
  set -- $(eval "echo $line")
  reward=$(expression "$1" "$seed") how=$2
  shift 2
  case $how in
    sample) draw "$method" "$seed" base.h5 ${reward:+--reward "$reward"} "$@" ;;
    tune)
      [ -e "cells/$method-$seed.h5" ] ||
        finetune --model base.h5 --reward "$reward" --full "$@" --epochs "$UPDATES" --samples-per-epoch 128 --train-batch-size 128 \
          --batch-size 128 --sampler-steps "$STEPS" --lr 1e-3 --strl.alpha "$ALPHA" --seed "$seed" --monitor-every "$UPDATES" --monitor-n 512 --monitor-features raw \
          --gold "truth=$truth,value" --save-every 60 -j 1 -q -o "cells/$method-$seed.h5" >/dev/null 2>"cells/$method-$seed.err" || {
        status=$?  # 75: stopped with a checkpoint, the next call goes on
        step "$method-$seed: exit $status: $(tail -n 1 "cells/$method-$seed.err")"
        return "$status"
      }
      draw "$method" "$seed" "cells/$method-$seed.h5"
      ;;
    conditional)
      if ! [ -e "cells/$method-$seed.h5" ]; then
        offline "$seed" >"cells/$method-$seed.csv"
        quietly ingest "cells/$method-$seed.csv" --alphabet dna --sequence-column sequence --value-column value --class-quantiles 0.5,0.9 \
          -o "cells/$method-$seed-data.h5" --force
        quietly pretrain -j 1 "cells/$method-$seed-data.h5" --denoiser denoiser.json --steps "$PRETRAIN" --batch-size 256 --seed "$seed" --save-every 60 \
          -o "cells/$method-$seed.h5"
      fi
      draw "$method" "$seed" "cells/$method-$seed.h5" --class 2 --guidance-scale 3
      ;;
    pseudo)
      [ -e "cells/$method-$seed.h5" ] ||
        score all.h5 --reward "$reward" --noise 0.05 --seed "$seed" -j 1 -q -o "cells/$method-$seed-labels.h5" --force |
        pretrain --condition reward --denoiser denoiser.json --steps "$PRETRAIN" --batch-size 256 --seed "$seed" --save-every 60 -j 1 -q \
          -o "cells/$method-$seed.h5" >/dev/null
      draw "$method" "$seed" "cells/$method-$seed.h5" --target "$TARGET" --guidance-scale 2
      ;;
  esac
  step "$method-$seed: done"
}

# field FILE KEY: the first number under a key.
field() { tr ',{' '\n\n' <"$1" | sed -n "s/^\"$2\":\\([-0-9.e+]*\\)}*\$/\\1/p" | head -n 1; }

# A row a cell: results.tsv. The columns of an exported table of scores are in the order of their names.
collect() {
  {
    printf 'method\tseed\ttruth\tmedian\tq90\treplicate\tpredicted\tgap\tuncertainty\tabove_best_label\tpath_kl\thamming\tunique\tkmer_divergence\n'
    best=$(sed 1d "$DATA/six6.csv" | cut -d , -f 2 | LC_ALL=C sort -g | awk -v q="$QUANTILE" '{ v[NR] = $1 } END { print v[int(q * NR)] }')
    cells | while read -r method seed; do
      name=cells/$method-$seed
      [ -e "$name.json" ] || continue
      kl=$([ ! -e "$name.h5.jsonl" ] || sed -n 's/.*"kl":\([-0-9.e+]*\).*/\1/p' "$name.h5.jsonl" | tail -n 1)
      env export "$name-scores.h5" --to csv -q -o "$name.csv" --force >/dev/null
      head -n 1 "$name.csv" | grep -q 'sequence,.*predicted.*,.*replicate.*,.*truth.*,.*uncertainty' || { step "$name.csv: other columns than expected"; return 1; }
      cut -d , -f 2- "$name.csv" | sed 1d | awk -F, -v OFS=, '{ print $(NF - 3), $(NF - 2), $(NF - 1), $NF }' | LC_ALL=C sort -t , -k 3,3g |
        awk -F, -v OFS='\t' -v best="$best" -v method="$method" -v seed="$seed" -v kl="$kl" -v hamming="$(field "$name.json" value)" \
          -v unique="$(field "$name.json" unique)" -v js="$(field "$name.json" kmer_divergence)" '
          { p += $1; r += $2; t[NR] = $3; truth += $3; u += $4; above += $3 > best }
          END { n = NR
            print method, seed, truth / n, t[int((n + 1) / 2)], t[int(0.9 * n)], r / n, p / n, (p - truth) / n, u / n, above / n, kl, hamming, unique, js }'
    done
  } >results.tsv
}

page() {
  collect
  report --table results.tsv --x predicted --y truth --y replicate --y hamming --by method --marks --svg figures --tsv tables \
    --title "Offline design on TF-Bind-8: what the reward promised and what was measured" -q -o page.html --force >/dev/null
  cut -f 1-4,6,8 tables/means-results.tsv | column -t -s "$(printf '\t')" >&2
  echo "$PWD/page.html"
}

cells() { rows | while read -r name _; do for seed in $SEEDS; do echo "$name $seed"; done; done; }
enter() { mkdir -p "$1/cells" "$1/rewards" && cd "$1"; }

case ${1-} in
  --cells) cells; exit ;;
  --base) enter "${2:-runs/tfbind8}"; base; rewards; exit ;;
  --cell) enter "$4"; reward "$3"; cell "$2" "$3"; exit ;;
  --reward) enter "$3"; reward "$2"; exit ;;
  --page) enter "${2:-runs/tfbind8}"; page; exit ;;
  -*) echo "tfbind8: unknown option '$1': see the head of $0" >&2; exit 2 ;;
esac
enter "${1:-runs/tfbind8}"
settings="$QUANTILE|$LABELS|$ALPHA|$SCALE|$UPDATES|$STEPS|$COUNT|$PARTICLES|$GUIDE|$TARGET|$PRETRAIN"
[ -e settings ] || echo "$settings" >settings
[ "$(cat settings)" = "$settings" ] || { step "$PWD holds cells of other settings: $(cat settings)"; exit 2; }
export SEEDS DATA QUANTILE LABELS ALPHA SCALE UPDATES STEPS COUNT PARTICLES GUIDE TARGET PRETRAIN
step "1/3 the model of all sequences, and the rewards"
base
rewards
step "2/3 $(cells | wc -l) cells, $JOBS at a time"
cells | sort -s -k2,2n | xargs -P "$JOBS" -L 1 sh -c '"$0" --cell "$2" "$3" "$1"' "$self" "$PWD" || step "some cells did not finish: run this again"
step "3/3 the table and the page"
page
