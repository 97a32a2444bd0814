# The cells of share/examples/subspace.sh as make targets, in parallel and resumable:
#
#   make -f share/make/subspace.mk -j2
#   make -f share/make/subspace.mk -j15 SEEDS="1 2 3 4 5" OUT=runs/subspace
#
# Its settings (STEPS, COUNT, TARGETS, ...) are environment variables, see the head of the script.
OUT ?= runs/subspace
SEEDS ?= 1 2 3 4 5
export SEEDS
RUN = share/examples/subspace.sh
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
