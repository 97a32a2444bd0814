# The cells of share/examples/reward-directed-images.sh as make targets, in parallel and resumable:
#
#   make -f share/make/reward-directed-images.mk -j2
#   make -f share/make/reward-directed-images.mk -j9 SEEDS="1 2 3" OUT=runs/images
#
# Its settings (STEPS, COUNT, CONDITION, GUIDE, ...) are environment variables, see the head of the script.
NAME = reward-directed-images
OUT ?= runs/images
include $(dir $(lastword $(MAKEFILE_LIST)))experiment.mk
