# The cells of share/examples/braid-datasize.sh as make targets, in parallel and resumable:
#
#   make -f share/make/braid-datasize.mk -j2
#   make -f share/make/braid-datasize.mk -j16 SEEDS="1 2 3 4 5" OUT=runs/five
#
# Its other settings are environment variables, see the head of the script.
NAME = braid-datasize
include $(dir $(lastword $(MAKEFILE_LIST)))experiment.mk
