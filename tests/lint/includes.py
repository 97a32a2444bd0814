#!/usr/bin/env python3
"""includes.py: what the compiler does not hold.

  - a room of lib/ includes only rooms on its left; only tools include cli; Torch stays out of core, io, feedback, cli and report
  - nobody includes torch/torch.h (16 s a file); of lib/ and tools/, lib/nn/torchscript.cpp alone includes the JIT's headers
  - a tool's code above `#ifndef PLUMB_FRONT` includes nothing of Torch, so that --help takes milliseconds
  - the version is the same in CMakeLists.txt and lib/core/version.h
  - each tool has a page, a table of command-line tests and a row in tools/CMakeLists.txt
  - each .def registry is sorted, its names are unique and kebab-case, and each row has its definition, an entry in the manual and a test
  - files keep to their length and start with a comment that ends in the licence
SPDX-License-Identifier: Apache-2.0
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
ORDER = ["core", "io", "feedback", "nn", "diffusion", "rewards", "metrics", "align"]
PLAIN = {"core", "io", "feedback", "cli", "report"}
BESIDE = {"cli": ["core", "io"], "report": ["core", "io"]}  # rooms beside the row: what they may include
TORCH = re.compile(r"^(ATen|c10|torch|caffe2)/")
FACTORY = {"rewards.def": "make_{}(const RewardSpec&", "metrics.def": "{}_metric(const MetricInput&",
           "methods.def": "make_{}(const TuningContext&", "samplers.def": "make_{}(const SamplerOptions&", "steerings.def": "make_{}(const SteeringContext&",
           "importers.def": "make_{}(const ImportOptions&", "exporters.def": "export_{}(const Manifest&", "askers.def": "make_{}(const AskerInput&"}
LONGEST = {"lib/*.cpp": 450, "lib/*.h": 260, "tools/*.cpp": 180}
problems = []


def problem(path, text, line=None):
    where = f"{path.relative_to(ROOT)}" + (f":{line}" if line else "")
    problems.append(f"{where}: {text}")


def includes(path):
    for number, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
        if match:
            yield number, match.group(1)


def check_room(path, room):
    allowed = set(BESIDE.get(room, ORDER[: ORDER.index(room)] if room in ORDER else [])) | {room}
    for number, name in includes(path):
        head = name.split("/")[0]
        if head in set(ORDER) | set(BESIDE) and "/" in name and head not in allowed:
            problem(path, f"room {room} must not include {name}", number)
        if TORCH.match(name) and room in PLAIN:
            problem(path, f"room {room} is free of Torch, but includes {name}", number)


def check_torch(path):
    for number, name in includes(path):
        if name in ("torch/torch.h", "torch/all.h", "torch/extension.h") or name.startswith(("torch/nn", "torch/optim")):
            problem(path, f"{name} costs 16 s a file: include ATen/ATen.h", number)
        if name.startswith(("torch/csrc/jit", "torch/script.h")) and path.name != "torchscript.cpp" and "tests" not in path.relative_to(ROOT).parts:
            problem(path, f"{name} belongs in lib/nn/torchscript.cpp", number)


def torch_free_header(name, seen):
    """Whether a header of ours includes nothing of Torch, directly or not."""
    path = ROOT / "lib" / name
    if name in seen or not path.exists():
        return True
    seen.add(name)
    return all(not TORCH.match(inner) and torch_free_header(inner, seen) for _, inner in includes(path))


def check_tool(path):
    fenced = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if "ifndef PLUMB_FRONT" in line:
            fenced = True
        match = re.match(r'\s*#\s*include\s+[<"]([^>"]+)[>"]', line)
        if match and not fenced and (TORCH.match(match.group(1)) or not torch_free_header(match.group(1), set())):
            problem(path, f"{match.group(1)} needs Torch: move it below #ifndef PLUMB_FRONT", number)
    name = path.stem
    for needed in (f"man/man1/{name}.1.in", f"man/man1/{name}.1", f"tests/cli/{name}.reg"):
        if not (ROOT / needed).exists():
            problem(path, f"has no {needed}")
    if not re.search(rf"\b{name}\b", (ROOT / "tools/CMakeLists.txt").read_text()):
        problem(path, "has no row in tools/CMakeLists.txt")


def check_registry(path, pages, tests):
    rows = re.findall(r'^PLUMB_\w+\((\w+),\s*"([^"]+)",\s*"((?:[^"\\]|\\.)*)"\)', path.read_text(), re.M)
    lines = [line for line in path.read_text().splitlines() if line.startswith("PLUMB_")]
    if len(rows) != len(lines) or not rows:
        problem(path, f"{len(lines)} rows, {len(rows)} understood")
    names = [name for _, name, _ in rows]
    if names != sorted(names):
        problem(path, "rows are not sorted by name")
    if len(set(names)) != len(names):
        problem(path, "a name occurs twice")
    code = "".join(source.read_text() for source in path.parent.rglob("*.cpp"))
    for identifier, _, _ in rows:
        factory = FACTORY[path.name].format(identifier)
        if not re.search(rf"\b{re.escape(factory)}[^;{{]*\{{", code):
            problem(path, f"'{identifier}': nothing in {path.parent.relative_to(ROOT)} defines {factory}...)")
    page = next((p for p in pages if f"registry: {path.relative_to(ROOT)}" in p.read_text()), None)
    if page is None:
        problem(path, "no page of the manual lists this registry")
    for identifier, name, summary in rows:
        if not re.fullmatch(r"[a-z0-9]+([-+]+[a-z0-9]+)*\+*", name):
            problem(path, f"'{name}' is not kebab-case")
        if not summary or summary.endswith("."):
            problem(path, f"'{name}': the summary is one sentence without a full stop")
        if page is not None and f"@ENTRY {name}@" not in page.read_text():
            problem(path, f"'{name}' has no @ENTRY in {page.relative_to(ROOT)}")
        if not any(name in text or identifier in text for text in tests):
            problem(path, f"'{name}' occurs in no test")


def check_shape(path):
    text = path.read_text()
    lines = text.splitlines()
    for pattern, longest in LONGEST.items():
        top, kind = pattern.split("/")
        if path.relative_to(ROOT).parts[0] == top and path.match(kind) and len(lines) > longest:
            problem(path, f"{len(lines)} lines, at most {longest}")
    if "SPDX-License-Identifier: Apache-2.0" not in "\n".join(lines[:14]):
        problem(path, "the comment at its head lacks SPDX-License-Identifier: Apache-2.0")


def main():
    sources = sorted(p for folder in ("lib", "tools", "tests") for p in (ROOT / folder).rglob("*") if p.suffix in (".cpp", ".h"))
    for path in sources:
        parts = path.relative_to(ROOT).parts
        check_torch(path)
        check_shape(path)
        if parts[0] == "lib" and len(parts) > 2:
            check_room(path, parts[1])
        if parts[0] == "tools":
            check_tool(path)
    cmake = re.search(r"project\(plumb VERSION ([0-9.]+)", (ROOT / "CMakeLists.txt").read_text()).group(1)
    header = re.search(r'kVersion = "([^"]+)"', (ROOT / "lib/core/version.h").read_text()).group(1)
    if cmake != header:
        problems.append(f"CMakeLists.txt says version {cmake}, lib/core/version.h {header}")
    pages = sorted((ROOT / "man").glob("man*/*.in"))
    tests = [p.read_text() for p in (ROOT / "tests").rglob("*") if p.suffix in (".cpp", ".reg", ".sh", ".py")]
    registries = sorted((ROOT / "lib").rglob("*.def"))
    for path in registries:
        check_registry(path, pages, tests)
    for text in problems:
        print(text)
    print(f"{len(sources)} files, {len(registries)} registries: {'passed' if not problems else str(len(problems)) + ' problems'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
