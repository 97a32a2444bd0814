#!/bin/sh
# study FOLDER: an experiment like those of share/examples, of nothing. For tests/cli/examples.reg, which puts it beside common.sh.
set -eu
. "$(dirname "$0")/common.sh"
SEEDS=${SEEDS:-1 2}
SIZE=${SIZE:-3}
WORDS=${WORDS:-a b}
settings="SIZE WORDS"
export SEEDS $settings
folders="cells"
preparing="nothing"
cells() { for word in $WORDS; do for seed in $SEEDS; do echo "$word $seed"; done; done; }
prepare() { :; }
cell() { echo "$1 $2 of $SIZE" >"cells/$1-$2"; }
page() { cat cells/*; }
study "$@"
