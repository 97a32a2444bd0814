# The cells of share/examples/overoptimisation.sh as make targets, in parallel and resumable:
#
#   make -f share/make/overoptimisation.mk -j2
#   make -f share/make/overoptimisation.mk -j16 SEEDS="1 2 3 4 5" OUT=runs/five
#
# Its settings (GOLD, LABELS, EPOCHS, ...) are environment variables, see the head of the script.
OUT ?= runs/overoptimisation
SEEDS ?= 1 2 3
export SEEDS
RUN = share/examples/overoptimisation.sh
CELLS := $(shell $(RUN) --cells | sed 's/ /-/')
SEED = $(lastword $(subst -, ,$*))

.PHONY: page
page: $(CELLS:%=$(OUT)/cells/%.h5)
	@$(RUN) --page $(OUT)

$(OUT)/proxies/test.h5:
	@$(RUN) --proxy $(firstword $(SEEDS)) $(OUT)
$(OUT)/proxies/%.h5: | $(OUT)/proxies/test.h5
	@$(RUN) --proxy $* $(OUT)

.SECONDARY:
.SECONDEXPANSION:
$(OUT)/cells/%.h5: | $(OUT)/proxies/$$(lastword $$(subst -, ,$$*)).h5
	@$(RUN) --cell $(patsubst %-$(SEED),%,$*) $(SEED) $(OUT)
