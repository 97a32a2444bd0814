# The cells of share/examples/fly-dna.sh as make targets, in parallel and resumable:
#
#   make -f share/make/fly-dna.mk -j2
#   make -f share/make/fly-dna.mk -j16 SEEDS="1 2 3 4 5 6 7 8" OUT=runs/eight
#
# Its settings (DATA, LABELS, ALPHA, ...) are environment variables, see the head of the script.
OUT ?= runs/fly-dna
RUN = share/examples/fly-dna.sh
ifdef SEEDS
export SEEDS
endif
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
