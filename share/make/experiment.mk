# The cells of an experiment in share/examples as make targets: what braid-alpha.mk, front.mk and the others here share. They set NAME,
# then include it; an experiment without a file of its own: make -f share/make/experiment.mk NAME=front
#
# The script has --cells, --cell WORDS... FOLDER, --base FOLDER and --page FOLDER, see study in share/examples/common.sh. A cell is many
# files, so the script itself sees what is done: a finished cell costs nothing. CELL_FILES, where set, are the targets of the cells
# instead; the file that includes this one has their rules. Settings of the script are its environment, or are given to make: COUNT=500.
OUT ?= runs/$(NAME)
ifdef SEEDS
export SEEDS
endif
HERE := $(dir $(lastword $(MAKEFILE_LIST)))
RUN = $(HERE)../examples/$(NAME).sh
comma := ,
# Recipes see what is set on make's command line; $(shell) of GNU make before 4.4 does not, so it is handed over, as is a SEEDS of a makefile.
given = $(foreach v,$(.VARIABLES),$(if $(filter command SEEDS,$(firstword $(origin $v)) $v),$v='$(subst ','\'',$($v))'))
CELLS := $(shell $(given) $(RUN) --cells | tr ' ' ,)

.PHONY: page
page: $(or $(CELL_FILES),$(CELLS))
	@$(RUN) --page "$(OUT)"

ifndef CELL_FILES
.PHONY: base $(CELLS)
base:
	@$(RUN) --base "$(OUT)"
$(CELLS): base
	@$(RUN) --cell $(subst $(comma), ,$@) "$(OUT)"
endif
