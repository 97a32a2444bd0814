#!/bin/sh
# digits FOLDER: preference.sh with handwritten digits (MNIST), of which the simulated user likes 1, 4, 7 and 9. First makes what the shipped
# weights are for Fashion-MNIST: a diffusion model and the user's classifier, half an hour on two cores.
#
#   share/tools/digits-data.sh runs/data                       the digits, once (npm)
#   share/examples/digits.sh runs/digits                       model, classifier, all cells, then table and page
#   IMAGES=FOLDER SEEDS="1 2 3 4 5" share/examples/digits.sh   where the digits are; settings are those of preference.sh
#
# Run it again: what is there is kept, a killed run goes on where it was; delete the folder to start anew.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${PLUMB_BIN:-$root/build/bin}:$PATH"
folder=${1:-runs/digits}
IMAGES=${IMAGES:-runs/data}
PRETRAIN=${PRETRAIN:-2000}         # steps of 64
JOBS=${JOBS:-2}
case $folder in -*) echo "digits: unknown option '$folder': see the head of $0" >&2; exit 2 ;; esac
case $IMAGES in /*) ;; *) IMAGES=$PWD/$IMAGES ;; esac
images=$IMAGES/digits-images-idx3-ubyte.gz
[ -e "$images" ] || { echo "digits: $images is not there: run share/tools/digits-data.sh $IMAGES" >&2; exit 3; }
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
cd "$folder"
[ -e digits.h5 ] || ingest "$images" -q -o digits.h5 >/dev/null
[ -e model.h5 ] || pretrain digits.h5 --steps "$PRETRAIN" --batch-size 64 --lr 1e-3 --save-every 60 -j "$JOBS" -q -o model.h5 >/dev/null
[ -e classifier.h5 ] || reward-train digits.h5 --network small --epochs 8 --lr 3e-3 --shift 1 --labels 5000 --held-out 0.1 --calibrate -j "$JOBS" -q -o classifier.h5 >/dev/null
cd - >/dev/null
SETS=${SETS:-arms} LIKED=${LIKED:-1,4,7,9} MODEL=$folder/model.h5 CLASSIFIER=$folder/classifier.h5 DATA=$images JOBS=$JOBS \
  exec "$root/share/examples/preference.sh" "$folder/preference"
