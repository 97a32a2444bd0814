# plumb's front door. `make demo` and `make test` are all a new user needs; CMake does the work.
#
#   make            build everything into build/bin (bin/ links there)
#   make demo       build, then run the whole pipe on the shipped model and print the report's path (about 5 minutes)
#   make test       build, then run all tests
#   make bench      whole-process ratios against Python peers (installs them under .deps/peers)
#   make docs       regenerate man pages and completions from the option tables
#   make install    PREFIX=/usr/local by default
SHELL = /bin/sh
PREFIX ?= /usr/local
BUILD ?= build
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
export CCACHE_SLOPPINESS = pch_defines,time_macros,include_file_mtime,include_file_ctime

.PHONY: all setup configure demo test check-fast bench docs models install clean

all: setup
	@share/build $(BUILD) $(JOBS)

setup:
	@share/setup

demo: all
	@share/examples/demo.sh runs/demo

test: all
	@tests/all $(BUILD) $(JOBS)

check-fast: all
	@tests/all $(BUILD) $(JOBS) --fast

bench: all
	@python3 tests/bench/bench.py --bin $(BUILD)/bin

docs: all
	@python3 share/tools/docs.py --bin $(BUILD)/bin

models: all
	@$(MAKE) -f share/make/models.mk

install: all
	@cmake --install $(BUILD) --prefix "$(DESTDIR)$(PREFIX)"

clean:
	rm -rf $(BUILD) bin
