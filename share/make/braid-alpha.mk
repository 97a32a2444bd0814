# The cells of share/examples/braid-alpha.sh as make targets, in parallel and resumable:
#
#   make -f share/make/braid-alpha.mk -j2
#   make -f share/make/braid-alpha.mk -j16 SEEDS="1 2 3 4 5" OUT=runs/five
#
# Its other settings are environment variables, see the head of the script.
NAME = braid-alpha
include $(dir $(lastword $(MAKEFILE_LIST)))experiment.mk
