#!/usr/bin/env python3
"""docs.py: makes the man pages, the completions and the frozen option list from what the sources say.

  man/man1/NAME.1.in     prose;  @OPTIONS@ is filled from `NAME --dump-options`, @EXIT@ is the table of exit codes
  man/man5/NAME.5.in     prose;  @SCHEMA kind@ and @LAYOUT kind@ are filled from share/schema and share/layout
  man/man7/NAME.7.in     prose;  @ENTRY name@ becomes the heading and summary of that row of the page's registry
                         (`.\\" registry: lib/rewards/rewards.def` names it); a row without an entry is an error
  share/completions/     plumb.bash, _plumb (zsh), plumb.fish

The results are committed, so that users read them without a build.

  docs.py --bin build/bin           rewrites what changed
  docs.py --bin build/bin --check   exit 1 and a line for each file that would change
SPDX-License-Identifier: Apache-2.0
"""
import argparse
import json
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import completions  # noqa: E402  (beside this file)

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXIT = """.TP
.B 0
Done.
.TP
.B 1
Failed, or a question answered "no".
.TP
.B 2
Bad option, option value or configuration key.
.TP
.B 3
An input is missing, unreadable or does not fit.
.TP
.B 4
Numbers went bad: NaN, infinity, too few samples.
.TP
.B 75
Stopped by a signal or time limit after a good checkpoint: run the same command again to go on.
.TP
.I 128+n
Ended by signal
.IR n ."""


def version():
    return re.search(r'kVersion = "([^"]+)"', (ROOT / "lib/core/version.h").read_text()).group(1)


def roff(text):
    """Plain text as roff text: hyphens of options stay hyphens, no line starts a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def sentence(text):
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def option_notes(row):
    notes = []
    if row.get("required"):
        notes.append("Required.")
    if "allowed" in row:
        notes.append("One of " + ", ".join(row["allowed"]) + ".")
    if "suggestions" in row:
        notes.append("Such as " + ", ".join(row["suggestions"]) + ".")
    if "range" in row:
        notes.append(sentence(row["range"]))
    if row["takes"] == "list":
        notes.append("May be repeated." if "allowed" not in row else "May be repeated, or comma\\-separated.")
    if row["takes"] == "count":
        notes.append("May be repeated.")
    if "default" in row:
        notes.append("Default: " + row["default"] + ".")
    return notes


def options_roff(dump):
    out, group = [], None
    if "positional" in dump:
        out += [".TP", ".I " + roff(dump["positional"]["metavar"]), roff(sentence(dump["positional"]["help"]))]
    groups = list(dict.fromkeys(row["group"] for row in dump["options"]))
    for group in groups:
        out.append('.SS "' + roff(group) + '"')
        for row in (r for r in dump["options"] if r["group"] == group):
            names = ([f"\\fB\\-{row['letter']}\\fR"] if "letter" in row else [])
            negatable = row["takes"] == "nothing" and row.get("default") == "on"
            names.append("\\fB\\-\\-" + ("[no\\-]" if negatable else "") + roff(row["name"]) + "\\fR")
            head = ", ".join(names) + (" \\fI" + roff(row["metavar"]) + "\\fR" if "metavar" in row else "")
            out += [".TP", head, roff(sentence(row["help"]))]
            out += [roff(note) if "\\-" not in note else note for note in option_notes(row)]
    out += [".TP", "\\fB\\-h\\fR, \\fB\\-\\-help\\fR", "Print a summary of the options and exit."]
    out += [".TP", "\\fB\\-\\-version\\fR [\\fB\\-\\-json\\fR]",
            "Print the version and exit; with \\fB\\-\\-json\\fR, also those of what it stands on."]
    return "\n".join(out)


def schema_text(rule):
    if "$ref" in rule:
        name, _, pointer = rule["$ref"].partition("#")
        target = json.loads((ROOT / "share/schema" / (name or "manifest.json")).read_text())
        for part in filter(None, pointer.split("/")):
            target = target[part]
        return {**target, **{k: v for k, v in rule.items() if k != "$ref"}}
    return rule


def type_text(rule):
    if "const" in rule:
        return json.dumps(rule["const"])
    if "enum" in rule:
        return "one of " + ", ".join(str(x) for x in rule["enum"])
    kind = rule.get("type", "")
    if kind == "array" and "items" in rule:
        return "array of " + type_text(schema_text(rule["items"]))
    return " or ".join(kind) if isinstance(kind, list) else kind


def fields_roff(rule, depth=0):
    out = []
    required = set(rule.get("required", []))
    for name, inner in rule.get("properties", {}).items():
        if depth == 0 and name == "kind" and "const" in inner:
            continue
        inner = schema_text(inner)
        kind = type_text(inner) + (", required" if name in required else "")
        out += [".TP", f"\\fB{roff(name)}\\fR" + (f" ({roff(kind)})" if kind else "")]
        if "description" not in inner:
            sys.exit(f"docs: a schema says nothing of its field '{name}'")
        out.append(roff(inner["description"]))
        item = schema_text(inner["items"]) if inner.get("type") == "array" and "items" in inner else inner
        if item.get("properties") and depth < 3:
            out += [".RS", *fields_roff(item, depth + 1), ".RE"]
    return out


def schema_roff(name):
    rule = json.loads((ROOT / f"share/schema/{name}.json").read_text())
    return "\n".join([roff(rule["description"]), *fields_roff(rule)])


def layout_roff(kind):
    rule = json.loads((ROOT / f"share/layout/{kind}.json").read_text())
    out = [roff(rule["summary"])]
    for row in rule["datasets"]:
        shape = " [" + ",".join(row["shape"]) + "]" if "shape" in row else ""
        notes = [f"{row['space']} space"] if "space" in row else []
        notes += ["required"] if row.get("required") else []
        out += [".TP", f"\\fB/{roff(row['name'])}\\fR {roff(row['type'] + shape)}" + (f" ({', '.join(notes)})" if notes else ""),
                roff(row["help"])]
    for group in rule.get("one_of", []):
        if group:
            out += [".PP", roff("At least one of /" + ", /".join(group) + " is there.")]
    return "\n".join(out)


def registry(path):
    """Rows (name, summary) of a .def file."""
    text = (ROOT / path).read_text()
    return dict(re.findall(r'^PLUMB_\w+\(\w+,\s*"([^"]+)",\s*"((?:[^"\\]|\\.)*)"', text, re.M))


def entries(text, paths, page, errors):
    """@ENTRY name@ -> heading and summary; checks that page and registries have the same rows."""
    rows = {}
    for path in paths:
        rows.update(registry(path))
    found = re.findall(r"^@ENTRY (\S+)@$", text, re.M)
    for name in rows:
        if name not in found:
            errors.append(f"{page}: no @ENTRY {name}@, a row of {', '.join(paths)}")
    for name in found:
        if name not in rows:
            errors.append(f"{page}: @ENTRY {name}@ is no row of {', '.join(paths)}")

    def one(match):
        name = match.group(1)
        return f'.SS "{roff(name)}"\n{roff(sentence(rows.get(name, "")))}\n.br'
    return re.sub(r"^@ENTRY (\S+)@$", one, text, flags=re.M)


def render(source, dumps, errors):
    text = source.read_text()
    page = str(source.relative_to(ROOT))
    name = source.name.split(".")[0]
    registries = re.findall(r'^\.\\" registry: (\S+)$', text, re.M)
    if registries:
        text = entries(text, registries, page, errors)
    if "@OPTIONS@" in text:
        if name not in dumps:
            errors.append(f"{page}: there is no bin/{name} to ask for its options")
            return text
        text = text.replace("@OPTIONS@", options_roff(dumps[name]))
        text = text.replace("@SUMMARY@", roff(dumps[name]["summary"]))
    text = text.replace("@EXIT@", EXIT).replace("@VERSION@", version())
    text = re.sub(r"^@SCHEMA (\w+)@$", lambda m: schema_roff(m.group(1)), text, flags=re.M)
    text = re.sub(r"^@LAYOUT (\w+)@$", lambda m: layout_roff(m.group(1)), text, flags=re.M)
    left = re.search(r"^@[A-Z]+.*@$", text, re.M)
    if left:
        errors.append(f"{page}: {left.group(0)} is not understood")
    note = f'.\\" Made by share/tools/docs.py from {page}: edit that.\n'
    return note + text


def main():
    parser = argparse.ArgumentParser(description="make man pages and completions")
    parser.add_argument("--bin", default="build/bin")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--partial", action="store_true", help="leave alone the pages of tools that are not built")
    options = parser.parse_args()
    tools = sorted(path.stem for path in (ROOT / "tools").glob("*.cpp"))
    dumps, errors, results = {}, [], {}
    for tool in tools:
        binary = pathlib.Path(options.bin) / tool
        if binary.exists():
            dumps[tool] = json.loads(subprocess.run([binary, "--dump-options"], check=True, capture_output=True).stdout)
        elif not options.partial:
            errors.append(f"{binary} is not built")
    for tool in tools:
        if not (ROOT / f"man/man1/{tool}.1.in").exists():
            errors.append(f"man/man1/{tool}.1.in is missing")
    for source in sorted((ROOT / "man").glob("man*/*.in")):
        if options.partial and source.parent.name == "man1" and source.name.split(".")[0] not in dumps:
            continue
        results[source.with_suffix("")] = render(source, dumps, errors)
    for name, text in completions.make(dumps).items():
        results[ROOT / "share/completions" / name] = text
    stale = [path for path, text in results.items() if not path.exists() or path.read_text() != text]
    for error in errors:
        print("docs: " + error, file=sys.stderr)
    for path in stale:
        if options.check:
            print(f"docs: {path.relative_to(ROOT)} is out of date: run make docs", file=sys.stderr)
        else:
            path.write_text(results[path])
            print(f"docs: wrote {path.relative_to(ROOT)}")
    if errors or (options.check and stale):
        return 1
    if options.check:
        print(f"{len(results)} files passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
