#!/usr/bin/env python3
"""A person in a real browser: Chromium, driven through chromedriver, takes a PAPA run of three rounds at its page, with clicks and keys.
The run is killed in the middle and goes on; a browser without the token, and a page of another origin, get nowhere.

  tests/browser/session.py [--bin build/bin] [--screens FOLDER]     needs chromium and chromedriver (Debian: chromium, chromium-driver)
SPDX-License-Identifier: Apache-2.0"""
import argparse, base64, http.server, json, os, re, shutil, signal, subprocess, sys, tempfile, threading, time, urllib.error, urllib.request

root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TAB, ENTER = "\ue004", "\ue007"


class Browser:
    """What is needed of the WebDriver protocol."""

    def __init__(self, profile):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        while not (port := re.search(r"successfully on port (\d+)", self.driver.stdout.readline())):
            assert self.driver.poll() is None, "chromedriver does not start"
        self.base = f"http://127.0.0.1:{port[1]}"
        args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                "--disable-component-update", "--disable-sync", "--window-size=1000,900", f"--user-data-dir={profile}"]
        self.session = f"{self.base}/session/" + self.call("POST", f"{self.base}/session", {
            "capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": args}}}})["sessionId"]

    def call(self, method, url, body=None):
        request = urllib.request.Request(url, json.dumps(body).encode() if body is not None else None, {"Content-Type": "application/json"}, method=method)
        try:
            return json.load(urllib.request.urlopen(request, timeout=60))["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()[:500]) from None

    def go(self, url): self.call("POST", self.session + "/url", {"url": url})
    def run(self, script): return self.call("POST", self.session + "/execute/sync", {"script": script, "args": []})
    def press(self, *keys):
        for key in keys:
            steps = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
            self.call("POST", self.session + "/actions", {"actions": [{"type": "key", "id": "keys", "actions": steps}]})
    def click(self, css, index=0):
        found = self.call("POST", self.session + "/elements", {"using": "css selector", "value": css})
        (element,) = found[index].values()
        self.call("POST", f"{self.session}/element/{element}/click", {})
    def picture(self, path):
        with open(path, "wb") as file: file.write(base64.b64decode(self.call("GET", self.session + "/screenshot")))
    def wait(self, script, what, seconds=90):
        end = time.time() + seconds
        while not self.run("return " + script):
            assert time.time() < end, f"waited in vain for {what}: " + self.run("return document.body.innerText")[:300]
            time.sleep(0.05)
    def close(self):
        try: self.call("DELETE", self.session)
        finally: self.driver.terminate()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default=os.path.join(root, "build", "bin"))
    parser.add_argument("--screens", help="folder for screenshots")
    options = parser.parse_args()
    os.environ["PATH"] = os.path.abspath(options.bin) + ":" + os.environ["PATH"]
    screens = os.path.abspath(options.screens) if options.screens else None
    if screens: os.makedirs(screens, exist_ok=True)
    work = tempfile.mkdtemp()
    os.chdir(work)
    model = os.path.join(root, "share", "models", "fashion-mnist.h5")
    command = ["finetune", "-q", "--model", model, "--class", "none", "--method", "papa", "--ask", "page", "--rounds", "3", "--per-round", "12",
               "--sampler-steps", "8", "--papa.timesteps", "4", "--papa.passes", "2", "--monitor-every", "0", "-o", "mine.h5"]

    def start():
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if address := re.search(r"http://127\.0\.0\.1:\d+/\?token=\w+", line): break
        else: raise AssertionError("no address")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        return process, address[0]

    def answers(number):
        """Those that stand."""
        path, standing = f"mine.h5.rounds/round-{number:04d}-answers.jsonl", []
        for row in map(json.loads, open(path)) if os.path.exists(path) else []:
            if row["kind"] == "undo": del standing[row["question"]:]
            if row["kind"] == "single": standing.append(row)
        return standing

    process, address = start()
    base = address.split("/?")[0]
    browser, stranger = Browser(os.path.join(work, "profile")), Browser(os.path.join(work, "stranger"))
    try:
        asking = "state && state.status === 'ask' && !busy"
        def at(round_number, first): return f"{asking} && state.first === {first} && state.text.includes('round {round_number} of 3')"
        browser.go(address)
        browser.wait(at(1, 0), "the first screen")
        # Enter on the button that has the focus presses that one, and answers nothing
        for mark in (1, -1, 0):
            browser.press(*[TAB, ENTER] if mark == 1 else [ENTER])
            browser.wait(f"{at(1, 0)} && (marks[0] || 0) === {mark} && document.activeElement === document.querySelector('.tile')", "the first tile pressed")
        browser.run("[...document.querySelectorAll('#keys button')].find(b => b.textContent.includes('Help')).focus()")
        browser.press(ENTER)
        browser.wait("document.getElementById('help').open", "the help")
        browser.press(ENTER)
        browser.wait("!document.getElementById('help').open", "the page again")
        browser.run("document.activeElement.blur()")
        assert browser.run(f"return {at(1, 0)}") and not answers(1), answers(1)
        # keys: like 2 and 5, change one's mind on 5, help and back, next
        browser.press("2", "5", "5")
        if screens: browser.picture(f"{screens}/1-marked.png")
        browser.press("?")
        if screens: browser.picture(f"{screens}/2-help.png")
        browser.press("?", ENTER)
        browser.wait(at(1, 6), "the second screen")
        assert [row["y"] for row in answers(1)] == [-1, 1, -1, -1, -1, -1], answers(1)
        browser.press("z")
        browser.wait(at(1, 0), "the first screen again")
        browser.press(ENTER)
        browser.wait(at(1, 6), "the second screen again")
        # a browser that does not know the token, and a page of another origin
        before = open("mine.h5.rounds/round-0001-answers.jsonl").read()
        stranger.go(base + "/")
        assert "token" in stranger.run("return document.body.innerText"), stranger.run("return document.body.innerText")
        if screens: stranger.picture(f"{screens}/3-refused.png")
        class Elsewhere(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200); self.send_header("Content-Type", "text/html"); self.end_headers()
                self.wfile.write(b"<body>elsewhere</body>")
            def log_message(self, *_): pass
        server = http.server.HTTPServer(("127.0.0.1", 0), Elsewhere)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stranger.go(f"http://localhost:{server.server_port}/")
        token = address.split("token=")[1]
        body = json.dumps({"state": browser.run("return state.state"), "answers": [{"y": 1}] * 6})   # all but its sender is right
        for how in ["{method:'POST',mode:'no-cors',body:B}", "{method:'POST',body:B,headers:{'Content-Type':'application/json','X-Plumb-Token':T}}"]:
            script = ("const T='%s',B='%s';return fetch('%s/answer?token='+T,%s)"
                      ".then(a=>a.type==='opaque'?'opaque':'answered '+a.status,e=>'refused')") % (token, body, base, how)
            assert stranger.run(script) in ("opaque", "refused"), "another origin may post"
        headers = {"Content-Type": "application/json", "X-Plumb-Token": token, "Origin": f"http://localhost:{server.server_port}"}
        try:
            status = urllib.request.urlopen(urllib.request.Request(base + "/answer", body.encode(), headers), timeout=20).status
        except urllib.error.HTTPError as error:
            status = f"{error.code} {error.read().decode().strip()}"
        assert status == "403 another page may not post here", status
        time.sleep(0.5)
        assert open("mine.h5.rounds/round-0001-answers.jsonl").read() == before, "another origin's answer was taken"
        # clicks
        browser.click(".tile", 0)
        browser.click("#keys button.main")
        browser.wait("state && state.status === 'wait' || " + at(2, 0), "the next round")
        if screens: browser.picture(f"{screens}/4-between.png")
        # quitting while the model learns, or right after: the same command goes on
        browser.press("q")
        browser.wait("state && state.status === 'saved'", "the word that all is saved")
        if screens: browser.picture(f"{screens}/4-quit.png")
        assert process.wait(120) == 75, process.returncode
        process, address = start()
        base = address.split("/?")[0]
        browser.go(address)
        browser.wait(at(2, 0), "round 2")
        assert not browser.run("return marks.some(m => m)"), "the marks of another round"
        browser.press("1", "6", ENTER)
        browser.wait(at(2, 6), "the end of round 2")
        # killed: the page says so; the same command goes on behind the six answers
        process.send_signal(signal.SIGKILL)
        process.wait()
        browser.wait("!document.getElementById('alert').hidden", "the page to see that nobody is there", 20)
        if screens: browser.picture(f"{screens}/5-lost.png")
        assert not os.path.exists("mine.h5"), "a model of a run that was killed"
        process, address = start()
        browser.go(address)
        browser.wait(at(2, 6), "round 2 where it was")
        assert len(answers(2)) == 6
        browser.press("3", ENTER)
        browser.wait(at(3, 0), "round 3")
        if screens: browser.picture(f"{screens}/6-round-3.png")
        for place in range(6): browser.click(".tile", place)
        browser.press(ENTER)
        browser.wait(at(3, 6), "the last screen")
        browser.press("s")
        browser.wait("state && state.status === 'done'", "the end")
        if screens: browser.picture(f"{screens}/7-done.png")
        assert process.wait(60) == 0, process.returncode
    finally:
        browser.close(); stranger.close()
        if process.poll() is None: process.kill()
    subprocess.run(["check", "mine.h5"], check=True)
    liked = [sum(row["y"] == 1 for row in answers(k)) for k in (1, 2, 3)]
    assert liked == [2, 3, 6], liked
    shutil.rmtree(work)
    print("1 passed")


if __name__ == "__main__":
    sys.exit(main())
