# The cells of share/examples/reward-directed-images.sh as make targets, in parallel and resumable:
#
#   make -f share/make/reward-directed-images.mk -j2
#   make -f share/make/reward-directed-images.mk -j9 SEEDS="1 2 3" OUT=runs/images
#
# Its settings (STEPS, COUNT, STRENGTHS, ...) are environment variables, see the head of the script.
OUT ?= runs/images
SEEDS ?= 1
export SEEDS
RUN = share/examples/reward-directed-images.sh
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
