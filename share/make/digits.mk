# The cells of share/examples/digits.sh as make targets, in parallel and resumable:
#
#   share/tools/digits-data.sh runs/data
#   make -f share/make/digits.mk -j2
#   make -f share/make/digits.mk -j16 SEEDS="1 2 3 4 5" OUT=runs/five
#
# Its settings (IMAGES, SETS, ROUNDS, COUNT, ...) are environment variables, see the head of the script.
NAME = digits
include $(dir $(lastword $(MAKEFILE_LIST)))experiment.mk
