# The cells of share/examples/tfbind8.sh as make targets, in parallel and resumable:
#
#   make -f share/make/tfbind8.mk -j2
#   make -f share/make/tfbind8.mk -j16 SEEDS="1 2 3 4 5 6 7 8" OUT=runs/eight
#
# Its settings (DATA, LABELS, ALPHA, ...) are environment variables, see the head of the script.
NAME = tfbind8
include $(dir $(lastword $(MAKEFILE_LIST)))experiment.mk
