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
#   share/examples/tfbind8.sh --page FOLDER                    (share/make/tfbind8.mk, share/slurm/experiment.sbatch)
#
# Run it again: finished cells are kept, a killed one goes on where it was; delete the folder to start anew.
set -eu
. "$(dirname "$0")/common.sh"

# name            reward            how
methods() {
  entries <<'ROWS'
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

settings="QUANTILE LABELS ALPHA SCALE UPDATES STEPS COUNT PARTICLES GUIDE TARGET PRETRAIN"
export SEEDS DATA $settings
folders="cells rewards"
preparing="the model of all sequences, and the rewards"
absolute DATA
truth=table:$(quoted "$DATA/six6.csv,value")
replicate=table:$(quoted "$DATA/six6.csv,replicate")

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
  two_rewards "$1" all.h5 "--members 5 --prior-scale 1" --type regressor --network reward.json --below "$QUANTILE" --labels "$LABELS" \
    --held-out 0.1 --epochs 200 --batch-size 128 --evaluate-every 50 --patience 20 --lr 2e-3 --weight-decay 0.01
}

# A seed's offline labels as CSV: as many as the reward gets, below the quantile. For a model that is trained on labels alone.
offline() {
  echo sequence,value
  sed 1d "$DATA/six6.csv" | LC_ALL=C sort -t , -k 2,2g | awk -F , -v OFS=, -v q="$QUANTILE" -v n="$LABELS" -v seed="$1" '
    { s[NR] = $1; v[NR] = $2 }
    END { m = int(q * NR); if (n == 0 || n > m) n = m; srand(seed)
          for (i = m; i > m - n; --i) { j = 1 + int(rand() * i); t = s[j]; s[j] = s[i]; s[i] = t; t = v[j]; v[j] = v[i]; v[i] = t; print s[i], v[i] } }'
}

# draw NAME SEED MODEL OPTIONS...: samples of a cell, their truth, and what the rewards think of them.
draw() {
  name=$1 seed=$2 model=$3
  shift 3
  sample --model "$model" -n "$COUNT" --seed "$seed" --sampler ddpm --variance beta --steps "$STEPS" --batch-size 256 "$@" -j 1 -q -o "cells/$name-$seed-samples.h5" --force |
    score --reward "truth=$truth" --reward "replicate=$replicate" --reward "predicted=learned:rewards/bonus-$seed.h5" \
      --reward "uncertainty=uncertainty:rewards/bonus-$seed.h5" -j 1 -q -o "cells/$name-$seed-scores.h5" --force |
    diversity --metric sequences --reference all.h5 -j 1 -q >"cells/$name-$seed.json.part"
  mv "cells/$name-$seed.json.part" "cells/$name-$seed.json"
}

# How a method draws: from the model of all sequences, maybe steered; from a tuned one; from one that knows labels, or predictions, as
# its condition.
by_sample() { draw "$method" "$seed" base.h5 ${reward:+--reward "$reward"} "$@"; }
by_tune() {
  tune "cells/$method-$seed.h5" --model base.h5 --reward "$reward" --full "$@" --epochs "$UPDATES" --samples-per-epoch 128 \
    --train-batch-size 128 --batch-size 128 --sampler-steps "$STEPS" --lr 1e-3 --strl.alpha "$ALPHA" --seed "$seed" \
    --monitor-every "$UPDATES" --monitor-n 512 --monitor-features raw --gold "truth=$truth"
  draw "$method" "$seed" "cells/$method-$seed.h5"
}
by_conditional() {
  if ! [ -e "cells/$method-$seed.h5" ]; then
    offline "$seed" >"cells/$method-$seed.csv"
    quietly ingest "cells/$method-$seed.csv" --alphabet dna --sequence-column sequence --value-column value --class-quantiles 0.5,0.9 \
      -o "cells/$method-$seed-data.h5" --force
    quietly pretrain -j 1 "cells/$method-$seed-data.h5" --denoiser denoiser.json --steps "$PRETRAIN" --batch-size 256 --seed "$seed" \
      --save-every 60 -o "cells/$method-$seed.h5"
  fi
  draw "$method" "$seed" "cells/$method-$seed.h5" --class 2 --guidance-scale 3
}
by_pseudo() {
  [ -e "cells/$method-$seed.h5" ] ||
    score all.h5 --reward "$reward" --noise 0.05 --seed "$seed" -j 1 -q -o "cells/$method-$seed-labels.h5" --force |
    pretrain --condition reward --denoiser denoiser.json --steps "$PRETRAIN" --batch-size 256 --seed "$seed" --save-every 60 -j 1 -q \
      -o "cells/$method-$seed.h5" >/dev/null
  draw "$method" "$seed" "cells/$method-$seed.h5" --target "$TARGET" --guidance-scale 2
}

# One row of results.tsv, see method_rows.
scored='sequence,.*predicted.*,.*replicate.*,.*truth.*,.*uncertainty'
averages() {
  awk -F, -v OFS='\t' -v best="$best" "$@" '
    { p += $1; r += $2; t[NR] = $3; truth += $3; u += $4; above += $3 > best }
    END { n = NR
      print method, seed, truth / n, t[int((n + 1) / 2)], t[int(0.9 * n)], r / n, p / n, (p - truth) / n, u / n, above / n, kl, hamming,
        unique, divergence }'
}

page() {
  best=$(sed 1d "$DATA/six6.csv" | cut -d , -f 2 | LC_ALL=C sort -g | awk -v q="$QUANTILE" '{ v[NR] = $1 } END { print v[int(q * NR)] }')
  method_rows "method	seed	truth	median	q90	replicate	predicted	gap	uncertainty	above_best_label	path_kl	hamming	unique	kmer_divergence"
  method_page 3,4,5,6,7,8,10,11,12 --y replicate --y hamming --title "Offline design on TF-Bind-8: what the reward promised and what was measured"
}

cells() { entry_cells methods; }
cell() { method_cell "$@"; }
prepare() { base; each_seed --reward; }

case ${1-} in --reward) enter "$3"; reward "$2"; exit ;; esac
study "$@"
