# The one set of entry points: people, hooks and CI call these and nothing else. `make help` lists them.

# The OpenZFS releases under test: one, several, or `all`.
ZFS ?= 2.3
# The kind of guest: `uml` is quick, `qemu` is the reference (stock kernel, two CPUs) and 10 to 30 times slower. Empty: uml, and qemu
# for 2.1, which does not link under UML.
GUEST ?=
# Only the cases of the suite whose name contains this, and further arguments of the suite.
FILTER ?=
# 1: what cannot run here for want of something is a failure, not a skip.
ZFSVOL_REQUIRE_KERNEL ?= 0
export ZFSVOL_REQUIRE_KERNEL

CARGO ?= cargo
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
RELEASES = $(if $(filter all,$(ZFS)),2.1 2.3 2.4,$(ZFS))

# What runs in a guest is linked statically: the guest's C library is older than most machines'.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
GUEST_DIR = $(TARGET_DIR)/guest
PAYLOAD = $(GUEST_DIR)/payload
GUEST_CARGO = CARGO_TARGET_DIR=$(GUEST_DIR) CARGO_PROFILE_DEV_DEBUG=line-tables-only \
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO)
VM_RUN = tests/vm/run $(if $(GUEST),--guest $(GUEST)) --payload $(PAYLOAD) \
	--env ZFSVOL_REQUIRE_KERNEL=$(ZFSVOL_REQUIRE_KERNEL)
# A whole run of the suite; a case that hangs is named and ended long before.
SUITE_SECONDS = 3600

.PHONY: help test lint unit kernel-test kernel-test-or-skip payload tools clean
# Guests and compilers share two or three processors badly, and output is to be read.
.NOTPARALLEL:

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

test: lint unit kernel-test-or-skip ## lint, unit tests, doc tests, and the suite on OpenZFS $(ZFS)

lint: tools ## formatting, clippy, documentation; all warnings are errors
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

unit: tools ## unit tests and doc tests: no kernel, no root
	$(CARGO) test --workspace

kernel-test: payload ## the suite on real OpenZFS: make kernel-test ZFS=2.1|2.3|2.4|all FILTER=snapshot
	@set -e; for release in $(RELEASES); do \
		echo "== the suite on OpenZFS $$release"; \
		$(VM_RUN) --zfs $$release --timeout $(SUITE_SECONDS) -- ./suite $(FILTER); \
	done

kernel-test-or-skip:
	@tests/guests-ready $(GUEST) $(RELEASES); status=$$?; \
	if [ $$status = 0 ]; then \
		$(MAKE) --no-print-directory kernel-test; \
	elif [ $$status = 77 ] && [ "$(ZFSVOL_REQUIRE_KERNEL)" != 1 ]; then \
		echo "SKIPPED: the suite on real OpenZFS, for the reason above"; \
	else \
		exit $$status; \
	fi

payload: tools
	$(GUEST_CARGO) build --target $(HOST) -p zfsvol-tests --bin suite
	@mkdir -p $(PAYLOAD)
	@cp $(GUEST_DIR)/$(HOST)/debug/suite $(PAYLOAD)

tools:
	@tests/packages cc:gcc readelf:binutils

clean: ## everything built here; the guests stay in their cache
	$(CARGO) clean
	rm -rf $(GUEST_DIR)
