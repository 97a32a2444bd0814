# The cells of share/examples/braid-uncertainty.sh as make targets, in parallel and resumable:
#
#   make -f share/make/braid-uncertainty.mk -j2
#   make -f share/make/braid-uncertainty.mk -j16 SEEDS="1 2 3 4 5" OUT=runs/five
#
# Its other settings are environment variables, see the head of the script.
OUT ?= runs/braid-uncertainty
SEEDS ?= 1 2 3
export SEEDS
RUN = share/examples/braid-uncertainty.sh
CELLS := $(shell $(RUN) --cells | tr ' ' ,)

comma := ,

# A cell is many files, so the script itself sees what is done: a finished cell costs nothing.
.PHONY: page base $(CELLS)
page: $(CELLS)
	@$(RUN) --page $(OUT)
base:
	@$(RUN) --base $(OUT)
$(CELLS): base
	@$(RUN) --cell $(subst $(comma), ,$@) $(OUT)
