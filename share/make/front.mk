# The cells of share/examples/front.sh as make targets, in parallel and resumable:
#
#   make -f share/make/front.mk -j2
#   make -f share/make/front.mk -j16 SEEDS="1 2 3 4 5" COUNT=2000 OUT=runs/five
#
# Its settings (EPOCHS, COUNT, METHOD, ...) are environment variables, see the head of the script.
NAME = front
include $(dir $(lastword $(MAKEFILE_LIST)))experiment.mk
