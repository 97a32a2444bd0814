#!/bin/sh
# braid-datasize FOLDER: what more offline data do for a conservative reward that has never seen the trap: the last-layer bonus where the data are
# shrinks with their number, there it does not, so the margin between them grows. Exact best models on the grid; none is tuned. A few minutes on
# two cores.
#
#   share/examples/braid-datasize.sh runs/braid-datasize             all cells, then the page
#   SEEDS="1 2 3 4 5" SIZES="100 1000" share/examples/...            more seeds, other numbers of items
#   share/examples/braid-datasize.sh --cells                         names of the cells, a line each: N SEED
#   share/examples/braid-datasize.sh --base FOLDER                   what the cells need, for make and Slurm: share/make/, share/slurm/
#   share/examples/braid-datasize.sh --cell N SEED FOLDER
#   share/examples/braid-datasize.sh --page FOLDER
#
# Run it again: finished cells are kept; delete the folder to start anew.
set -eu
. "$(dirname "$0")/braid-common.sh"
SIZES=${SIZES:-100 300 1000 3000 10000}
ALPHA=${ALPHA:-0.1}
settings="SIZES LABEL_NOISE FIT_STEPS QUANTILE MEASURED ALPHA"
export SEEDS $settings

cells() { for seed in $SEEDS; do for n in $SIZES; do echo "$n $seed"; done; done; }
base() { for n in $SIZES; do offline "$1" "$n" "offline/$1-$n.h5"; done; }

# cell N SEED: rows of the learned reward alone and less its bonus times 1, 2, 3.
cell() {
  [ "$1" != base ] || { base "$2"; return; }
  row=rows/$(printf %06d "$1")-$2.tsv
  [ ! -e "$row" ] || return 0
  best=$(best_label "offline/$2-$1.csv")
  model=fits/bonus-$1-$2.h5
  fit "offline/$2-$1.h5" "$2" "$model" --uncertainty bonus --scale 1 --bonus-lambda 0.1
  for what in grid centres; do looked_at "$what.h5" "exact/$what-$1-$2.csv" "rhat=learned:$model" "g=uncertainty:$model,scale=1"; done
  at_modes=$(centre_values "exact/centres-$1-$2.csv" g '%.5f\t%.5f')
  for c in 0 1 2 3; do printf '%s\t%s\t%s\t%s\t' "$c" "$1" "$2" "$at_modes"; exact "exact/grid-$1-$2.csv" "$ALPHA" "$best" rhat "$c" g; done >"$row.part"
  rm -f "exact/grid-$1-$2.csv"
  mv "$row.part" "$row"
  step "$1 $2: done"
}

page() {
  gathered "C	n	seed	g at trap	g elsewhere	$measured" >results.tsv
  : >pilot.tsv
  summary results.tsv 1,2 6,7,9,11,12,4,5 pilot.tsv >summary.tsv
  awk -F'\t' -v OFS='\t' 'NR == 1 { print "series", "n", "r", "trap", "margin"; next } { print "C = " $1, $2, $6, $11, $4 / $5 }' results.tsv >figure.tsv
  figure --x n --log-x --y r --y trap --y margin --by series \
    --title "More offline data: true reward, share in the trap, bonus in the trap over elsewhere"
}

study "$@"
