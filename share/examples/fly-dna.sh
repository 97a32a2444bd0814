#!/bin/sh
# fly-dna FOLDER: offline design of 200 letters of real DNA. A diffusion model learns stretches upstream of Drosophila's genes,
# without labels. The truth is the sum of the best sites of three fly transcription factors (Zelda, GAGA factor, Bicoid; JASPAR), in
# bits; the reward is a network fitted to few noisy labels of real windows below a quantile of it, and knows where it is unsure. Methods
# raise the reward; the truth, the likelihood under the pretrained model and the words of three letters say what came of it. About an hour on
# two cores; ends with a table and the path of a page.
#
#   share/tools/sequence-data.sh runs/data                     the genome's regions and the motifs, once (Debian, PyPI)
#   share/examples/fly-dna.sh runs/fly-dna                     all cells, then table and page
#   DATA=FOLDER SEEDS="1 2 3 4 5" JOBS=4 share/examples/...    where the data are; more seeds; more at a time
#   share/examples/fly-dna.sh --cells                          names of the cells, a line each: METHOD SEED
#   share/examples/fly-dna.sh --base FOLDER                    the data; --cell METHOD SEED FOLDER: one cell, for make and Slurm
#   share/examples/fly-dna.sh --page FOLDER                    (share/make/fly-dna.mk, share/slurm/fly-dna.sbatch)
#
# Run it again: finished cells are kept, a killed one goes on where it was; delete the folder to start anew.
set -eu

# name            reward            how
rows() {
  sed 's/ *#.*//; /^$/d' <<'ROWS'
pretrained        -                 sample
strl              learned           tune --method strl --strl.alpha $ALPHA
strl-no-kl        learned           tune --method strl --strl.alpha 0
braid-bonus       conservative      tune --method braid --strl.alpha $ALPHA
braid-boot        conservative-boot tune --method braid --strl.alpha $ALPHA
svdd              learned           sample --steer svdd --particles $PARTICLES --alpha $ALPHA
svdd-bonus        conservative      sample --steer svdd --particles $PARTICLES --alpha $ALPHA
ROWS
}
SEEDS=${SEEDS:-1 2 3}              # draw the labelled windows, the reward's weights, and every sample
JOBS=${JOBS:-2}                    # cells at a time, one thread each
DATA=${DATA:-runs/data}
DEVICE=${DEVICE:-cpu}              # of tuning and sampling
MODEL=${MODEL:-}                   # a pretrained model of such windows; empty: trained here, PRETRAIN steps of 64
PRETRAIN=${PRETRAIN:-3000}         # half an hour on one core; a device takes minutes
QUANTILE=${QUANTILE:-0.9}          # labels at or below it are the offline data
LABELS=${LABELS:-1000}             # of these, for the reward
NOISE=${NOISE:-1}                  # standard deviation of the labels' noise, bits; the truth's own is about 3
ALPHA=${ALPHA:-0.3}                # temperature of the KL to the pretrained model, bits a nat
SCALE=${SCALE:-}                   # C of the bonus, kappa of the bootstrap; empty: chosen on held-out labels, coverage 0.9
UPDATES=${UPDATES:-60}
SAMPLES=${SAMPLES:-32}             # an update
KEPT=${KEPT:-10}                   # last steps that the gradient goes through
STEPS=${STEPS:-50}                 # of the sampler
COUNT=${COUNT:-256}                # samples of a method
PARTICLES=${PARTICLES:-5}

self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
root=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${PLUMB_BIN:-$root/build/bin}:$PATH"
case $DATA in /*) ;; *) DATA=$PWD/$DATA ;; esac
case $MODEL in /* | "") ;; *) MODEL=$PWD/$MODEL ;; esac
motifs=$DATA/fly.jaspar
truth="pwm:$motifs,vfl + pwm:$motifs,Trl + pwm:$motifs,bcd"
step() { echo "fly-dna: $*" >&2; }
quietly() { "$@" -q >/dev/null; }

# The windows with their true reward, and the best of them, which designs are compared with.
base() {
  for file in fly.fa.gz fly.jaspar; do
    [ -e "$DATA/$file" ] || { step "$DATA/$file is not there: run share/tools/sequence-data.sh $DATA"; return 3; }
  done
  [ -e windows.h5 ] || quietly ingest "$DATA/fly.fa.gz" --alphabet dna --window 200 --unique -o windows.h5
  [ -e "$MODEL" ] ||
    quietly pretrain windows.h5 --unconditional --steps "$PRETRAIN" --batch-size 64 --save-every 60 --device "$DEVICE" -j "$JOBS" -o "$MODEL"
  [ -e truth.h5 ] || quietly score -j 1 windows.h5 --reward "truth=$truth" -o truth.h5
  if ! [ -e best.h5 ]; then  # the best thousandth
    env export truth.h5 --to csv -q -o truth.csv --force >/dev/null
    sed 1d truth.csv | LC_ALL=C sort -t , -k 3,3gr | awk -F , -v n="$(sed 1d truth.csv | wc -l)" 'NR <= n / 1000 { print ">" $1 "\n" $2 }' >best.fa
    quietly ingest best.fa --alphabet dna -o best.h5
  fi
}

# The two rewards of a seed, which see labels below the quantile only.
reward() {
  recipe="--type regressor --target truth --below $QUANTILE --labels $LABELS --label-noise $NOISE --held-out 0.1 --batch-size 64 --epochs 40
    --evaluate-every 20 --patience 10 --lr 2e-3"
  chosen=${SCALE:---choose-scale 0.9}
  [ -e "rewards/bonus-$1.h5" ] ||
    quietly reward-train -j 1 truth.h5 $recipe --uncertainty bonus $chosen --seed "$1" -o "rewards/bonus-$1.h5"
  [ -e "rewards/boot-$1.h5" ] ||
    quietly reward-train -j 1 truth.h5 $recipe --uncertainty bootstrap --members 3 $chosen --seed "$1" -o "rewards/boot-$1.h5"
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

# draw NAME SEED MODEL OPTIONS...: samples of a cell, their truth, and what the rewards and the pretrained model think of them.
draw() {
  name=$1 seed=$2 model=$3
  shift 3
  sample --model "$model" -n "$COUNT" --seed "$seed" --sampler ddpm --steps "$STEPS" --device "$DEVICE" "$@" -j 1 -q -o "cells/$name-$seed-samples.h5" --force |
    score --reward "truth=$truth" --reward "predicted=learned:rewards/bonus-$seed.h5" --reward "uncertainty=uncertainty:rewards/bonus-$seed.h5" \
      --reward "loglik=likelihood:$MODEL,steps=32" --device "$DEVICE" -j 1 -q -o "cells/$name-$seed-scores.h5" --force |
    diversity --metric sequences --reference best.h5 -j 1 -q >"cells/$name-$seed.json.part"
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
    sample) draw "$method" "$seed" "$MODEL" ${reward:+--reward "$reward"} "$@" ;;
    tune)
      [ -e "cells/$method-$seed.h5" ] ||
        finetune --model "$MODEL" --reward "$reward" "$@" --strl.truncation "fixed:$KEPT" --epochs "$UPDATES" --samples-per-epoch "$SAMPLES" \
          --train-batch-size "$SAMPLES" --batch-size "$SAMPLES" --sampler-steps "$STEPS" --lr 1e-3 --lora-rank 16 --seed "$seed" \
          --monitor-every "$((UPDATES / 2))" --monitor-n 64 --monitor-features raw --gold "truth=$truth" --save-every 60 --device "$DEVICE" \
          -j 1 -q -o "cells/$method-$seed.h5" >/dev/null 2>"cells/$method-$seed.err" || {
        status=$?  # 75: stopped with a checkpoint, the next call goes on
        step "$method-$seed: exit $status: $(tail -n 1 "cells/$method-$seed.err")"
        return "$status"
      }
      draw "$method" "$seed" "cells/$method-$seed.h5"
      ;;
  esac
  step "$method-$seed: done"
}

# field FILE KEY: the first number under a key.
field() { tr ',{' '\n\n' <"$1" | sed -n "s/^\"$2\":\\([-0-9.e+]*\\)}*\$/\\1/p" | head -n 1; }

# A row a cell: results.tsv.
collect() {
  {
    printf 'method\tseed\ttruth\tq90\tpredicted\tgap\tuncertainty\tlog_likelihood\tpath_kl\tkmer_correlation\thamming\tunique\n'
    cells | while read -r method seed; do
      name=cells/$method-$seed
      [ -e "$name.json" ] || continue
      kl=$([ ! -e "$name.h5.jsonl" ] || sed -n 's/.*"kl":\([-0-9.e+]*\).*/\1/p' "$name.h5.jsonl" | tail -n 1)
      env export "$name-scores.h5" --to csv -q -o "$name.csv" --force >/dev/null
      head -n 1 "$name.csv" | grep -q 'sequence,.*loglik.*,.*predicted.*,.*truth.*,.*uncertainty' || { step "$name.csv: other columns than expected"; return 1; }
      sed 1d "$name.csv" | awk -F, -v OFS=, '{ print $(NF - 3), $(NF - 2), $(NF - 1), $NF }' | LC_ALL=C sort -t , -k 3,3g | awk -F, -v OFS='\t' -v method="$method" -v seed="$seed" -v kl="$kl" \
        -v hamming="$(field "$name.json" value)" -v unique="$(field "$name.json" unique)" -v words="$(field "$name.json" kmer_correlation)" '
        { l += $1; p += $2; t[NR] = $3; truth += $3; u += $4 }
        END { n = NR; print method, seed, truth / n, t[int(0.9 * n)], p / n, (p - truth) / n, u / n, l / n, kl, words, hamming, unique }'
    done
  } >results.tsv
}

page() {
  collect
  report --table results.tsv --x predicted --y truth --y log_likelihood --y kmer_correlation --by method --marks --svg figures --tsv tables \
    --title "Offline design of fly DNA: what the reward promised and what came of it" -q -o page.html --force >/dev/null
  cut -f 1-4,6,8,10 tables/means-results.tsv | column -t -s "$(printf '\t')" >&2
  echo "$PWD/page.html"
}

cells() { rows | while read -r name _; do for seed in $SEEDS; do echo "$name $seed"; done; done; }
enter() { mkdir -p "$1/cells" "$1/rewards" && cd "$1" && MODEL=${MODEL:-$PWD/model.h5}; }

case ${1-} in
  --cells) cells; exit ;;
  --base) enter "${2:-runs/fly-dna}"; base; rewards; exit ;;
  --cell) enter "$4"; reward "$3"; cell "$2" "$3"; exit ;;
  --reward) enter "$3"; reward "$2"; exit ;;
  --page) enter "${2:-runs/fly-dna}"; page; exit ;;
  -*) echo "fly-dna: unknown option '$1': see the head of $0" >&2; exit 2 ;;
esac
enter "${1:-runs/fly-dna}"
settings="$MODEL|$PRETRAIN|$QUANTILE|$LABELS|$NOISE|$ALPHA|$SCALE|$UPDATES|$SAMPLES|$KEPT|$STEPS|$COUNT|$PARTICLES"
[ -e settings ] || echo "$settings" >settings
[ "$(cat settings)" = "$settings" ] || { step "$PWD holds cells of other settings: $(cat settings)"; exit 2; }
export SEEDS DATA DEVICE MODEL PRETRAIN QUANTILE LABELS NOISE ALPHA SCALE UPDATES SAMPLES KEPT STEPS COUNT PARTICLES
step "1/3 real windows, and the rewards"
base
rewards
step "2/3 $(cells | wc -l) cells, $JOBS at a time"
cells | sort -s -k2,2n | xargs -P "$JOBS" -L 1 sh -c '"$0" --cell "$2" "$3" "$1"' "$self" "$PWD" || step "some cells did not finish: run this again"
step "3/3 the table and the page"
page
