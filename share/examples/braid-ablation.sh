#!/bin/sh
# braid-ablation FOLDER: what a conservative reward and the KL of the path are each worth, on a landscape whose best model is known exactly. A model
# is tuned by a learned reward (strl), by the same less 1, 2 or 3 of its last-layer bonus, by an ensemble's mean less 2 standard deviations (braid),
# and without the KL; each for several numbers of updates, beside the exact optimum of its own objective on a grid. The same optima are
# also drawn without training, by steering the base model. Ends with a page: true reward, learned reward, path KL, share of samples
# in the trap, valid ones, those above the best label. About half an hour on two cores.
#
#   share/examples/braid-ablation.sh runs/braid-ablation             all cells, then the page
#   SEEDS="1 2 3 4 5" UPDATES="250 1000" JOBS=4 share/examples/...   more seeds, shorter runs, more at a time
#   share/examples/braid-ablation.sh --cells                         names of the cells, a line each: ARM UPDATES SEED
#   share/examples/braid-ablation.sh --base FOLDER                   what the cells need, for make and Slurm: share/make/, share/slurm/
#   share/examples/braid-ablation.sh --cell ARM UPDATES SEED FOLDER
#   share/examples/braid-ablation.sh --page FOLDER
#
# Run it again: finished cells are kept, a killed one goes on where it was; delete the folder to start anew.
# Source: Uehara et al. 2024 (BRAID).
set -eu
. "$(dirname "$0")/braid-common.sh"
UPDATES=${UPDATES:-250 1000 3000}
ALPHA=${ALPHA:-0.1}
RUNS=${RUNS:-300}                 # samples of a steered arm, each of 32 chains
settings="N COUNT LABEL_NOISE FIT_STEPS QUANTILE MEASURED ALPHA UPDATES RUNS"
export SEEDS $settings

# arm          method  alpha    reward                                       the same on the grid: F C G
arms() {
  entries <<ROWS
strl           strl    $ALPHA   learned:fits/bonus-$1.h5                     rhat 0 -
bonus-1        braid   $ALPHA   conservative:fits/bonus-$1.h5,scale=1        rhat 1 g
bonus-2        braid   $ALPHA   conservative:fits/bonus-$1.h5,scale=2        rhat 2 g
bonus-3        braid   $ALPHA   conservative:fits/bonus-$1.h5,scale=3        rhat 3 g
boot           braid   $ALPHA   conservative:fits/boot-$1.h5,kappa=2         boot 2 boot_g
bonus-2-free   braid   0        conservative:fits/bonus-$1.h5,scale=2        -           # no KL
free           strl    0        learned:fits/bonus-$1.h5                     -           # neither
ROWS
}
# steering       options of sample; each with the reward of strl and of bonus-2
steerings() {
  entries <<ROWS
fk               --steer fk --particles 32 --alpha $ALPHA --steer-return weighted
das              --steer das --particles 32 --alpha $ALPHA --steer-return weighted
svdd             --steer svdd --particles 10 --alpha $ALPHA
best-of-n        --steer best-of-n --particles 32
ROWS
}
# The figures of a pilot on other networks and seeds: arm, kind, updates; r, rhat, KL, trap, valid.
pilot() {
  sed 's/  */	/g' <<'ROWS'
strl exact - -0.32 1.81 3.16 0.91 0.91
strl trained 250 -0.07 1.78 3.28 0.83 0.90
bonus-1 exact - 1.13 1.04 1.46 0.03 0.99
bonus-2 exact - 1.04 0.93 1.79 0.00 1.00
bonus-2 trained 250 0.78 0.85 1.88 0.02 0.97
bonus-3 exact - 0.96 0.87 2.05 0.00 1.00
boot exact - 1.23 1.20 1.97 0.02 1.00
boot trained 250 0.93 1.08 2.17 0.09 0.96
bonus-2-free trained 250 0.74 0.92 54.1 0.00 0.93
p-pre exact - -0.41 - - - 0.99
fk-strl steered - -0.37 1.84 - 0.86 -
das-strl steered - -0.30 1.84 - 0.87 -
svdd-strl steered - -0.21 1.87 - 0.84 -
best-of-n-strl steered - -0.71 1.72 - 0.95 -
fk-bonus-2 steered - 1.01 - - 0.00 -
das-bonus-2 steered - 1.06 - - 0.00 -
svdd-bonus-2 steered - 1.01 - - 0.00 -
best-of-n-bonus-2 steered - 1.02 - - 0.00 -
ROWS
}

cells() {
  for seed in $SEEDS; do
    echo "steer - $seed"
    arms "$seed" | while read -r arm _ alpha _; do
      for updates in $UPDATES; do
        echo "$arm $updates $seed"
        [ "$alpha" != 0 ] || break   # without the KL there is nothing to converge to
      done
    done
  done
}

# The data and rewards of a seed, and the exact optima.
base() {
  offline "$1" "$N" "offline/$1.h5"
  fit "offline/$1.h5" "$1" "fits/bonus-$1.h5" --uncertainty bonus --scale 1 --bonus-lambda 0.1
  fit "offline/$1.h5" "$1" "fits/boot-$1.h5" --uncertainty bootstrap --members 10 --prior-scale 3
  [ -e "rows/0-exact-$1.tsv" ] && return
  best=$(best_label "offline/$1.csv")
  looked_at grid.h5 "exact/grid-$1.csv" "rhat=learned:fits/bonus-$1.h5" "g=uncertainty:fits/bonus-$1.h5,scale=1" \
    "boot=learned:fits/boot-$1.h5" "boot_g=uncertainty:fits/boot-$1.h5,kappa=1"
  { printf 'p-pre\texact\t-\t%s\t' "$1"; exact "exact/grid-$1.csv" "$ALPHA" "$best" 0 0 -
    arms "$1" | while read -r arm _ _ _ f c g; do
      [ "$f" = - ] || { printf '%s\texact\t-\t%s\t' "$arm" "$1"; exact "exact/grid-$1.csv" "$ALPHA" "$best" "$f" "$c" "$g"; }
    done; } >"rows/0-exact-$1.part"
  bound "$1" >"exact/bound-$1.tsv"
  mv "rows/0-exact-$1.part" "rows/0-exact-$1.tsv"
}

# The bound on regret against q, the base model within the modes (3,0) and (0,3): J(q) - J(braid) <= 2 E_q g + alpha KL(q || p), for C = 1, 2, 3. It is
# promised where |r - rhat| <= C g, which the last column says of the base model's draws.
bound() {
  awk -F'\t' '$1 ~ /^bonus-[123]$/ { print $1, substr($1, 7), $5 }' "rows/0-exact-$1.part" | while read -r arm c j; do
    awk -F, -v alpha="$ALPHA" -v arm="$arm" -v c="$c" -v j="$j" -v seed="$1" "$means"'
      { p = 0; for (a = -3; a <= 3; a += 3) for (b = -3; b <= 3; b += 3) p += exp(-(($(at["x1"]) - a) ^ 2 + ($(at["x2"]) - b) ^ 2) / 0.5)
        x = $(at["x1"]); y = $(at["x2"]); total += p; off = $(at["r"]) - $(at["rhat"]); if (off < 0) off = -off; covered += p * (off <= c * $(at["g"]))
        if ((x > 1.5 && y > -1.5 && y <= 1.5) || (y > 1.5 && x > -1.5 && x <= 1.5)) { inside += p; value += p * $(at["r"]); g += p * c * $(at["g"]) } }
      END { printf "%s\t%s\t%.4f\t%.4f\t%.4f\n", arm, seed, value / inside - j, 2 * g / inside - alpha * log(inside / total), covered / total }' "exact/grid-$1.csv"
  done
}

cell() {
  case $1 in base) base "$2"; return ;; steer) steer "$3"; return ;; esac
  row=rows/1-$1-$2-$3.tsv
  [ ! -e "$row" ] || return 0
  best=$(best_label "offline/$3.csv")
  set -- "$1" "$2" "$3" $(arms "$3" | awk -v arm="$1" '$1 == arm')
  # Not in $(): a signal from Slurm goes to this shell's children, and finetune must be one.
  tuned "$1-$2-$3" "$2" "$3" "$best" "$5" --reward "$7" --strl.alpha "$6" >"$row.part" || return $?
  figures=$(cat "$row.part")
  printf '%s\ttrained\t%s\t%s\t%s\n' "$1" "$2" "$3" "$figures" >"$row.part"
  mv "$row.part" "$row"
  step "$1 $2 $3: done"
}

# steer SEED: the same optima without training.
steer() {
  row=rows/2-steer-$1.tsv
  [ ! -e "$row" ] || return 0
  best=$(best_label "offline/$1.csv")
  for arm in strl bonus-2; do
    reward=$(arms "$1" | awk -v arm="$arm" '$1 == arm { print $4 }')
    steerings | while read -r how options; do
      sample --model model.h5 -n "$RUNS" --seed "$((100 + $1))" $SAMPLER --reward "$reward" $options -j 1 -q -o "samples/$how-$arm-$1.h5" --force >/dev/null
      looked_at "samples/$how-$arm-$1.h5" "samples/$how-$arm-$1.csv" "rhat=learned:fits/bonus-$1.h5" "g=uncertainty:fits/bonus-$1.h5,scale=1"
      printf '%s-%s\tsteered\t-\t%s\t' "$how" "$arm" "$1"
      drawn "samples/$how-$arm-$1.csv" "$best" -
    done
  done >"$row.part"
  mv "$row.part" "$row"
  step "steered $1: done"
}

page() {
  gathered "arm	kind	updates	seed	$measured" >results.tsv
  pilot >pilot.tsv
  summary results.tsv 1,2,3 5,6,8,10,11,9,12,7 pilot.tsv >summary.tsv
  { printf 'arm\tseed\tregret\tbound\tcovered\n'; cat exact/bound-*.tsv; } >bound.tsv
  # Trained against exact: the exact figures are drawn as level lines.
  awk -F'\t' -v OFS='\t' -v updates="$UPDATES" 'NR == 1 { print "series", "updates", "r", "kl", "trap"; n = split(updates, u, " "); next }
    $1 !~ /^(strl|bonus-2|boot)$/ { next }
    $2 == "exact" { for (i = 1; i <= n; i++) print $1 " exact", u[i], $5, $8, $10 }
    $2 == "trained" { print $1 " trained", $3, $5, $8, $10 }' results.tsv >figure.tsv
  figure --x updates --log-x --y r --y kl --y trap --by series --title "Trained models and the exact optima of their objectives"
}

study "$@"
