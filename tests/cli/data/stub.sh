#!/bin/sh
# stub ARGUMENTS...: any command, by its name: writes its arguments to $LOG, a line each, and makes what -o names; ends with $STATUS.
name=$(basename "$0")
for argument in "$@"; do echo "$name <$argument>"; done >>"$LOG"
while [ $# -gt 1 ]; do
  [ "$1" != -o ] || : >"$2"
  shift
done
echo "$name was here"
exit "${STATUS:-0}"
