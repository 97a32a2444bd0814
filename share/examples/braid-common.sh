# What the studies of a conservative reward share: braid-ablation.sh, braid-alpha.sh, braid-uncertainty.sh, braid-datasize.sh. Sourced by them.
#
# The landscape: nine Gaussians on {-3,0,3}^2 are the base model, in closed form. The true reward rises towards the corner (3,3), where it has a
# trap; the offline data know nothing of that corner, so a learned reward promises most there. On a grid the best model p exp(f / alpha) / Z of
# any f is a sum, so each run can be held against what it aims at. See plumb-rewards(7), landscape.

SEEDS=${SEEDS:-1 2 3}
JOBS=${JOBS:-2}                    # cells at a time, one thread each
N=${N:-2000}                       # offline items
COUNT=${COUNT:-4000}               # samples that a model is measured on
LABEL_NOISE=${LABEL_NOISE:-0.1}
QUANTILE=${QUANTILE:-0.8}          # only labels up to this quantile are known
MEASURED=${MEASURED:-valid}        # designs that have labels: valid, or all
SAMPLER="--sampler ddpm --variance beta --steps 50"
FIT="--type regressor --steps 800 --batch-size 256 --lr 3e-3 --lr-warmup 0 --weight-decay 0 --grad-clip 0 --held-out 0 --evaluate-every 1000000"
TUNE="--full --samples-per-epoch 128 --train-batch-size 128 --batch-size 128 --sampler-steps 50 --lr 2e-3 --grad-clip 1 --monitor-every 0"

root=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${PLUMB_BIN:-$root/build/bin}:$PATH"
step() { echo "$name: $*" >&2; }
csv() { env export --to csv --force -q -o "$1" >/dev/null; }   # export is a word of the shell

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
  NR == 1 { for (i = 1; i <= NF; i++) { column = $i; sub(/^reward\//, "", column); at[column] = i } next }'
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
  [ -e "models/$run.h5" ] ||
    finetune --model model.h5 --method "$method" "$@" $TUNE --epochs "$updates" --seed "$tune_seed" --save-every 60 -j 1 -q \
      -o "models/$run.h5" >/dev/null 2>"models/$run.err" || {
    status=$?
    [ "$status" = 4 ] || { step "$run: exit $status: $(tail -n 1 "models/$run.err")"; return "$status"; }
    step "$run: $(tail -n 1 "models/$run.err")"
    printf -- '-\t-\t-\t-\t-\t-\t-\t-\n'
    return 0
  }
  sample --model "models/$run.h5" -n "$COUNT" --seed 7 $SAMPLER -j 1 -q -o "samples/$run.h5" --force >/dev/null
  looked_at "samples/$run.h5" "samples/$run.csv" "rhat=learned:fits/bonus-$tune_seed.h5" "g=uncertainty:fits/bonus-$tune_seed.h5,scale=1"
  path=$(grep -o '"kl_path":[^,}]*' "models/$run.h5.jsonl" | tail -n 20 | awk -F: '{ s += $2 } END { printf "%.4f", s / NR }')
  drawn "samples/$run.csv" "$top" "$path"
}

# summary TABLE KEYS COLUMNS PILOT: a mean and half a 95 % t-interval over rows of equal KEYS (numbers of columns, comma-separated) for each of COLUMNS,
# and the pilot's figure beside it where PILOT (a file of KEYS, then COLUMNS) has one.
summary() {
  awk -F'\t' -v OFS='\t' -v keys="$2" -v columns="$3" '
    BEGIN { nk = split(keys, k, ","); nc = split(columns, c, ","); split("12.706 4.303 3.182 2.776 2.571 2.447 2.365 2.306 2.262", t, " ") }
    FILENAME == ARGV[1] { id = $1; for (i = 2; i <= nk; i++) id = id "\t" $i; for (i = 1; i <= nc; i++) pilot[id, i] = $(nk + i); next }
    FNR == 1 { head = ""; for (i = 1; i <= nk; i++) head = head (i > 1 ? OFS : "") $k[i]; head = head OFS "runs"
      for (i = 1; i <= nc; i++) head = head OFS $c[i] OFS "+-" OFS "pilot " $c[i]; print head; next }
    { id = $k[1]; for (i = 2; i <= nk; i++) id = id "\t" $k[i]; if (!(id in runs)) order[++m] = id; runs[id]++
      for (i = 1; i <= nc; i++) if ($c[i] != "-") { v = $c[i]; n[id, i]++; s[id, i] += v; q[id, i] += v * v } }
    END { for (j = 1; j <= m; j++) { id = order[j]; out = id OFS runs[id]
      for (i = 1; i <= nc; i++) { size = n[id, i]; if (!size) { out = out OFS "-" OFS "" OFS pilot[id, i]; continue }
        mean = s[id, i] / size; var = size > 1 ? (q[id, i] - size * mean * mean) / (size - 1) : 0; if (var < 0) var = 0
        half = size > 1 ? sprintf("%.3f", (size > 10 ? 2 : t[size - 1]) * sqrt(var / size)) : ""
        out = out OFS sprintf("%.3f", mean) OFS half OFS pilot[id, i] }
      print out } }' "$4" "$1"
}

# The rest of a script: its cells, one of them, its base, its page. It defines cells, base (once), seed_base SEED, cell WORDS..., page.
study() {
  case ${1-} in
    --cells) cells; return ;;
    --base) enter "${2:-runs/$name}"; prepare; return ;;
    --cell) shift; words=; while [ $# -gt 1 ]; do words="$words $1"; shift; done; enter "$1"; cell $words; return ;;
    --page) enter "${2:-runs/$name}"; page; return ;;
    -*) echo "$name: unknown option '$1': see the head of $0" >&2; exit 2 ;;
  esac
  enter "${1:-runs/$name}"
  [ -e settings ] || echo "$settings" >settings
  [ "$(cat settings)" = "$settings" ] || { step "$PWD holds cells of other settings: $(cat settings)"; exit 2; }
  step "1/3 base model, grid, offline data, learned rewards"
  prepare
  step "2/3 $(cells | wc -l) cells, $JOBS at a time"
  cells | xargs -P "$JOBS" -I '{}' sh -c '"$0" --cell $1 "$2"' "$self" '{}' "$PWD" || step "some cells did not finish: run this again"
  step "3/3 the page"
  page
}
enter() { mkdir -p "$1" && cd "$1" && mkdir -p models samples offline fits exact rows; }
prepare() {
  landscape
  for seed in $SEEDS; do echo "$seed"; done | xargs -P "$JOBS" -I '{}' sh -c '"$0" --cell base "$1" "$2"' "$self" '{}' "$PWD"
}
# rows HEAD: the rows of all cells under a line of names.
rows() { printf '%s\n' "$1"; cat rows/*.tsv; }
