# The cells of share/examples/overoptimisation.sh as make targets, in parallel and resumable:
#
#   make -f share/make/overoptimisation.mk -j2
#   make -f share/make/overoptimisation.mk -j16 SEEDS="1 2 3 4 5" OUT=runs/five
#
# Its settings (GOLD, LABELS, EPOCHS, ...) are environment variables, see the head of the script.
NAME = overoptimisation
SEEDS ?= 1 2 3
# A cell is one file here, and waits for the proxy of its own seed only. The folder's name may have blanks: in prerequisites that are written
# out, not in those of a pattern.
blank := $(subst ,, )
FOLDER = $(subst $(blank),\ ,$(OUT))
CELL_FILES = $(patsubst %,$(FOLDER)/cells/%.h5,$(subst $(comma),-,$(CELLS)))
include $(dir $(lastword $(MAKEFILE_LIST)))experiment.mk

$(foreach cell,$(CELLS),$(eval $(FOLDER)/cells/$(subst $(comma),-,$(cell)).h5: | $(FOLDER)/proxies/$(lastword $(subst $(comma), ,$(cell))).h5))
$(patsubst %,$(FOLDER)/proxies/%.h5,$(SEEDS)): | $(FOLDER)/proxies/test.h5

$(FOLDER)/proxies/test.h5:
	@$(RUN) --proxy $(firstword $(SEEDS)) "$(OUT)"
$(FOLDER)/proxies/%.h5:
	@$(RUN) --proxy $* "$(OUT)"

SEED = $(lastword $(subst -, ,$*))
.SECONDARY:
$(FOLDER)/cells/%.h5:
	@$(RUN) --cell $(patsubst %-$(SEED),%,$*) $(SEED) "$(OUT)"
