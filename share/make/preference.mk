# The cells of share/examples/preference.sh as make targets, in parallel and resumable:
#
#   make -f share/make/preference.mk -j2
#   make -f share/make/preference.mk -j16 SEEDS="1 2 3 4 5" OUT=runs/five
#
# Its settings (SETS, ROUNDS, COUNT, ...) are environment variables, see the head of the script.
NAME = preference
include $(dir $(lastword $(MAKEFILE_LIST)))experiment.mk
