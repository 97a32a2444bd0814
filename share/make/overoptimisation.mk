# The cells of share/examples/overoptimisation.sh as make targets, in parallel and resumable:
#
#   make -f share/make/overoptimisation.mk -j2
#   make -f share/make/overoptimisation.mk -j16 SEEDS="1 2 3 4 5" OUT=runs/five
#
# Its settings (GOLD, LABELS, EPOCHS, ...) are environment variables, see the head of the script.
NAME = overoptimisation
SEEDS ?= 1 2 3
# A cell is one file here, and waits for the proxy of its own seed only.
CELL_FILES = $(patsubst %,$(OUT)/cells/%.h5,$(subst $(comma),-,$(CELLS)))
include $(dir $(lastword $(MAKEFILE_LIST)))experiment.mk

$(OUT)/proxies/test.h5:
	@$(RUN) --proxy $(firstword $(SEEDS)) $(OUT)
$(OUT)/proxies/%.h5: | $(OUT)/proxies/test.h5
	@$(RUN) --proxy $* $(OUT)

SEED = $(lastword $(subst -, ,$*))
.SECONDARY:
.SECONDEXPANSION:
$(OUT)/cells/%.h5: | $(OUT)/proxies/$$(lastword $$(subst -, ,$$*)).h5
	@$(RUN) --cell $(patsubst %-$(SEED),%,$*) $(SEED) $(OUT)
