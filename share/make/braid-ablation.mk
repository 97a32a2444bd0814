# The cells of share/examples/braid-ablation.sh as make targets, in parallel and resumable:
#
#   make -f share/make/braid-ablation.mk -j2
#   make -f share/make/braid-ablation.mk -j16 SEEDS="1 2 3 4 5" OUT=runs/five
#
# Its other settings are environment variables, see the head of the script.
NAME = braid-ablation
include $(dir $(lastword $(MAKEFILE_LIST)))experiment.mk
