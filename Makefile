# SPDX-License-Identifier: Apache-2.0
# The front door: each target says what it does, meson and the scripts in tools/ and tests/ do it.

BUILD := build/release
# Where the build is installed for use from this tree: demo, tests and benchmarks run what a user would.
STAGE := $(CURDIR)/build/stage
IMAGE := build/images/debian
PREFIX ?= /usr/local
MONOCORE := $(STAGE)/bin/monocore

.DEFAULT_GOAL := help
.PHONY: help setup packages build demo test bench soak lint fmt install clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

packages:
	@tools/setup packages

setup: packages ## install what is missing: packages, guest kernel, VM template, demo image
	@$(MAKE) --no-print-directory build
	@tools/setup kernel $(STAGE)
	@tools/setup template $(STAGE)
	@tools/setup image

build: ## compile everything into build/
	@mkdir -p build
	@[ -e $(BUILD)/build.ninja ] || meson setup --prefix=$(PREFIX) $(BUILD) >build/setup.log 2>&1 || \
		{ cat build/setup.log; echo "the build needs packages: run 'make setup'"; exit 1; }
	@ninja -C $(BUILD) --quiet
	@tools/stage $(BUILD) $(STAGE)

demo: setup ## run Python from a Debian image in a microVM, setting up all it needs
	$(MONOCORE) tmp oci:$(IMAGE) -- python3 -c 'import platform; print(platform.uname())'

test: setup ## run all tests, real VMs included
	@tests/run

bench: setup ## measure start times and sizes beside plain QEMU and umoci
	@tests/bench/bench.py

soak: setup ## start, use, kill and remove sandboxes for MINUTES (default 10) and look for leaks
	@tests/run --soak $(or $(MINUTES),10)

lint: packages ## check format, layers, sizes and scripts
	@tools/lint

fmt: packages ## format the sources
	@tools/sources | xargs clang-format -i

install: build ## install into PREFIX (/usr/local) below DESTDIR
	@meson install -C $(BUILD) --no-rebuild --quiet $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))

clean: ## remove all that was built and made
	@rm -rf build
