# The cells of share/examples/braid-alpha.sh as make targets, in parallel and resumable:
#
#   make -f share/make/braid-alpha.mk -j2
#   make -f share/make/braid-alpha.mk -j16 SEEDS="1 2 3 4 5" OUT=runs/five
#
# Its other settings are environment variables, see the head of the script.
OUT ?= runs/braid-alpha
SEEDS ?= 1 2 3
export SEEDS
RUN = share/examples/braid-alpha.sh
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
