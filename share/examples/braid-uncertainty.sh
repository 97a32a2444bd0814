#!/bin/sh
# braid-uncertainty FOLDER: which uncertainty sees the trap. The last-layer bonus with three lambdas, an exact Gaussian process, and bootstrap
# ensembles of 3, 5 and 10 networks with and without frozen random networks added, on 200 and 2000 items: what each says at the nine modes, whether it
# ranks the trap above what the data cover, how often it covers the error, and the exact best model of each objective on the grid.
# No model is tuned. About half an hour on two cores.
#
#   share/examples/braid-uncertainty.sh runs/braid-uncertainty       all cells, then the page
#   SEEDS="1 2 3 4 5" SIZES="200 2000" share/examples/...            more seeds, other numbers of items
#   share/examples/braid-uncertainty.sh --cells                      names of the cells, a line each: FIT N SEED
#   share/examples/braid-uncertainty.sh --base FOLDER                what the cells need, for make and Slurm: share/make/, share/slurm/
#   share/examples/braid-uncertainty.sh --cell FIT N SEED FOLDER
#   share/examples/braid-uncertainty.sh --page FOLDER
#
# Run it again: finished cells are kept; delete the folder to start anew.
# Source: Uehara et al. 2024 (BRAID), its two uncertainties; frozen random networks: Osband et al. 2018, "Randomized prior functions".
set -eu
. "$(dirname "$0")/braid-common.sh"
SIZES=${SIZES:-200 2000}
GP_ITEMS=${GP_ITEMS:-500}         # the exact process takes so many at most
ALPHA=${ALPHA:-0.1}
settings="SIZES GP_ITEMS COUNT LABEL_NOISE FIT_STEPS QUANTILE MEASURED ALPHA"
export SEEDS $settings

# fit          options of reward-train
fits() {
  entries <<ROWS
bonus-0.001    --uncertainty bonus --scale 1 --bonus-lambda 0.001
bonus-0.1      --uncertainty bonus --scale 1 --bonus-lambda 0.1
bonus-1        --uncertainty bonus --scale 1 --bonus-lambda 1
gp             --uncertainty gp --scale 1 --labels $GP_ITEMS
ROWS
  for members in 3 5 10; do
    for prior in 0 1 3; do echo "boot-$members-b$prior --uncertainty bootstrap --members $members --prior-scale $prior"; done
  done
}
# What is taken off the learned reward: a name, and how the reward is set for it. Several of one fit.
penalties() {
  case $1 in
    bonus*) echo "C=1 scale=1"; echo "C=2 scale=2"; echo "C=3 scale=3" ;;
    gp) echo "C=1 scale=1"; echo "C=2 scale=2" ;;
    boot*) echo "min penalty=min"; echo "kappa=1 kappa=1"; echo "kappa=2 kappa=2" ;;
  esac
}
column() { echo "g_$1" | tr '=' _; }
# The figures of a pilot on other networks and seeds: fit, penalty, n; r.
pilot() {
  sed 's/  */	/g' <<'ROWS'
boot-3-b0 min 2000 -0.51
boot-10-b0 min 2000 -0.50
boot-3-b3 min 2000 0.86
boot-10-b3 min 2000 0.85
boot-10-b3 kappa=2 2000 1.23
bonus-0.1 C=2 2000 1.04
bonus-0.1 C=1 2000 1.13
bonus-0.1 C=3 2000 0.96
ROWS
}

cells() { for seed in $SEEDS; do for n in $SIZES; do fits | while read -r fit _; do echo "$fit $n $seed"; done; done; done; }

base() {
  for n in $SIZES; do offline "$1" "$n" "offline/$1-$n.h5"; done
  [ -e "samples/p-pre-$1.h5" ] || sample --model model.h5 -n "$COUNT" --seed "$((2000 + $1))" $SAMPLER -j 1 -q -o "samples/p-pre-$1.h5" >/dev/null
}

# cell FIT N SEED: a row for each penalty.
cell() {
  [ "$1" != base ] || { base "$2"; return; }
  row=rows/$1-$2-$3.tsv
  [ ! -e "$row" ] || return 0
  best=$(best_label "offline/$3-$2.csv")
  model=fits/$1-$2-$3.h5
  set -- "$1" "$2" "$3" "$(entry fits "$1")"
  case $1 in gp) FIT="--type regressor --held-out 0" ;; esac
  [ "$1" != gp ] || [ "$2" -gt "$GP_ITEMS" ] || set -- "$1" "$2" "$3" "--uncertainty gp --scale 1"
  if [ "$1" = gp ]; then
    [ -e "$model" ] || reward-train "offline/$3-$2.h5" $FIT $4 --seed "$3" -j 1 -q -o "$model" >/dev/null
  else
    fit "offline/$3-$2.h5" "$3" "$model" $4
  fi
  columns="rhat=learned:$model $(penalties "$1" | while read -r title setting; do echo "$(column "$title")=uncertainty:$model,$setting"; done)"
  for what in grid centres samples/p-pre-"$3"; do looked_at "$what.h5" "exact/$1-$2-$3-$(basename "$what").csv" $columns; done
  penalties "$1" | while read -r title _; do
    g=$(column "$title")
    table=exact/$1-$2-$3
    ratio=$(centre_values "$table-centres.csv" "$g" '%.4f\t%.4f\t%.3g')
    rank=$(trap_rank "$table-p-pre-$3.csv" "$g")
    covered=$(coverage "$table-p-pre-$3.csv" "$g")
    # The column g of the row is this penalty, whatever its fit.
    sed "1s/reward\/$g/reward\/g/" "$table-grid.csv" >"$table-grid-g.csv"
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t' "$1" "$title" "$2" "$3" "$ratio" "$rank" "$covered"
    exact "$table-grid-g.csv" "$ALPHA" "$best" rhat 1 g
  done >"$row.part"
  rm -f "exact/$1-$2-$3-grid.csv" "exact/$1-$2-$3-grid-g.csv"
  mv "$row.part" "$row"
  step "$1 $2 $3: done"
}

# The chance that g of a draw in the trap is above that of one elsewhere (area under the ROC curve), ties by halves.
trap_rank() {
  awk -F, -v g="$2" "$header"' { print $(at[g]), $(at["trap"]) }' "$1" | sort -g |
    awk '{ if ($1 != last) { close_group(); last = $1 } if ($2 > 0) t++; else o++ } END { close_group(); printf "%.4f", (traps * others > 0 ? area / (traps * others) : 0) }
      function close_group() { area += t * (others + o / 2); traps += t; others += o; t = o = 0 }'
}
# The share of the base model's draws on which |r - rhat| <= g, all of them and those in the trap.
coverage() {
  awk -F, -v g="$2" "$header"'
    { off = $(at["r"]) - $(at["rhat"]); if (off < 0) off = -off; hit = off <= $(at[g]); n++; all += hit; if ($(at["trap"]) > 0) { m++; trap += hit } }
    END { printf "%.4f\t%.4f", all / n, (m ? trap / m : 0) }' "$1"
}

page() {
  gathered "fit	penalty	n	seed	g at trap	g elsewhere	ratio	AUROC	coverage	coverage in trap	$measured" >results.tsv
  pilot >pilot.tsv
  summary results.tsv 1,2,3 11,15,16,14,17,5,6,7,8,9,10 pilot.tsv >summary.tsv
  most=$(echo $SIZES | tr ' ' '\n' | sort -n | tail -n 1)
  awk -F'\t' -v OFS='\t' -v most="$most" 'NR == 1 { print "uncertainty", "AUROC", "r", "trap"; next }
    $3 == most && ($2 == "C=2" || $2 == "kappa=2") && $1 ~ /^(bonus-0.1|gp|boot-(3|10)-b[03])$/ { print $1 " " $2, $8, $11, $16 }' results.tsv >figure.tsv
  figure --x AUROC --y r --y trap --by uncertainty --marks --title "Ranking the trap, and what the best model makes of it"
}

study "$@"
