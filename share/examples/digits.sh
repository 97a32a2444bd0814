#!/bin/sh
# digits FOLDER: preference.sh with handwritten digits (MNIST), of which the simulated user likes 1, 4, 7 and 9. First makes what the shipped
# weights are for Fashion-MNIST: a diffusion model and the user's classifier, twenty minutes on one core; then a cell takes about five.
#
#   share/tools/digits-data.sh runs/data                       the digits, once (npm)
#   share/examples/digits.sh runs/digits                       model, classifier, all cells, then table and page
#   IMAGES=FOLDER SEEDS="1 2 3 4 5" share/examples/digits.sh   where the digits are; settings are those of preference.sh
#   share/examples/digits.sh --cells                           and --base FOLDER, --cell ARM SEED FOLDER, --page FOLDER: as preference.sh, for
#                                                              make and Slurm (share/make/digits.mk, share/slurm/experiment.sbatch)
#
# Run it again: what is there is kept, a killed run goes on where it was; delete the folder to start anew.
set -eu
share=$(cd "$(dirname "$0")/.." && pwd)
PATH="${PLUMB_BIN:-$share/../build/bin:$share/../../libexec/plumb}:$PATH"   # built here, or installed
IMAGES=${IMAGES:-runs/data}
PRETRAIN=${PRETRAIN:-2000}         # steps of 64
JOBS=${JOBS:-2}
case $IMAGES in /*) ;; *) IMAGES=$PWD/$IMAGES ;; esac

option= words=
case ${1-} in
  --cells | --base | --page) option=$1; shift ;;
  --cell) option=$1; shift; while [ $# -gt 1 ]; do words="$words $1"; shift; done ;;
  -*) echo "digits: unknown option '$1': see the head of $0" >&2; exit 2 ;;
esac
folder=${1:-runs/digits}
case $folder in /*) ;; *) folder=$PWD/$folder ;; esac
images=$IMAGES/digits-images-idx3-ubyte.gz
export JOBS SETS="${SETS:-arms}" LABELS="${LABELS:-5000}" LIKED="${LIKED:-1,4,7,9}" MODEL="$folder/model.h5" CLASSIFIER="$folder/classifier.h5" DATA="$images"
[ "$option" != --cells ] || exec "$share/examples/preference.sh" --cells

# The model, and the classifier of the simulated user.
prepare() (
  [ -e "$images" ] || { echo "digits: $images is not there: run share/tools/digits-data.sh $IMAGES" >&2; exit 3; }
  mkdir -p "$folder"
  cd "$folder"
  [ -e digits.h5 ] || ingest "$images" -q -o digits.h5 >/dev/null
  [ -e model.h5 ] || pretrain digits.h5 --steps "$PRETRAIN" --batch-size 64 --lr 1e-3 --save-every 60 -j "$JOBS" -q -o model.h5 >/dev/null
  [ -e classifier.h5 ] ||
    reward-train digits.h5 --network small --epochs 8 --lr 3e-3 --shift 1 --labels 5000 --held-out 0.1 --calibrate -j "$JOBS" -q -o classifier.h5 >/dev/null
)
case $option in '' | --base) prepare ;; esac
exec "$share/examples/preference.sh" $option $words "$folder/preference"
