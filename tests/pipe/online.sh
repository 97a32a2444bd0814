#!/bin/sh
# finetune that asks: a loop of single steps gives what one command gives; killed at any moment, whoever is asked, the same command ends with
# the same bytes and asks nothing twice; the person may sit behind a folder.   SPDX-License-Identifier: Apache-2.0
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${PLUMB_BUILD_DIR:-$root/build}/bin:$PATH"
export OMP_NUM_THREADS=1
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
fail() { echo "FAILED $1"; shift; for log in "$@"; do [ ! -e "$log" ] || sed "s|^|    $log: |" "$log"; done; exit 1; }
passed=0
ok() { passed=$((passed + 1)); echo "ok $1"; }

python3 "$root/tests/cli/data/make.py" idx tiny
ingest -q img.idx --labels lab.idx -o d.h5 >/dev/null
pretrain -q --denoiser tiny.json --steps 20 --batch-size 4 -o m.h5 d.h5 >/dev/null

# --- a loop of steps = one command ------------------------------------------------------------------------------------------
# steps NAME SAMPLES SAMPLE-OPTIONS FEEDBACK-OPTIONS METHOD...
steps() {
  name=$1 samples=$2 how=$3 ask=$4
  shift 4
  user='oracle:reward=brightness>=0.45,error=0.2,seed=4'
  case $ask in *pairs*) user='oracle:reward=brightness,error=0.2,seed=4' ;; esac
  finetune -q --model m.h5 --class none --seed 3 --sampler-steps 4 --monitor-every 0 --rounds 3 --per-round 4 --ask "$user" "$@" -o "$name-one.h5" \
    >one.json 2>errors || fail "$name: one command" errors
  model=m.h5
  rm -f f?.h5.jsonl
  for round in 0 1 2; do
    sample -q --model $model --class none --seed 3 --sampler ddim --eta 1 --steps 4 -n "$samples" --first $((round * samples)) $how -o s$round.h5 |
      score -q --reward brightness -o v$round.h5 | feedback -q $ask --ask "$user" --seed $((3 + round)) -n 4 -o f$round.h5 |
      finetune -q --step --model $model --class none --seed 3 --sampler-steps 4 --monitor-every 0 "$@" -o "$name-$round.h5" >step.json 2>errors ||
      fail "$name: step $round" errors
    for f in "$name-one.h5.rounds/round-000$((round + 1))-answers.jsonl" f$round.h5.jsonl; do
      grep -v '"kind":"session"' "$f" | sed 's/,"time".*//; s/"ms":[^,]*,//' >"$(basename "$f").said"
    done
    cmp "round-000$((round + 1))-answers.jsonl.said" f$round.h5.jsonl.said || fail "$name: other answers in round $round"
    model=$name-$round.h5
  done
  check -q "$name-one.h5" "$model" || fail "$name: check"
  for m in "$name-one.h5" "$model"; do
    sample -q --model "$m" --class none -n 8 --steps 3 -o x.h5 2>errors | plumb export -q --to npy -o "$m.npy" >/dev/null || fail "$name: samples" errors
  done
  sample -q --model m.h5 --class none -n 8 --steps 3 -o x.h5 | plumb export -q --force --to npy -o base.npy >/dev/null
  cmp "$name-one.h5.npy" "$model.npy" || fail "$name: the loop and the command differ"
  ! cmp -s base.npy "$model.npy" || fail "$name: nothing was learned"
  python3 - "$name-one.h5" "$model" <<'END' || fail "$name: the states differ"
import re, sys
def state(path):   # counters, answers so far, the last line of the log, as JSON in the file
    found = re.search(rb'\{"epoch":3,.*?"trained":\{.*?\}', open(path, "rb").read(), re.S)
    return found and found[0]
one, loop = map(state, sys.argv[1:])
sys.exit(one is None or one != loop)
END
  ok "$name: three steps are one command"
}
steps papa 4 "" "" --method papa --papa.timesteps 5 --papa.passes 2 --lr 1e-2
steps papa-full 4 "" "" --method papa --papa.timesteps 5 --papa.passes 2 --full
steps epapa 4 "" "" --method epapa --papa.k 300 --papa.timesteps 5 --papa.preset parity --lr 1e-2
steps d3po 8 "--share-start 2" "--mode pairs" --method d3po --lr 1e-2
steps dpo 8 "" "--mode pairs" --method diffusion-dpo --lr 1e-2

# --- killed, whoever is asked -------------------------------------------------------------------------------------------------
cat > answer.py <<'END'
import json, sys, time
for line in sys.stdin:
    q = json.loads(line)
    time.sleep(0.02)
    print(json.dumps({"question": q["question"], "y": 1 if q["items"][0] % 3 else -1}), flush=True)
END
cat > person.py <<'END'
"""person.py COMMAND...: answers at the page of a command, likes all items but each third; ends with the command's status."""
import json, re, subprocess, sys, time, urllib.request
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
print(process.pid, file=open("pid", "w"), flush=True)
base, token = re.search(r"(http://[^/]*)/\?token=(\w+)", next(l for l in process.stderr if "token=" in l)).groups()
def call(path, body=None):
    headers = {"X-Plumb-Token": token, "Content-Type": "application/json", "Origin": base}
    return json.load(urllib.request.urlopen(urllib.request.Request(base + path, json.dumps(body).encode() if body else None, headers), timeout=20))
try:
    while (state := call("/state"))["status"] not in ("done", "saved") or "--serve-spool" in sys.argv:
        if state["status"] == "ask":
            call("/answer", {"state": state["state"], "answers": [{"y": 1 if q["tiles"][0]["item"] % 3 else -1} for q in state["questions"]]})
        time.sleep(0.02)
except OSError: pass
sys.exit(process.wait() if process.wait() >= 0 else 128 - process.wait())
END
cat > terminal.py <<'END'
"""terminal.py COMMAND...: in its terminal, likes the first item of each screen."""
import os, pty, re, select, sys
pid, fd = pty.fork()
if pid == 0: os.execvp(sys.argv[1], sys.argv[1:])
print(pid, file=open("pid", "w"), flush=True)
screen, answered = "", None
while True:
    if not select.select([fd], [], [], 0.05)[0]: continue
    try: piece = os.read(fd, 65536).decode("utf-8", "replace")
    except OSError: break
    if not piece: break
    screen = (screen + piece)[-200000:]
    found = re.findall(r"round (\d+) of \d+\)\s+(\d+) of (\d+) answered", screen)
    if found and found[-1] != answered and "save and quit" in screen:
        answered, screen = found[-1], ""
        os.write(fd, b"1\r")
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
sys.exit(status if status >= 0 else 128 - status)
END
run="finetune -q --model ../m.h5 --class none --method papa --sampler-steps 4 --papa.timesteps 5 --papa.passes 3 --lr 1e-2 --monitor-every 0 --rounds 8 --per-round 6 -o out.h5"
# killed NAME WHO [RUNNER...]: three kills, then to the end; the bytes are those of the untouched run.
killed() {
  name=$1 who=$2
  shift 2
  rm -rf whole cut; mkdir whole cut
  cp answer.py person.py terminal.py whole; cp answer.py person.py terminal.py cut
  (cd whole && "$@" $run --ask "$who" >out 2>errors) || fail "$name: untouched" whole/errors
  for signal in KILL TERM KILL; do
    rm -f cut/pid
    before=$(cat cut/out.h5.rounds/*.jsonl 2>/dev/null | grep -c '"kind":"single"' || true)
    (cd cut && exec "$@" $run --ask "$who" >out 2>errors) & runner=$!
    until [ "$(cat cut/out.h5.rounds/*.jsonl 2>/dev/null | grep -c '"kind":"single"' || true)" -ge $((before + 7)) ]; do
      kill -0 "$runner" 2>/dev/null || fail "$name: ended too early" cut/errors
      sleep 0.02
    done
    kill -"$signal" "$(cat cut/pid 2>/dev/null || echo "$runner")"
    wait "$runner" && status=0 || status=$?
    case $signal/$status in KILL/137 | TERM/75) ;; *) fail "$name: status $status after $signal" cut/errors ;; esac
    [ ! -e cut/out.h5 ] || fail "$name: a model of a run that was killed"
  done
  (cd cut && "$@" $run --ask "$who" >out 2>errors) || fail "$name: to the end" cut/errors
  cmp whole/out.h5 cut/out.h5 || fail "$name: other bytes after three kills"
  for k in 1 2 3 4 5 6 7 8; do
    [ "$(grep -c '"kind":"single"' "cut/out.h5.rounds/round-000$k-answers.jsonl")" = 6 ] || fail "$name: asked twice in round $k"
  done
  [ ! -e cut/out.h5.ckpt ] || fail "$name: the checkpoint is left"
  ok "$name: killed 3 times"
}
killed exec "exec:python3 answer.py"
killed page page python3 person.py
COLORTERM=truecolor TERM=xterm-256color killed tty tty python3 terminal.py
killed oracle 'oracle:reward=brightness>=0.45,error=0.2'

# --- through a folder ------------------------------------------------------------------------------------------------------------
rm -rf whole cut; mkdir whole cut; cp answer.py whole; cp answer.py cut
(cd whole && $run --ask "exec:python3 answer.py" >out 2>errors) || fail "spool: untouched" whole/errors
(cd cut && exec $run --ask spool:spool >out 2>errors) & trainer=$!
until [ -d cut/spool ]; do kill -0 "$trainer" || fail "spool: the trainer" cut/errors; sleep 0.02; done
(cd cut && exec python3 ../person.py feedback -q --serve-spool spool --ask page >served 2>serving) & server=$!
until [ -e cut/out.h5.rounds/round-0002-answers.jsonl ]; do kill -0 "$trainer" || fail "spool: the trainer" cut/errors; sleep 0.02; done
kill -KILL "$trainer"; wait "$trainer" 2>/dev/null || true
(cd cut && exec $run --ask spool:spool >out 2>errors) & trainer=$!
wait "$trainer" || fail "spool: to the end" cut/errors cut/serving
kill -TERM "$(cat cut/pid)"; wait "$server" && status=0 || status=$?
[ "$status" = 75 ] || fail "spool: the person's side ended with $status" cut/serving
for f in whole cut; do  # the files name another WHO: their weights are the same
  (cd $f && sample -q --model out.h5 --class none -n 8 --steps 3 -o x.h5 2>errors | plumb export -q --to npy -o x.npy >/dev/null) || fail "spool: samples" $f/errors
done
cmp whole/x.npy cut/x.npy || fail "spool: other samples"
[ "$(cat whole/out.h5.rounds/*.jsonl | grep -c '"kind":"single"')" = "$(cat cut/out.h5.rounds/*.jsonl | grep -c '"kind":"single"')" ] || fail "spool: asked twice"
ok "spool: two processes, the trainer killed once"
echo "$passed passed"
