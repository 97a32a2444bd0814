#!/bin/sh
# A training run that is stopped by SIGTERM, by SIGUSR1, by its time limit and killed outright, again and again, ends in the same
# bytes and the same log as one that was left alone. Moments are spread over start-up, steps and checkpoints.
# SPDX-License-Identifier: Apache-2.0
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${PLUMB_BUILD_DIR:-$root/build}/bin:$PATH"
export OMP_NUM_THREADS=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
fail() { echo "pretrain-resume: $*" >&2; exit 1; }

python3 "$root/tests/cli/data/make.py" idx
ingest -q img.idx --labels lab.idx -o data.h5 > /dev/null
cat > tiny.json <<'EOF'
{"type": "unet2d", "config": {"block_out_channels": [8, 8], "down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
 "up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "layers_per_block": 1, "norm_num_groups": 4, "attention_head_dim": 4}}
EOF
steps=400
train() { pretrain ../data.h5 --denoiser ../tiny.json --steps $steps --batch-size 5 --flip --save-every 0.3 -q -o m.h5 "$@"; }
mkdir whole pieces
(cd whole && train > m.json)

cd pieces
stops=0
again=0
# Stops are asked for once the run has logged a step (before that it does not listen yet), kills at any moment.
for plan in TERM:0.1 KILL:1.1 USR1:0.3 KILL:0.2 TERM:0.5 KILL:1.6 TERM:0.2 KILL:1.2; do
  train > m.json 2> err & job=$!
  if [ "${plan%:*}" != KILL ]; then
    while kill -0 $job 2> /dev/null && [ -z "$(find . -name m.h5.jsonl -newer err)" ]; do sleep 0.05; done
  fi
  sleep "${plan#*:}"
  kill -s "${plan%:*}" $job 2> /dev/null || true
  status=0
  wait $job || status=$?
  [ ! -e m.h5 ] || { [ $status = 0 ] || fail "m.h5 is there after status $status"; break; }
  case $status in
    75) stops=$((stops + 1)); [ -s m.h5.ckpt ] || fail "status 75 without a checkpoint" ;;
    137 | 138 | 143) again=$((again + 1)) ;;  # killed, or told to stop before it listened
    *) cat err >&2; fail "status $status after $plan" ;;
  esac
done
[ -e m.h5 ] || train > m.json
[ $((stops + again)) -ge 2 ] || fail "only $stops stops and $again kills happened: make the run longer"
[ $stops -ge 1 ] || fail "no run ended with status 75"
cmp m.h5 ../whole/m.h5
[ ! -e m.h5.ckpt ] || fail "the checkpoint was left behind"
left=$(find . -name '.*tmp*')
[ -z "$left" ] || fail "left behind: $left"
python3 - ../whole/m.h5.jsonl m.h5.jsonl $steps <<'EOF'
import json, sys
def steps(path):
    lines = [json.loads(line) for line in open(path)]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines if "loss" in line]
whole, pieces = steps(sys.argv[1]), steps(sys.argv[2])
assert [line["step"] for line in pieces] == list(range(1, int(sys.argv[3]) + 1)), "each step once, in order"
assert whole == pieces, "losses differ"
EOF

# The time limit is a stop too, and a checkpoint of another command is not taken.
cd ..
mkdir limit
cd limit
status=0
train --time-limit 0.4 > m.json 2> err || status=$?
[ $status = 75 ] || fail "--time-limit ended with status $status"
grep -q 'run the same command again' err || fail "the message does not say what to do"
status=0
train --lr 0.1 > m.json 2> err || status=$?
[ $status = 3 ] || fail "a checkpoint of another command was taken: status $status"
echo "pretrain-resume: $stops stops and $again kills, 1 passed"
