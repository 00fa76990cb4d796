# SPDX-License-Identifier: Apache-2.0
# The front door: each target says what it does, meson and the scripts in tools/ and tests/ do it.

BUILD := build/release
# Where the build is installed for use from this tree: demo, tests and benchmarks run what a user would.
STAGE := $(CURDIR)/build/stage
IMAGE := build/images/debian
PREFIX ?= /usr/local
# What of tools/packages.txt is set up; empty: everything.
PACKAGE_GROUPS :=
# Which images of tools/make-image are made; empty: all.
IMAGES :=
# A user's PATH lacks them, and root's after a plain `su`.
export PATH := $(PATH):/usr/sbin:/sbin

.DEFAULT_GOAL := help
.PHONY: help setup packages build demo test sanitize bench soak lint fmt install clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

packages:
	@tools/setup packages $(PACKAGE_GROUPS)

setup: packages ## install what is missing: packages, guest kernel, VM template, images
	@$(MAKE) --no-print-directory build
	@tools/setup kernel "$(STAGE)"
	@tools/setup template "$(STAGE)"
	@tools/setup image $(IMAGES)

build: ## compile everything into build/
	@mkdir -p build
	@other=$$(find build -maxdepth 2 -type d ! -writable -print -quit) && [ -z "$$other" ] || \
		{ echo "$$other is not yours to write (built as root?): give it back with chown, or remove build/"; exit 1; }
	@[ -e $(BUILD)/build.ninja ] || { echo 'compiling into build/ (once; a minute or so)' && \
		meson setup --prefix="$(PREFIX)" $(BUILD) >build/setup.log 2>&1; } || \
		{ cat build/setup.log; echo "the build needs packages: run 'make setup'"; exit 1; }
	@ninja -C $(BUILD) --quiet
	@tools/stage $(BUILD) "$(STAGE)"

demo: ## run Python from a Debian image in a microVM, setting up all it needs
	@$(MAKE) --no-print-directory setup PACKAGE_GROUPS='build run demo' IMAGES=debian
	build/stage/bin/monocore tmp oci:$(IMAGE) -- python3 -c 'import platform; print(platform.uname())'

test: setup ## run all tests, real VMs included
	@tests/run

bench: setup ## measure starts beside plain QEMU, pulls beside skopeo and podman, file systems beside others, the switch
	@tests/bench/bench.py
	@tests/bench/images.py
	@tests/bench/filesystems.py
	@tests/bench/nfs.py
	@tests/bench/snapshot.py
	@tests/bench/volumes.py
	@tests/bench/network.py
	@tests/bench/switch.py
	@tests/bench/log.py
	@tests/bench/projects.py
	@tests/bench/build.py
	@tests/bench/monofs.py

sanitize: setup ## what make test has no time for: races in the unit tests, memory of the programs in the system tests
	@tests/run --only races --only programs

soak: setup ## use sandboxes and file systems for MINUTES (default 10), look for leaks and what differs
	@tests/run --soak $(or $(MINUTES),10)

lint: packages ## check format, layers, sizes and scripts
	@tools/lint

fmt: packages ## format the sources
	@tools/sources | xargs clang-format -i

install: ## install into PREFIX (/usr/local) below DESTDIR
	@tools/install $(BUILD) "$(PREFIX)" "$(DESTDIR)"

clean: ## remove all that was built and made
	@rm -rf build
