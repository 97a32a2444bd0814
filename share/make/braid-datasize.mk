# The cells of share/examples/braid-datasize.sh as make targets, in parallel and resumable:
#
#   make -f share/make/braid-datasize.mk -j2
#   make -f share/make/braid-datasize.mk -j16 SEEDS="1 2 3 4 5" OUT=runs/five
#
# Its other settings are environment variables, see the head of the script.
OUT ?= runs/braid-datasize
SEEDS ?= 1 2 3
export SEEDS
RUN = share/examples/braid-datasize.sh
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
