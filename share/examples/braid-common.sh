# What the studies of a conservative reward share besides common.sh: braid-ablation.sh, braid-alpha.sh, braid-uncertainty.sh,
# braid-datasize.sh. Sourced by them.
#
# The landscape: nine Gaussians on {-3,0,3}^2 are the base model, in closed form. The true reward rises towards the corner (3,3), where it has a
# trap; the offline data know nothing of that corner, so a learned reward promises most there. On a grid the best model p exp(f / alpha) / Z of
# any f is a sum, so each run can be held against what it aims at. See plumb-rewards(7), landscape.

. "$(dirname "$0")/common.sh"
SEEDS=${SEEDS:-1 2 3}
N=${N:-2000}                       # offline items
COUNT=${COUNT:-4000}               # samples that a model is measured on
LABEL_NOISE=${LABEL_NOISE:-0.1}
FIT_STEPS=${FIT_STEPS:-800}        # of a learned reward
QUANTILE=${QUANTILE:-0.8}          # only labels up to this quantile are known
MEASURED=${MEASURED:-valid}        # designs that have labels: valid, or all
SAMPLER="--sampler ddpm --variance beta --steps 50"
FIT="--type regressor --steps $FIT_STEPS --batch-size 256 --lr 3e-3 --lr-warmup 0 --weight-decay 0 --grad-clip 0 --held-out 0"
TUNE="--full --samples-per-epoch 128 --train-batch-size 128 --batch-size 128 --sampler-steps 50 --lr 2e-3 --grad-clip 1 --monitor-every 0"

folders="models samples offline fits exact rows"
preparing="base model, grid, offline data, learned rewards"

# The base model, and the grid of 241 x 241 points on [-6,6]^2.
landscape() {
  [ -e grid.h5 ] && return
  cat >mixture.json <<'JSON'
{"type": "mixture", "config": {"centres": [[-3,-3], [-3,0], [-3,3], [0,-3], [0,0], [0,3], [3,-3], [3,0], [3,3]], "std": 0.5, "hidden": [64, 64]}}
JSON
  cat >relu.json <<'JSON'
{"type": "mlp", "config": {"hidden": [32, 32], "activation": "relu", "input_scale": 0.3333333333}}
JSON
  awk 'BEGIN { print "x1,x2"; for (a = -3; a <= 3; a += 3) for (b = -3; b <= 3; b += 3) print a "," b }' >centres.csv
  awk 'BEGIN { print "x1,x2"; for (i = 0; i <= 240; i++) for (j = 0; j <= 240; j++) print i / 20 - 6 "," j / 20 - 6 }' >grid.csv
  ingest --format numbers centres.csv -q -o centres.h5 --force >/dev/null
  pretrain centres.h5 --denoiser mixture.json --steps 0 --num-train-timesteps 50 --beta-schedule linear --beta-start 0.002 --beta-end 0.4 \
    --prediction-type epsilon --timestep-spacing leading --steps-offset 0 -j 1 -q -o model.h5 --force >/dev/null
  ingest --format numbers grid.csv -q -o grid.h5 --force >/dev/null
}

# offline SEED N FILE.h5: N draws of the base model with noisy labels up to a quantile, none from the trap's mode. Invalid designs were never measured
# (MEASURED=all: they were; their label of -3, one draw in 90, then teaches some networks to fear every edge, and they see the trap or not by chance).
offline() {
  [ ! -e "$3" ] || return 0
  part=${3%.h5}
  sample --model model.h5 -n $(($2 * 3 / 2 + 200)) --seed $((1000 + $1)) $SAMPLER -j 1 -q -o "$part-draw.h5" --force |
    score --reward y=landscape --noise "$LABEL_NOISE" --seed "$1" -j 1 -q -o "$part-y.h5" --force | csv "$part-draw.csv"
  awk -F, -v all="$MEASURED" 'function near(v) { return v > 1.5 ? 3 : v < -1.5 ? -3 : 0 }
    NR > 1 && !($2 > 1.5 && $3 > 1.5) && (all == "all" || ($2 - near($2)) ^ 2 + ($3 - near($3)) ^ 2 <= 2.25) { print $2 "," $3 "," $4 }' "$part-draw.csv" >"$part-covered.csv"
  limit=$(cut -d, -f3 "$part-covered.csv" | sort -g | awk -v q="$QUANTILE" '{ v[NR] = $1 } END { k = int(q * NR); print v[k < 1 ? 1 : k] }')
  { echo "x1,x2,y"; awk -F, -v limit="$limit" '$3 <= limit' "$part-covered.csv" | head -n "$2"; } >"$part.csv"
  rm -f "$part"-*
  ingest --format numbers "$part.csv" --value-column y -q -o "$3" --force >/dev/null
}
best_label() { awk -F, 'NR > 1 && (NR == 2 || $3 > m) { m = $3 } END { print m }' "$1"; }

# fit DATA SEED OUT OPTIONS...: a learned reward of the landscape's recipe.
fit() {
  data=$1 fit_seed=$2 out=$3
  shift 3
  [ -e "$out" ] || reward-train "$data" --network relu.json $FIT "$@" --seed "$fit_seed" -j 1 -q -o "$out" >/dev/null
}

# Shared by the two next: sums over rows become r, rhat, g, gap, trap, valid, above as one tab-separated line.
means='
  function add(w) { mass += w; r += w * $(at["r"]); rhat += w * $(at["rhat"]); g += w * $(at["g"]); trap += w * $(at["trap"]); valid += w * $(at["valid"])
    above += w * ($(at["r"]) > best) }
  function line(kl) { printf "%.4f\t%.4f\t%.4f\t%s\t%.4f\t%.4f\t%.4f\t%.4f\n", r / mass, rhat / mass, g / mass, kl, (rhat - r) / mass, trap / mass, valid / mass, above / mass }
  '"$header"
measured="r	rhat	g	kl	gap	trap	valid	above"

# exact CSV ALPHA BEST F C G: the tilt of the base model by column F less C times column G (0: by F alone; F 0: the base model), summed over the grid.
exact() {
  awk -F, -v alpha="$2" -v best="$3" -v f="$4" -v c="$5" -v u="$6" "$means"'
    { p = 0; for (a = -3; a <= 3; a += 3) for (b = -3; b <= 3; b += 3) p += exp(-(($(at["x1"]) - a) ^ 2 + ($(at["x2"]) - b) ^ 2) / 0.5)
      value = f == "0" ? 0 : $(at[f]) - (c != 0 ? c * $(at[u]) : 0)
      row[++n] = $0; prior[n] = p; tilt[n] = value / alpha; if (n == 1 || tilt[n] > top) top = tilt[n] }
    END { for (i = 1; i <= n; i++) { base += prior[i]; weight[i] = prior[i] * exp(tilt[i] - top); z += weight[i] }
      for (i = 1; i <= n; i++) if (weight[i] > 0) { $0 = row[i]; add(weight[i]); kl += weight[i] / z * (tilt[i] - top - log(z / base)) }
      line(sprintf("%.4f", kl)) }' "$1"
}

# drawn CSV BEST KL: means over samples.
drawn() { awk -F, -v best="$2" -v kl="$3" "$means"' { add(1) } END { line(kl) }' "$1"; }

# looked_at SAMPLES.h5 OUT.csv FITS...: samples with the truth and what FITS (NAME=EXPRESSION) say, as a table.
looked_at() {
  samples=$1 table=$2
  shift 2
  score "$samples" --reward r=landscape --reward valid=landscape:valid --reward trap=landscape:trap \
    $(for f in "$@"; do echo "--reward $f"; done) -j 1 -q -o "${table%.csv}-scores.h5" --force | csv "$table"
  rm -f "${table%.csv}-scores.h5"
}

# tuned NAME UPDATES SEED BEST KIND OPTIONS...: one run of finetune, measured; prints the measured columns. A run whose numbers go bad gives "-".
tuned() {
  run=$1 updates=$2 tune_seed=$3 top=$4 method=$5
  shift 5
  tune "models/$run.h5" --model model.h5 --method "$method" "$@" $TUNE --epochs "$updates" --seed "$tune_seed" || {
    status=$?
    [ "$status" = 4 ] || return "$status"
    printf -- '-\t-\t-\t-\t-\t-\t-\t-\n'
    return 0
  }
  sample --model "models/$run.h5" -n "$COUNT" --seed 7 $SAMPLER -j 1 -q -o "samples/$run.h5" --force >/dev/null
  looked_at "samples/$run.h5" "samples/$run.csv" "rhat=learned:fits/bonus-$tune_seed.h5" "g=uncertainty:fits/bonus-$tune_seed.h5,scale=1"
  path=$(grep -o '"kl_path":[^,}]*' "models/$run.h5.jsonl" | tail -n 20 | awk -F: '{ s += $2 } END { printf "%.4f", s / NR }')
  drawn "samples/$run.csv" "$top" "$path"
}

# centre_values CSV COLUMN FORMAT: COLUMN at the trap's centre, its median at the other eight, and their ratio.
centre_values() {
  awk -F, -v g="$2" -v format="$3" "$header"'
    $(at["x1"]) == 3 && $(at["x2"]) == 3 { trap = $(at[g]); next }
    { v[++n] = $(at[g]) }
    END { for (i = 1; i <= n; i++) for (j = i + 1; j <= n; j++) if (v[j] < v[i]) { t = v[i]; v[i] = v[j]; v[j] = t }
      m = (v[int((n + 1) / 2)] + v[int(n / 2) + 1]) / 2; printf format, trap, m, (m > 0 ? trap / m : 0) }' "$1"
}

# figure OPTIONS...: the page, of figure.tsv.
figure() {
  report --table figure.tsv "$@" --svg figures -q -o results.html --force >/dev/null
  echo "$PWD/results.html"
}

# A study defines base SEED too: what its cells need of a seed.
prepare() {
  landscape
  each_seed --cell base
}
