# The cells of share/examples/subspace.sh as make targets, in parallel and resumable:
#
#   make -f share/make/subspace.mk -j2
#   make -f share/make/subspace.mk -j15 SEEDS="1 2 3 4 5" OUT=runs/subspace
#
# Its settings (STEPS, COUNT, TARGETS, ...) are environment variables, see the head of the script.
NAME = subspace
include $(dir $(lastword $(MAKEFILE_LIST)))experiment.mk
