#!/bin/sh
# fly-dna FOLDER: offline design of 200 letters of real DNA. A diffusion model learns stretches upstream of Drosophila's genes,
# without labels. The truth is the sum of the best sites of three fly transcription factors (Zelda, GAGA factor, Bicoid; JASPAR), in
# bits; the reward is a network fitted to few noisy labels of real windows below a quantile of it, and knows where it is unsure. Methods
# raise the reward; the truth, the likelihood under the pretrained model and the words of three letters say what came of it. About an hour on
# two cores for two seeds; ends with a table and the path of a page.
#
#   share/tools/sequence-data.sh runs/data                     the genome's regions and the motifs, once (Debian, PyPI)
#   share/examples/fly-dna.sh runs/fly-dna                     all cells, then table and page
#   DATA=FOLDER SEEDS="1 2 3 4 5" JOBS=4 share/examples/...    where the data are; more seeds; more at a time
#   share/examples/fly-dna.sh --cells                          names of the cells, a line each: METHOD SEED
#   share/examples/fly-dna.sh --base FOLDER                    the data; --cell METHOD SEED FOLDER: one cell, for make and Slurm
#   share/examples/fly-dna.sh --page FOLDER                    (share/make/fly-dna.mk, share/slurm/experiment.sbatch)
#
# Run it again: finished cells are kept, a killed one goes on where it was; delete the folder to start anew.
set -eu
. "$(dirname "$0")/common.sh"

# name            reward            how
methods() {
  entries <<'ROWS'
pretrained        -                 sample
strl              learned           tune --method strl --strl.alpha $ALPHA
strl-no-kl        learned           tune --method strl --strl.alpha 0
braid-bonus       conservative      tune --method braid --strl.alpha $ALPHA
braid-boot        conservative-boot tune --method braid --strl.alpha $ALPHA
svdd              learned           sample --steer svdd --particles $PARTICLES --alpha $ALPHA
svdd-bonus        conservative      sample --steer svdd --particles $PARTICLES --alpha $ALPHA
ROWS
}
SEEDS=${SEEDS:-1 2}                # draw the labelled windows, the reward's weights, and every sample
DATA=${DATA:-runs/data}
DEVICE=${DEVICE:-cpu}              # of tuning and sampling
MODEL=${MODEL-$share/models/fly-dna.h5}   # a pretrained model of such windows; empty: trained here, PRETRAIN steps of 64
PRETRAIN=${PRETRAIN:-3000}         # half an hour on one core; a device takes minutes
QUANTILE=${QUANTILE:-0.9}          # labels at or below it are the offline data
LABELS=${LABELS:-1000}             # of these, for the reward
NOISE=${NOISE:-1}                  # standard deviation of the labels' noise, bits; the truth's own is 4.3 below the quantile
ALPHA=${ALPHA:-0.02}               # temperature of the KL to the pretrained model, bits a nat
SCALE=${SCALE:-}                   # C of the bonus, kappa of the bootstrap; empty: chosen on held-out labels, coverage 0.9
UPDATES=${UPDATES:-60}
SAMPLES=${SAMPLES:-24}             # an update
KEPT=${KEPT:-10}                   # last steps that the gradient goes through: through 5 it is faint, through all 25 it explodes
STEPS=${STEPS:-25}                 # of the sampler
COUNT=${COUNT:-256}                # samples of a method
PARTICLES=${PARTICLES:-5}

settings="MODEL PRETRAIN QUANTILE LABELS NOISE ALPHA SCALE UPDATES SAMPLES KEPT STEPS COUNT PARTICLES"
export SEEDS DATA DEVICE $settings
folders="cells rewards"
preparing="real windows, and the rewards"
absolute DATA MODEL
motifs=$DATA/fly.jaspar
truth="pwm:$(quoted "$motifs,vfl") + pwm:$(quoted "$motifs,Trl") + pwm:$(quoted "$motifs,bcd")"

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
    csv truth.csv truth.h5
    sed 1d truth.csv | LC_ALL=C sort -t , -k 3,3gr | awk -F , -v n="$(sed 1d truth.csv | wc -l)" 'NR <= n / 1000 { print ">" $1 "\n" $2 }' >best.fa
    quietly ingest best.fa --alphabet dna -o best.h5
  fi
}

# The two rewards of a seed, which see labels below the quantile only.
reward() {
  two_rewards "$1" truth.h5 "--members 3" --type regressor --target truth --below "$QUANTILE" --labels "$LABELS" --label-noise "$NOISE" \
    --held-out 0.1 --batch-size 64 --epochs 40 --evaluate-every 20 --patience 10 --lr 2e-3
}

# draw NAME SEED MODEL OPTIONS...: samples of a cell, their truth, and what the rewards and the pretrained model think of them.
draw() {
  name=$1 seed=$2 model=$3
  shift 3
  sample --model "$model" -n "$COUNT" --seed "$seed" --sampler ddpm --variance beta --steps "$STEPS" --device "$DEVICE" "$@" -j 1 -q -o "cells/$name-$seed-samples.h5" --force |
    score --reward "truth=$truth" --reward "predicted=learned:rewards/bonus-$seed.h5" --reward "uncertainty=uncertainty:rewards/bonus-$seed.h5" \
      --reward "loglik=likelihood:$(quoted "$MODEL,steps=32")" --device "$DEVICE" -j 1 -q -o "cells/$name-$seed-scores.h5" --force |
    diversity --metric sequences --reference best.h5 -j 1 -q >"cells/$name-$seed.json.part"
  mv "cells/$name-$seed.json.part" "cells/$name-$seed.json"
}

# How a method draws: from the pretrained model, maybe steered; from a tuned one.
by_sample() { draw "$method" "$seed" "$MODEL" ${reward:+--reward "$reward"} "$@"; }
by_tune() {
  tune "cells/$method-$seed.h5" --model "$MODEL" --reward "$reward" "$@" --strl.truncation "fixed:$KEPT" --epochs "$UPDATES" \
    --samples-per-epoch "$SAMPLES" --train-batch-size "$SAMPLES" --batch-size "$SAMPLES" --sampler-steps "$STEPS" --lr 5e-4 --lora-rank 16 \
    --seed "$seed" --monitor-every "$((UPDATES / 2))" --monitor-n 64 --monitor-features raw --gold "truth=$truth" --device "$DEVICE"
  draw "$method" "$seed" "cells/$method-$seed.h5"
}

# One row of results.tsv, see method_rows.
scored='sequence,.*loglik.*,.*predicted.*,.*truth.*,.*uncertainty'
averages() {
  awk -F, -v OFS='\t' "$@" '
    { l += $1; p += $2; t[NR] = $3; truth += $3; u += $4 }
    END { n = NR; print method, seed, truth / n, t[int(0.9 * n)], p / n, (p - truth) / n, u / n, l / n, kl, correlation, hamming, unique }'
}

page() {
  method_rows "method	seed	truth	q90	predicted	gap	uncertainty	log_likelihood	path_kl	kmer_correlation	hamming	unique"
  method_page 3,4,5,6,8,9,10,11 --y log_likelihood --y kmer_correlation \
    --title "Offline design of fly DNA: what the reward promised and what came of it"
}

cells() { entry_cells methods; }
cell() { method_cell "$@"; }
prepare() { base; each_seed --reward; }
entered() { MODEL=${MODEL:-$PWD/model.h5}; }

case ${1-} in --reward) enter "$3"; reward "$2"; exit ;; esac
study "$@"
