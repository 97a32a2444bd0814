#!/bin/sh
# feedback that is killed, by KILL and by TERM, goes on where it was and loses no answer, whoever is asked: a program, a page (a client
# that speaks HTTP), a terminal, a person behind a folder. Two processes in spool mode give what one gives.   SPDX-License-Identifier: Apache-2.0
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${PLUMB_BUILD_DIR:-$root/build}/bin:$PATH"
export OMP_NUM_THREADS=1
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
cd "$work"
fail() { echo "FAILED $1"; for log in *errors; do sed "s/^/    $log: /" "$log"; done; exit 1; }
python3 "$root/tests/cli/data/make.py" patches
ingest -q patches.idx --labels patches-lab.idx -o d.h5 >/dev/null

cat > slow.py <<'END'
import json, sys, time
for line in sys.stdin:
    q = json.loads(line)
    time.sleep(0.004)
    print(json.dumps({"question": q["question"], "y": 1 if q["items"][0] % 2 else -1}), flush=True)
END
answers() { grep -c '"kind":"single"' "$1" || true; }
# A record has each question once, in order, with the right answer; what was taken back does not count.
whole() {
  python3 - "$1" <<'END'
import json, sys
rows = []
for row in [json.loads(l) for l in open(sys.argv[1])][1:]:
    if row["kind"] == "undo": del rows[row["question"]:]
    else: rows.append(row)
assert [r["question"] for r in rows] == list(range(160)), "questions are missing or twice"
assert all(r["y"] == (1 if r["items"][0] % 2 else -1) for r in rows), "a wrong answer"
END
}

# --- a program; killed whenever 20 more answers are there --------------------------------------------------------------------
feedback -q --ask "exec:python3 slow.py" d.h5 -o whole.h5 >/dev/null
for signal in KILL TERM KILL KILL TERM; do
  before=0; [ ! -e exec.jsonl ] || before=$(answers exec.jsonl)
  (exec feedback -q --ask "exec:python3 slow.py" --answers exec.jsonl d.h5 -o exec.h5 >/dev/null 2>exec.errors) & pid=$!
  until [ -e exec.jsonl ] && [ "$(answers exec.jsonl)" -ge $((before + 20)) ]; do sleep 0.01; done
  kill -"$signal" "$pid"
  wait "$pid" 2>/dev/null && status=0 || status=$?
  case $signal/$status in KILL/137 | TERM/75) ;; *) fail "exec: exit $status after $signal" ;; esac
  [ ! -e exec.h5 ] || fail "exec: an artefact of a session that was not done"
done
feedback -q --ask "exec:python3 slow.py" --answers exec.jsonl d.h5 -o exec.h5 >/dev/null 2>exec.errors || fail exec
whole exec.jsonl || fail "exec: the record"
check exec.jsonl exec.h5
echo "ok exec: killed 5 times"

# --- a person at the page, and one in a terminal -----------------------------------------------------------------------------
cat > person.py <<'END'
"""person.py page|tty RECORD KILLS COMMAND...: likes the odd items, kills the command after answers were confirmed, goes on."""
import fcntl, json, os, pty, re, select, signal, struct, subprocess, sys, termios, time, urllib.request
how, record, kills, command = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
def lines():
    return [json.loads(l) for l in open(record)] if os.path.exists(record) else []
def standing():
    done = []
    for row in lines()[1:]:
        if row["kind"] == "undo": del done[row["question"]:]
        else: done.append(row)
    return done
def page(run):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    base, token = re.search(r"(http://[^/]*)/\?token=(\w+)", process.stderr.readline()).groups()
    def call(path, body=None):
        headers = {"X-Plumb-Token": token, "Content-Type": "application/json", "Origin": base}
        return json.load(urllib.request.urlopen(urllib.request.Request(base + path, json.dumps(body).encode() if body else None, headers), timeout=20))
    while (state := call("/state"))["status"] == "wait": time.sleep(0.05)
    assert state["first"] == len(standing()), "it does not go on where it was"
    for step in range(1000):
        if state["status"] != "ask": break
        if step == 3 and run < kills:
            process.send_signal(signal.SIGKILL if run % 2 == 0 else signal.SIGTERM)
            assert process.wait(20) in (-9, 75), process.returncode
            return False
        if step == 1 and run == 1:
            state = call("/undo", {"state": state["state"]})
        shown = [q["tiles"][0]["item"] for q in state["questions"]]
        state = call("/answer", {"state": state["state"], "ms": 7, "answers": [{"y": 1 if i % 2 else -1} for i in shown]})
        assert [r["items"][0] for r in standing()[-len(shown):]] == shown, "an answer was confirmed before it was written down"
    assert state["status"] == "done" and process.wait(20) == 0
    return True
def tty(run):
    ours, theirs = os.pipe()
    parent, fd = pty.fork()
    if parent == 0:  # as a shell does: the command in a process group of its own, in front; nothing stops an orphaned one
        inner = os.fork()
        if inner == 0:
            os.setpgid(0, 0)
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(0, os.getpgrp())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            os.execvp(command[0], command)
        os.write(theirs, str(inner).encode())
        status = os.waitstatus_to_exitcode(os.waitpid(inner, 0)[1])
        os._exit(status if status >= 0 else 128 - status)
    pid = int(os.read(ours, 20))
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    had, screen, ended = len(standing()), "", False
    def wait_for(number):
        nonlocal screen
        end = time.time() + 20
        while time.time() < end:
            if select.select([fd], [], [], 0.02)[0]:
                try: screen += os.read(fd, 65536).decode("utf-8", "replace")
                except OSError: return
            if len(standing()) >= number and f"{number} of" in screen: return
        raise AssertionError(f"no question {number}: {screen[-300:]!r}")
    def echo(wanted, wrong):  # reads nothing meanwhile: a terminal that nobody reads must not keep the command from stopping
        end = time.time() + 20
        while bool(termios.tcgetattr(fd)[3] & termios.ECHO) != wanted:
            assert time.time() < end, wrong
            if not wanted: os.kill(pid, signal.SIGCONT)
            time.sleep(0.02)
    wait_for(had)
    plan = plan_of()
    for step in range(1000):
        had = len(standing())
        if had >= len(plan): break
        if step == 3 and run < kills:
            os.kill(pid, signal.SIGKILL if run % 2 == 0 else signal.SIGTERM)
            end = b""
            try:
                while piece := os.read(fd, 65536): end += piece
            except OSError: pass
            status = os.waitstatus_to_exitcode(os.waitpid(parent, 0)[1])
            assert status in (137, 75), status
            assert status == 137 or b"\x1b[?1049l" in end, "the other screen was not left"
            return False
        shown = plan[had:had + 4]
        if step == 1 and run == 0:
            os.kill(pid, signal.SIGTSTP)
            echo(True, "the terminal is raw while the command is stopped")
            echo(False, "the terminal is not taken back")
        for place, item in enumerate(shown, 1):
            if item % 2: os.write(fd, str(place).encode())
        os.write(fd, b"\r")
        screen = ""
        if had + len(shown) < len(plan): wait_for(had + len(shown))
        else: break
    end = time.time() + 20
    while time.time() < end:
        if select.select([fd], [], [], 0.02)[0]:
            try:
                if not os.read(fd, 65536): break
            except OSError: break
    assert os.waitstatus_to_exitcode(os.waitpid(parent, 0)[1]) == 0
    return True
def plan_of():
    return [r["items"][0] for r in map(json.loads, open("exec.jsonl")) if r["kind"] == "single"]
for run in range(kills + 2):
    if {"page": page, "tty": tty}[how](run): sys.exit(0)
sys.exit("it does not end")
END
python3 person.py page page.jsonl 4 feedback -q --ask page --answers page.jsonl d.h5 -o page.h5 2>page.errors || fail page
python3 - <<'END' || fail "page: the record"
import json
rows = [json.loads(l) for l in open("page.jsonl")][1:]
assert any(r["kind"] == "undo" for r in rows)
done = []
for r in rows:
    if r["kind"] == "undo": del done[r["question"]:]
    else: done.append(r)
assert [r["question"] for r in done] == list(range(160)) and all(r["y"] == (1 if r["items"][0] % 2 else -1) for r in done)
END
echo "ok page: killed 4 times"
COLORTERM=truecolor TERM=xterm-256color python3 person.py tty tty.jsonl 4 feedback -q --ask tty --answers tty.jsonl d.h5 -o tty.h5 2>tty.errors || fail tty
whole tty.jsonl || fail "tty: the record"
echo "ok tty: killed 4 times, stopped once"

# --- through a folder: both sides are killed -----------------------------------------------------------------------------------
cat > server.py <<'END'
import atexit, json, re, subprocess, sys, time, urllib.request
process = subprocess.Popen(["feedback", "-q", "--serve-spool", "spool", "--ask", "page", "--once"], stderr=subprocess.PIPE, text=True)
atexit.register(process.kill)
base, token = re.search(r"(http://[^/]*)/\?token=(\w+)", process.stderr.readline()).groups()
def call(path, body=None):
    headers = {"X-Plumb-Token": token, "Content-Type": "application/json", "Origin": base}
    return json.load(urllib.request.urlopen(urllib.request.Request(base + path, json.dumps(body).encode() if body else None, headers), timeout=20))
left = int(sys.argv[1])      # screens before it kills its own command, 0 = never
takes_back = len(sys.argv) > 2   # the last of them, with nobody there
end = time.time() + 60
while time.time() < end:
    state = call("/state")
    if state["status"] == "done": break
    if state["status"] == "wait":
        if process.poll() is not None: break
        time.sleep(0.05)
        continue
    shown = [q["tiles"][0]["item"] for q in state["questions"]]
    if call("/answer", {"state": state["state"], "answers": [{"y": 1 if i % 2 else -1} for i in shown]})["status"] == "done": break
    left -= 1
    if left == 0:
        if takes_back:
            state = call("/undo", {"state": call("/state")["state"]})
            assert state["status"] == "wait", f"the page sticks: {state['status']}"
        process.kill()
        sys.exit(0)
sys.exit(process.wait(20))
END
ask() { exec feedback -q --ask spool:spool --answers spool.jsonl d.h5 -o spool.h5 >/dev/null 2>spool.errors; }
(ask) & pid=$!
python3 server.py 4 2>server.errors || fail "spool: the person's side"
until [ "$(answers spool.jsonl)" -ge 36 ]; do kill -0 "$pid" || fail spool; sleep 0.02; done
kill -KILL "$pid"; wait "$pid" 2>/dev/null || true
python3 server.py 2 2>server.errors || fail "spool: the person, alone"    # goes on while nobody takes the answers
[ "$(answers spool.jsonl)" = 36 ] || fail "spool: answers were taken by a dead command"
python3 server.py 1 undo 2>server.errors || fail "spool: an undo, alone"
python3 server.py 1 2>server.errors & person=$!                            # must wait until the screen is taken back
sleep 1
(ask) & pid=$!
wait "$person" || fail "spool: behind an undo"
until [ "$(answers spool.jsonl)" -ge 72 ]; do kill -0 "$pid" || fail spool; sleep 0.02; done
grep -q '"kind":"undo"' spool.jsonl || fail "spool: no undo"
kill -TERM "$pid"; wait "$pid" && fail "spool: no status 75" || [ $? = 75 ] || fail "spool: another status than 75"
(ask) & pid=$!
python3 server.py 0 2>server.errors || fail "spool: the person's side, to the end"
wait "$pid" || fail "spool: to the end"
whole spool.jsonl || fail "spool: the record"
[ "$(ls -A spool)" = session.json ] || fail "spool: left $(ls -A spool)"
echo "ok spool: both sides killed"

# --- whoever was asked, the judgements are the same ------------------------------------------------------------------------------
for name in whole exec page tty spool; do
  python3 - "$name" <<'END' > "$name.values"
import json, sys
rows = {}
for r in map(json.loads, open({"whole": "whole.h5.jsonl"}.get(sys.argv[1], sys.argv[1] + ".jsonl"))):
    if r["kind"] == "single": rows[r["question"]] = (r["items"], r["y"])
print(rows)
END
  cmp whole.values "$name.values" || fail "$name: other judgements"
done
[ -z "$(find . -name '*.tmp.*')" ] || fail "left $(find . -name '*.tmp.*')"
echo "4 passed"
