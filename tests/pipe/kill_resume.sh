#!/bin/sh
# kill_resume: kills pretrain and finetune at random moments, by TERM and by KILL in turn, starts the same command again until it
# is done, and compares the result byte for byte with that of a run nobody touched.   SPDX-License-Identifier: Apache-2.0
#   SEED=n repeats the moments of an earlier run (which prints its seed).
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${PLUMB_BUILD_DIR:-$root/build}/bin:$PATH"
export OMP_NUM_THREADS=1
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
seed=${SEED:-$(od -An -N2 -tu2 /dev/urandom | tr -d ' ')}
echo "seed $seed"

python3 "$root/tests/cli/data/make.py" idx tiny
ingest -q img.idx --labels lab.idx -o data.h5 >/dev/null

tries=0
now() { date +%s.%N; }
fail() { echo "FAILED $1"; shift; for log in "$@"; do sed 's/^/    /' "$log"; done; exit 1; }

# trial NAME KILLS COMMAND...: COMMAND writes $out.
trial() {
  name=$1 kills=$2
  shift 2
  mkdir whole cut
  begin=$(now)
  (cd whole && "$@" >manifest 2>errors) || fail "$name: the untouched run" whole/errors
  length=$(echo "$(now) $begin" | awk '{ print $1 - $2 }')
  hit=0 attempt=0 status=1
  while [ "$status" -ne 0 ]; do
    attempt=$((attempt + 1))
    [ "$attempt" -le $((kills + 4)) ] || fail "$name: does not end" cut/errors
    if [ "$attempt" -gt "$kills" ]; then
      signal=none
      (cd cut && exec "$@" >manifest 2>errors) && status=0 || status=$?
    else
      if [ $((attempt % 2)) = 1 ]; then signal=TERM; else signal=KILL; fi
      delay=$(echo "$seed $attempt $length" | awk '{ srand($1 * 100 + $2); print 0.15 + rand() * $3 * 0.4 }')
      (cd cut && exec "$@" >manifest 2>errors) &
      pid=$!
      sleep "$delay"
      kill -"$signal" "$pid" 2>/dev/null || true
      wait "$pid" && status=0 || status=$?
    fi
    case $status/$signal in
      0/*) ;;
      75/TERM | 143/TERM | 137/KILL) hit=$((hit + 1)) ;;  # 143: before the command had put its handlers in place
      *) fail "$name: exit $status after $signal" cut/errors ;;
    esac
    [ ! -e cut/out.h5 ] || check -q cut/out.h5 || fail "$name: a file under its final name that is not whole"
  done
  if [ "$hit" -lt 2 ]; then  # the moments fell after the end: others
    tries=$((tries + 1))
    [ "$tries" -lt 5 ] || fail "$name: 5 times in a row only $hit kills came before the end; make the run longer"
    rm -r whole cut
    seed=$((seed + 1))
    trial "$name" "$kills" "$@"
    return
  fi
  tries=0
  cmp whole/out.h5 cut/out.h5 || fail "$name: the resumed run's file differs"
  for log in whole cut; do
    grep -v '"event":"\(start\|plan\)"' $log/out.h5.jsonl | sed 's/,"seconds":[0-9.e+-]*//' >$log/steps
  done
  cmp whole/steps cut/steps || fail "$name: the resumed run's log differs"
  [ -z "$(find cut -name '*.ckpt' -o -name '.*.tmp*')" ] || fail "$name: left $(find cut -name '*.ckpt' -o -name '.*.tmp*')"
  echo "ok $name: $hit kills in $attempt runs"
  rm -r whole cut
}

trial pretrain 8 pretrain -q -j 1 --denoiser ../tiny.json --steps 1200 --batch-size 8 --save-every 0.2 -o out.h5 ../data.h5
pretrain -q -j 1 --denoiser tiny.json --steps 20 --batch-size 8 -o model.h5 data.h5 >/dev/null
set -- finetune -q -j 1 --model ../model.h5 --reward jpeg-incompressibility --gold brightness --epochs 24 --samples-per-epoch 12 \
  --sampler-steps 6 --monitor-every 8 --monitor-n 8 --monitor-bootstrap 10 --monitor-features raw --save-every 0.2
trial finetune-lora 8 "$@" -o out.h5
trial finetune-full 4 "$@" --full --keep best-gold --kl-penalty 0.1 --kl-target 1 -o out.h5
trial finetune-tdpo-r 4 "$@" --method tdpo-r --tdpo.features raw --tdpo.critic-lr 0.01 --tdpo.reset-every 2 -o out.h5
trial finetune-dpok 4 "$@" --method dpok --constraint 'jpeg-compressibility >= -0.3' -o out.h5

# A run too long to end: each way of being told to stop ends it with status 75, a checkpoint and a word on what to do next.
# exec: the signal must reach the command, not a shell that waits for it.
long() { exec pretrain -q -j 1 --denoiser tiny.json --steps 10000000 --batch-size 8 -o long.h5 "$@" data.h5 >manifest 2>errors; }
status=0
(long --time-limit 1) || status=$?
[ "$status" = 75 ] && [ -s long.h5.ckpt ] || fail "--time-limit: exit $status" errors
grep -q 'run the same command again' errors || fail "--time-limit does not say what to do" errors
for signal in USR1 INT TERM; do
  before=$(wc -l <long.h5.jsonl)
  long & pid=$!
  until [ "$(wc -l <long.h5.jsonl)" -gt "$((before + 2))" ]; do kill -0 "$pid" || fail "$signal: ended early" errors; sleep 0.05; done
  kill -"$signal" "$pid"
  wait "$pid" && status=0 || status=$?
  [ "$status" = 75 ] || fail "$signal: exit $status" errors
done
echo "ok stops: --time-limit, USR1, INT and TERM end with status 75"
status=0
(long --lr 0.1) || status=$?
[ "$status" = 3 ] || fail "a checkpoint of another command was taken: exit $status" errors
[ ! -e long.h5 ] || fail "a file under its final name that is not whole"
echo "ok foreign checkpoint: refused"
echo "7 passed"
