# What the experiments of this folder share. A script sources it at its top, sets its variables, defines its functions, and ends with:
# study "$@"
#
# An experiment is a number of cells, each named by a few words, the last of them a seed. Cells run side by side and in any order, here or
# by make (share/make/experiment.mk) or Slurm (share/slurm/experiment.sbatch). A file appears only when it is whole, so that the same
# command goes on where it was. The script sets
#
#   settings="STEPS COUNT"        names of variables that all cells of a folder have in common: written there by the whole script and by --base,
#                                 and not mixed with others by any of them
#   export SEEDS $settings        these, and what else a cell reads
#   folders="models cells"        made in the output folder
#   preparing="data and rewards"  what prepare makes, in words
#   folder=runs/images            the default output folder, where it is not runs/ and the script's name
#
# and defines, to be run in the output folder,
#
#   cells                         prints the words of each cell, a line each (this one anywhere)
#   prepare                       makes what the cells need
#   cell WORDS...                 makes one cell, unless it is there
#   page                          makes table and page of the cells that are there
#
# It may use `experiment` (the script's name), `self` (its path) and `share` (the folder of models, tools and examples). An option of its
# own is taken before study.

JOBS=${JOBS:-2}   # cells at a time, one thread each

self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
share=$(cd "$(dirname "$0")/.." && pwd)
experiment=$(basename "$0" .sh)
folder=runs/$experiment

# absolute VARIABLES...: the paths in them, where they are not empty, seen from the root: cells run in the output folder.
absolute() {
  for variable in "$@"; do
    eval "path=\${$variable-}"
    case $path in /* | '') ;; *) eval "$variable=\$PWD/\$path" ;; esac
  done
}
absolute PLUMB_BIN PLUMB_FASHION_MNIST
PATH="${PLUMB_BIN:-$share/../build/bin:$share/../../libexec/plumb}:$PATH"   # built here, or installed

# step WORDS...: says what happens now.
step() { echo "$experiment: $*" >&2; }

# quietly COMMAND...: a command without its progress and manifest.
quietly() { "$@" -q >/dev/null; }

# quoted ARGUMENT: it as a reward takes it, between quotes where a character of it would end it there: learned:$(quoted "$file").
quoted() { case $1 in *"'"*) printf '"%s"\n' "$1" ;; *[[:space:]+*\(\)\"]*) printf "'%s'\n" "$1" ;; *) printf '%s\n' "$1" ;; esac; }

# --- tables in the script ---

# entries: a table of settings from standard input without its comments: NAME, then what belongs to it.
entries() { sed 's/ *#.*//; /^$/d'; }

# entry TABLE NAME: what stands behind NAME in the table that the function TABLE prints.
entry() { "$1" | awk -v name="$2" '$1 == name { sub(/^[^ ]+ */, ""); print }'; }

# entry_cells TABLE: each NAME of it with each seed.
entry_cells() { "$1" | while read -r name _; do for seed in $SEEDS; do echo "$name $seed"; done; done; }

# --- numbers out of files ---

# csv OUT.csv [DATA.h5]: a dataset, or the one on standard input, as a table.
csv() { env export ${2:+"$2"} --to csv -q -o "$1" --force >/dev/null; }   # export is a word of the shell

# For awk -F,: the first line of such a table becomes at[NAME], the number of a column; that of a reward is at its name without reward/.
header='NR == 1 { for (i = 1; i <= NF; i++) { column = $i; sub(/^reward\//, "", column); at[column] = i } next }'

# number FILE.json KEY: the first number under a key.
number() { tr ',{' '\n\n' <"$1" | sed -n "s/^\"$2\":\\([-0-9.e+]*\\)}*\$/\\1/p" | head -n 1; }

# gathered HEAD: the tab-separated rows of all cells (rows/*.tsv) under a line of names.
gathered() { printf '%s\n' "$1"; cat rows/*.tsv; }

# summary TABLE KEYS COLUMNS PILOT: a mean and half a 95 % t-interval over rows of equal KEYS (numbers of columns, comma-separated) for
# each of COLUMNS, and the pilot's figure beside it where PILOT (a file of KEYS, then COLUMNS; it may be empty) has one.
summary() {
  awk -F'\t' -v OFS='\t' -v keys="$2" -v columns="$3" '
    BEGIN { nk = split(keys, k, ","); nc = split(columns, c, ","); split("12.706 4.303 3.182 2.776 2.571 2.447 2.365 2.306 2.262", t, " ") }
    function t95(df,    z) {   # beyond the table Cornish and Fisher
      z = 1.959963984540054
      return df in t ? t[df] : z + (z ^ 3 + z) / (4 * df) + (5 * z ^ 5 + 16 * z ^ 3 + 3 * z) / (96 * df ^ 2) + \
        (3 * z ^ 7 + 19 * z ^ 5 + 17 * z ^ 3 - 15 * z) / (384 * df ^ 3)
    }
    FILENAME == ARGV[1] { id = $1; for (i = 2; i <= nk; i++) id = id "\t" $i; for (i = 1; i <= nc; i++) pilot[id, i] = $(nk + i); next }
    FNR == 1 { head = ""; for (i = 1; i <= nk; i++) head = head (i > 1 ? OFS : "") $k[i]; head = head OFS "runs"
      for (i = 1; i <= nc; i++) head = head OFS $c[i] OFS "+-" OFS "pilot " $c[i]; print head; next }
    { id = $k[1]; for (i = 2; i <= nk; i++) id = id "\t" $k[i]; if (!(id in runs)) order[++m] = id; runs[id]++
      for (i = 1; i <= nc; i++) if ($c[i] != "-" && $c[i] != "") { v = $c[i]; n[id, i]++; s[id, i] += v; q[id, i] += v * v } }
    END { for (j = 1; j <= m; j++) { id = order[j]; out = id OFS runs[id]
      for (i = 1; i <= nc; i++) { size = n[id, i]; if (!size) { out = out OFS "-" OFS "" OFS pilot[id, i]; continue }
        mean = s[id, i] / size; var = size > 1 ? (q[id, i] - size * mean * mean) / (size - 1) : 0; if (var < 0) var = 0
        half = size > 1 ? sprintf("%.3f", t95(size - 1) * sqrt(var / size)) : ""
        out = out OFS sprintf("%.3f", mean) OFS half OFS pilot[id, i] }
      print out } }' "$4" "$1"
}

# means TABLE KEYS COLUMNS: the same without a pilot, for reading, on standard error.
means() {
  : >none.tsv
  summary "$1" "$2" "$3" none.tsv | awk -F'\t' -v OFS='\t' -v keys="$2" '
    { first = split(keys, k, ",") + 2; out = $1; for (i = 2; i < first; i++) out = out OFS $i
      for (i = first; i < NF; i += 3) out = out OFS $i OFS ($(i + 1) == "" ? "-" : $(i + 1))
      print out }' | column -t -s "$(printf '\t')" >&2
  rm none.tsv
}

# --- runs ---

# tune MODEL.h5 OPTIONS...: finetune, unless MODEL.h5 is there; its messages go to MODEL.err. Status 75: it stopped with a checkpoint, the
# next call goes on.
tune() {
  tuned_model=$1
  shift
  [ ! -e "$tuned_model" ] || return 0
  finetune "$@" --save-every 60 -j 1 -q -o "$tuned_model" >/dev/null 2>"${tuned_model%.h5}.err" || {
    status=$?
    step "$(basename "$tuned_model" .h5): exit $status: $(tail -n 1 "${tuned_model%.h5}.err")"
    return "$status"
  }
}

# each_seed OPTIONS...: this script with OPTIONS, a seed and the folder, for all seeds, JOBS at a time.
each_seed() { for seed in $SEEDS; do echo "$seed"; done | xargs -P "$JOBS" -I '{}' "$self" "$@" '{}' "$PWD"; }

# enter FOLDER: makes the output folder and goes there; an empty name is the default one. Then `entered` runs: a script may define it, for
# what depends on the folder.
enter() {
  set -- "${1:-$folder}"
  mkdir -p "$1" && cd "$1" && mkdir -p $folders && entered
}
entered() { :; }

# study OPTIONS...: the command line of an experiment: [FOLDER], --cells, --base [FOLDER], --cell WORDS... FOLDER, --page [FOLDER].
study() {
  case ${1-} in
    --cells) cells; return ;;
    --base) enter "${2-}"; same_settings; prepare; return ;;
    --cell) shift; words=; while [ $# -gt 1 ]; do words="$words $1"; shift; done; enter "$1"; no_other_settings; cell $words; return ;;
    --page) enter "${2-}"; no_other_settings; page; return ;;
    -*) echo "$experiment: unknown option '$1': see the head of $0" >&2; exit 2 ;;
  esac
  enter "${1-}"
  same_settings
  step "1/3 $preparing"
  prepare
  step "2/3 $(cells | wc -l) cells, $JOBS at a time"
  # By seed, so that whole sets are there early.
  cells | awk '{ print $NF, $0 }' | sort -s -k1,1n | cut -d ' ' -f 2- |
    xargs -P "$JOBS" -I '{}' sh -c '"$0" --cell $1 "$2"' "$self" '{}' "$PWD" ||
    step "some cells did not finish: run this again"
  step "3/3 table and page"
  page
}

# same_settings: writes the settings down, joined by |; ends the script if the folder has cells of others. no_other_settings: the latter alone; a
# folder that neither the whole script nor --base made says nothing of its cells.
same_settings() {
  now=$(for variable in $settings; do eval "printf '|%s' \"\$$variable\""; done)
  now=${now#|}
  if ! [ -e settings ]; then  # whole at once, and the first to come: others may be doing the same
    printf '%s\n' "$now" >"settings.$$"
    ln "settings.$$" settings 2>/dev/null || true
    rm "settings.$$"
  fi
  [ "$(cat settings)" = "$now" ] || { step "$PWD holds cells of other settings: $(cat settings)"; exit 2; }
}
no_other_settings() { [ ! -e settings ] || same_settings; }

# --- offline design: methods that raise a reward, which was fitted to few labels below a quantile of the truth (fly-dna.sh, tfbind8.sh) ---
#
# The script defines methods (a table of NAME, reward, how), reward SEED, by_HOW OPTIONS... for each how (ends with cells/NAME-SEED.json),
# averages.

# two_rewards SEED DATA ENSEMBLE RECIPE...: the network with a last-layer bonus, and the bootstrap of options ENSEMBLE. SCALE, if it is not
# empty, is C of the one and kappa of the other.
two_rewards() {
  fit_seed=$1 labelled=$2 ensemble=$3
  shift 3
  scale="--choose-scale 0.9" kappa="--choose-scale 0.9"
  [ -z "$SCALE" ] || scale="--scale $SCALE" kappa="--kappa $SCALE"
  [ -e "rewards/bonus-$fit_seed.h5" ] ||
    quietly reward-train -j 1 "$labelled" "$@" --uncertainty bonus $scale --seed "$fit_seed" -o "rewards/bonus-$fit_seed.h5"
  [ -e "rewards/boot-$fit_seed.h5" ] ||
    quietly reward-train -j 1 "$labelled" "$@" --uncertainty bootstrap $ensemble $kappa --seed "$fit_seed" -o "rewards/boot-$fit_seed.h5"
}

# expression WORD SEED: the reward expression that a word in the table means; nothing for -.
expression() {
  case $1 in
    learned) echo "learned:rewards/bonus-$2.h5" ;;
    conservative) echo "conservative:rewards/bonus-$2.h5" ;;
    conservative-boot) echo "conservative:rewards/boot-$2.h5" ;;
  esac
}

# method_cell METHOD SEED: a cell: the rewards of the seed, then by_HOW with $method, $seed and $reward (an expression).
method_cell() {
  reward "$2"
  [ ! -e "cells/$1-$2.json" ] || return 0
  line=$(entry methods "$1")
  [ -n "$line" ] || { step "no method '$1'"; return 2; }
  method=$1 seed=$2
  set -- $(eval "echo $line")
  reward=$(expression "$1" "$seed") how=$2
  shift 2
  "by_$how" "$@"
  step "$method-$seed: done"
}

# method_rows HEAD: results.tsv, HEAD and a row a cell. The last four columns of a cell's scores, whose names must be like the pattern
# $scored, come sorted by the third, the truth, to averages OPTIONS...: awk with these variables set: method, seed, kl, hamming, unique,
# correlation, divergence.
method_rows() {
  {
    printf '%s\n' "$1"
    cells | while read -r method seed; do
      name=cells/$method-$seed
      [ -e "$name.json" ] || continue
      kl=$([ ! -e "$name.h5.jsonl" ] || sed -n 's/.*"kl":\([-0-9.e+]*\).*/\1/p' "$name.h5.jsonl" | tail -n 1)
      csv "$name.csv" "$name-scores.h5"
      head -n 1 "$name.csv" | grep -q "$scored" || { step "$name.csv: other columns than expected"; return 1; }
      sed 1d "$name.csv" | awk -F, -v OFS=, '{ print $(NF - 3), $(NF - 2), $(NF - 1), $NF }' | LC_ALL=C sort -t , -k 3,3g |
        averages -v method="$method" -v seed="$seed" -v kl="$kl" -v hamming="$(number "$name.json" value)" \
          -v unique="$(number "$name.json" unique)" -v correlation="$(number "$name.json" kmer_correlation)" \
          -v divergence="$(number "$name.json" kmer_divergence)"
    done
  } >results.tsv
}

# method_page COLUMNS OPTIONS...: the report of results.tsv; shows the means of COLUMNS (numbers, comma-separated).
method_page() {
  shown=$1
  shift
  report --table results.tsv --x predicted --y truth "$@" --by method --marks --svg figures --tsv tables -q -o page.html --force >/dev/null
  means results.tsv 1 "$shown"
  echo "$PWD/page.html"
}
