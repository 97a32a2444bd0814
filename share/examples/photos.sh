#!/bin/sh
# photos FOLDER: the whole job on colour photographs. 2,212 tiles of 64x64 from 12 nature photos, a diffusion model trained on
# them, the model tuned for small JPEG files by the reward's own gradient, and BRISQUE beside it: an image-quality score that was
# fitted to what people said of other pictures, and that nothing here trains on. Sampled with and without the base model in the early
# steps (AIG). Ends with two pages. An hour on two cores, most of it the training; the 19 MB of the feature network are fetched once.
#
#   share/examples/photos.sh runs/photos
#   STEPS=20000 share/examples/photos.sh runs/better      a better model
#
# Run it again: finished steps are kept, a killed one goes on where it was; delete the folder to start anew. One job, one step after the other:
# there are no cells to share out.
set -eu
share=$(cd "$(dirname "$0")/.." && pwd)
PATH="${PLUMB_BIN:-$share/../build/bin:$share/../../libexec/plumb}:$PATH"   # built here, or installed
out=${1:-runs/photos}
case $out in -*) echo "photos: unknown option '$out': see the head of $0" >&2; exit 2 ;; esac
STEPS=${STEPS:-4000}       # of training, 32 tiles each
REWARD=${REWARD:-jpeg-compressibility}
METHOD=${METHOD:---method draft --draft.k 1 --eta 0}
EPOCHS=${EPOCHS:-12}
COUNT=${COUNT:-500}
J=${J:-2}
mkdir -p "$out"
cd "$out"
step() { echo "photos: $*" >&2; }

step "1/5 tiles"
[ -e tiles.h5 ] || "$share/tools/photo-tiles.sh" tiles.h5 --shrink 2 >/dev/null
network=$share/models/efficientnet-lite0.safetensors
[ -e "${PLUMB_EFFICIENTNET_LITE0:-$network}" ] || "$share/tools/efficientnet-lite0.py"

step "2/5 a diffusion model of them ($STEPS steps)"
[ -e model.h5 ] || pretrain tiles.h5 --denoiser image-64 --steps "$STEPS" --batch-size 32 --flip --seed 1 --save-every 60 -j "$J" -o model.h5 >/dev/null

step "3/5 tuning for $REWARD; gold: BRISQUE"
[ -e tuned.h5 ] ||
  finetune --model model.h5 --reward "$REWARD" --gold brisque $METHOD --epochs "$EPOCHS" --samples-per-epoch 32 --sampler-steps 20 --seed 1 \
    --monitor-every 6 --monitor-n 64 --monitor-features efficientnet-lite0 --save-every 60 -j "$J" -o tuned.h5 >/dev/null

step "4/5 samples of both, and of both together"
[ -e tiles-features.h5 ] ||
  evaluate-fid tiles.h5 --features efficientnet-lite0 --save-features tiles-features.h5 -j "$J" -q >/dev/null
measure() {  # measure NAME MODEL OPTIONS...
  name=$1 from=$2
  shift 2
  [ -e "$name.json" ] ||
    sample --model "$from" -n "$COUNT" --seed 7 --sampler ddim --eta 1 --steps 50 "$@" -j "$J" -q -o "$name-samples.h5" --force |
    score --reward "$REWARD" --reward brisque -j "$J" -q -o "$name-scores.h5" --force |
    diversity --features efficientnet-lite0 --metric vendi --metric pairwise --bootstrap 20 --save-features "$name-features.h5" --force -j "$J" -q |
    evaluate-fid --features efficientnet-lite0 --metric kid --metric prdc --reference tiles-features.h5 -j "$J" -q -o "$name.json" >/dev/null
}
measure base model.h5
measure tuned tuned.h5
measure lora-0.5 tuned.h5 --lora-scale 0.5
measure aig-linear tuned.h5 --aig linear
measure aig-step-0.6 tuned.h5 --aig step:0.6
score tiles.h5 --reward "$REWARD" --reward brisque -j "$J" -q -o tiles-scores.h5 --force >tiles.json

step "5/5 pages"
report tuned.h5 base.json tuned.json aig-linear.json --title "Colour photographs tuned for $REWARD" -q -o report.html --force >/dev/null
report base.json tuned.json lora-0.5.json aig-*.json --front --title "Reward and diversity of photographs" -q -o front.html --force >/dev/null
echo "$PWD/report.html"
echo "$PWD/front.html"
