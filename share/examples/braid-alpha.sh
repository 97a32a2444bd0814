#!/bin/sh
# braid-alpha FOLDER: how much the weight of the KL matters with a learned reward (strl), and with the same less twice its last-layer bonus (braid):
# both tuned for several weights, beside the exact optimum of each on the grid. On the grid the learned objective and the KL fall as the weight
# rises, as they must; the page says whether they do. About half an hour on two cores.
#
#   share/examples/braid-alpha.sh runs/braid-alpha                   all cells, then the page
#   SEEDS="1 2 3 4 5" ALPHAS="0.05 0.1" share/examples/...           more seeds, other weights
#   share/examples/braid-alpha.sh --cells                            names of the cells, a line each: ARM ALPHA SEED
#   share/examples/braid-alpha.sh --base FOLDER                      what the cells need, for make and Slurm: share/make/, share/slurm/
#   share/examples/braid-alpha.sh --cell ARM ALPHA SEED FOLDER
#   share/examples/braid-alpha.sh --page FOLDER
#
# Run it again: finished cells are kept, a killed one goes on where it was; delete the folder to start anew.
# Source: Uehara et al. 2024 (BRAID).
set -eu
. "$(dirname "$0")/braid-common.sh"
ALPHAS=${ALPHAS:-0.05 0.1 0.2 0.5 1}
UPDATES=${UPDATES:-1000}
settings="N COUNT LABEL_NOISE FIT_STEPS QUANTILE MEASURED ALPHAS UPDATES"
export SEEDS $settings

# arm      method  reward                                     on the grid: F C G
arms() {
  cat <<ROWS
strl       strl    learned:fits/bonus-$1.h5                   rhat 0 -
bonus-2    braid   conservative:fits/bonus-$1.h5,scale=2      rhat 2 g
ROWS
}
# The figures of a pilot on other networks and seeds: arm, kind, alpha; r, rhat, KL, trap, valid.
pilot() {
  sed 's/  */	/g' <<'ROWS'
strl exact 0.05 -0.92 2.01 6.16 0.51 0.51
strl exact 0.1 -0.32 1.81 3.16 0.91 0.91
strl exact 0.2 -0.59 1.66 2.08 0.89 0.98
strl exact 0.5 -0.17 1.32 1.02 0.57 0.99
strl exact 1 0.02 0.92 0.45 0.35 0.99
bonus-2 exact 0.05 1.03 0.92 2.28 0.00 1.00
bonus-2 exact 0.1 1.04 0.93 1.79 0.00 1.00
bonus-2 exact 0.2 0.99 0.89 1.29 0.00 0.99
bonus-2 exact 0.5 0.69 0.69 0.63 0.03 0.99
bonus-2 exact 1 0.34 0.48 0.27 0.07 0.99
ROWS
}

cells() { for seed in $SEEDS; do for alpha in $ALPHAS; do for arm in strl bonus-2; do echo "$arm $alpha $seed"; done; done; done; }

base() {
  offline "$1" "$N" "offline/$1.h5"
  fit "offline/$1.h5" "$1" "fits/bonus-$1.h5" --uncertainty bonus --scale 1 --bonus-lambda 0.1
  [ -e "rows/0-exact-$1.tsv" ] && return
  best=$(best_label "offline/$1.csv")
  looked_at grid.h5 "exact/grid-$1.csv" "rhat=learned:fits/bonus-$1.h5" "g=uncertainty:fits/bonus-$1.h5,scale=1"
  arms "$1" | while read -r arm _ _ f c g; do
    for alpha in $ALPHAS; do printf '%s\texact\t%s\t%s\t' "$arm" "$alpha" "$1"; exact "exact/grid-$1.csv" "$alpha" "$best" "$f" "$c" "$g"; done
  done >"rows/0-exact-$1.part"
  mv "rows/0-exact-$1.part" "rows/0-exact-$1.tsv"
}

cell() {
  [ "$1" != base ] || { base "$2"; return; }
  row=rows/1-$1-$2-$3.tsv
  [ ! -e "$row" ] || return 0
  best=$(best_label "offline/$3.csv")
  set -- "$1" "$2" "$3" $(arms "$3" | awk -v arm="$1" '$1 == arm')
  # Not in $(): a signal from Slurm goes to this shell's children, and finetune must be one.
  tuned "$1-$2-$3" "$UPDATES" "$3" "$best" "$5" --reward "$6" --strl.alpha "$2" >"$row.part" || return $?
  figures=$(cat "$row.part")
  printf '%s\ttrained\t%s\t%s\t%s\n' "$1" "$2" "$3" "$figures" >"$row.part"
  mv "$row.part" "$row"
  step "$1 $2 $3: done"
}

page() {
  gathered "arm	kind	alpha	seed	$measured" >results.tsv
  pilot >pilot.tsv
  summary results.tsv 1,2,3 5,6,8,10,11,9,12,7 pilot.tsv >summary.tsv
  # Whether E f and the KL fall from each weight to the next, f what is raised; and the largest r less the smallest over weights up to 0.2.
  sort -t '	' -k1,1 -k2,2 -k4,4n -k3,3g results.tsv | awk -F'\t' -v OFS='\t' '
    BEGIN { print "arm", "kind", "seed", "objective falls", "KL falls", "sensitivity" }
    $1 == "arm" { next }
    { now = $1 OFS $2 OFS $4; f = $6 - ($1 == "bonus-2" ? 2 * $7 : 0)
      if (now != was) { flush(); was = now; falls = kls = "yes"; lo = hi = $5 } else { if (f >= old_f) falls = "no"; if ($8 >= old_kl) kls = "no" }
      old_f = f; old_kl = $8; if ($3 <= 0.2) { if ($5 < lo) lo = $5; if ($5 > hi) hi = $5 } }
    END { flush() }
    function flush() { if (was != "") print was, falls, kls, sprintf("%.3f", hi - lo) }' >monotone.tsv
  awk -F'\t' -v OFS='\t' 'NR == 1 { print "series", "alpha", "r", "kl", "trap"; next } { print $1 " " $2, $3, $5, $8, $10 }' results.tsv >figure.tsv
  figure --x alpha --log-x --y r --y kl --y trap --by series --title "The weight of the KL: trained models and exact optima"
}

study "$@"
