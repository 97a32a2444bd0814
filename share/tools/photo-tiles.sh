#!/bin/sh
# photo-tiles OUT.h5 [OPTION]...: a dataset of small colour pictures, cut from the 12 nature photographs of Debian's package
# mate-backgrounds (47 MB, GPL-2+: make the tiles where you need them, do not publish them with other terms). No root needed.
#
#   share/tools/photo-tiles.sh tiles.h5               9,066 tiles of 64x64, at full size
#   share/tools/photo-tiles.sh tiles.h5 --shrink 2    2,212 tiles with more in each: options go to ingest(1), --tile among them
#   PHOTOS=FOLDER share/tools/photo-tiles.sh ...      other photos, or these where they are installed:
#                                                     /usr/share/backgrounds/mate/nature
#
# PLUMB_BIN is the folder of the commands, where it is neither build/bin nor in PATH.
# Prints the dataset's manifest. The tiles have no labels.   SPDX-License-Identifier: Apache-2.0
set -eu
here=$(cd "$(dirname "$0")/../.." && pwd)
PATH="${PLUMB_BIN:-$here/build/bin}:$PATH"
die() {
  echo "photo-tiles: $2" >&2
  exit "$1"
}
case "${1-}" in
  -h | --help) sed -n '2,/^# Prints/s/^# \{0,1\}//p' "$0"; exit 0 ;;
  "" | -*) die 2 "which file to write? photo-tiles.sh OUT.h5 [OPTION]..." ;;
esac
out=$1
shift

photos=${PHOTOS-}
if [ -z "$photos" ]; then
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null ||
    die 1 "this is not Debian or Ubuntu: unpack its package mate-backgrounds elsewhere and give the folder as PHOTOS"
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  echo "photo-tiles: fetching mate-backgrounds (47 MB)" >&2
  (cd "$work" && apt-get -q download mate-backgrounds >log 2>&1) ||
    die 1 "apt-get download mate-backgrounds: $(grep '^E: ' "$work/log" | head -n 1): try 'apt-get update' first"
  dpkg-deb -x "$work"/mate-backgrounds_*.deb "$work"
  photos=$work/usr/share/backgrounds/mate/nature
  # of version 1.26.0-1, as `sha256sum ./*.jpg | sha256sum` prints it
  [ "$(cd "$photos" && LC_ALL=C sha256sum ./*.jpg | sha256sum)" = \
    "f312fc95ffc0ece66d53df0cd7e2fed30335dde7530e7e1a594bee984bd6606a  -" ] ||
    echo "photo-tiles: warning: these photos are not those of mate-backgrounds 1.26.0-1: other tiles than elsewhere" >&2
fi
ingest "$photos" --labels none --channels rgb --tile 64 "$@" -o "$out"
