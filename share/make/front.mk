# The cells of share/examples/front.sh as make targets, in parallel and resumable:
#
#   make -f share/make/front.mk -j2
#   make -f share/make/front.mk -j16 SEEDS="1 2 3 4 5" COUNT=2000 OUT=runs/five
#
# Its settings (EPOCHS, COUNT, METHOD, ...) are environment variables, see the head of the script.
OUT ?= runs/front
SEEDS ?= 1 2 3
export SEEDS
ifdef COUNT
export COUNT
endif
RUN = share/examples/front.sh
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
