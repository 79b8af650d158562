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

# Where `install` puts things, and below which folder, for packages.
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
DESTDIR ?=

CARGO ?= cargo
TARGET_DIR = $(or $(CARGO_TARGET_DIR),target)
# The C library as `unit` has built it, installed for the other languages; and what their tools keep.
BINDINGS = $(abspath $(TARGET_DIR))/bindings
# The same, optimized, with what it is compared with.
PEERS_DIR = $(abspath $(TARGET_DIR))/peers
RELEASES = $(if $(filter all,$(ZFS)),2.1 2.3 2.4,$(ZFS))
# 2.1 only where nothing else is asked for: its only guest is the slow one, and what the bindings add to the library does not depend on the release.
BINDINGS_RELEASES = $(or $(filter-out 2.1,$(RELEASES)),$(RELEASES))
BINDINGS_LEFT_OUT = the bindings on OpenZFS 2.1, whose only guest is 10 to 30 times slower; by itself it is make bindings-kernel-test ZFS=2.1

# What runs in a guest is linked statically: the guest's C library is older than most machines'.
HOST = $(shell rustc -vV | sed -n 's/^host: //p')
GUEST_DIR = $(TARGET_DIR)/guest
GUEST_CARGO = CARGO_TARGET_DIR=$(GUEST_DIR) CARGO_PROFILE_DEV_DEBUG=line-tables-only \
	RUSTFLAGS="-C target-feature=+crt-static" $(CARGO)
VM_RUN = tests/vm/run $(if $(GUEST),--guest $(GUEST)) \
	--env ZFSVOL_REQUIRE_KERNEL=$(ZFSVOL_REQUIRE_KERNEL) $(if $(ZFSVOL_CASE_TIME),--env ZFSVOL_CASE_TIME=$(ZFSVOL_CASE_TIME))
# A whole run of the suite; a case that hangs is named and ended long before.
SUITE_SECONDS = 5400
DEMO_SECONDS = 600
PEERS_SECONDS = 43200
FUZZ_SECONDS ?= 60
# What kernel-bench lists: so many datasets below one, or parents times datasets below each.
SHAPES ?= 1000 10x100 10000 100x100
# What bench-peers does, if not everything at 100 and 1,000 volumes: see benches/peers/guest/run.
PEERS ?=
# What is appended to the name of the folder of its results, if a run is another than the usual one: AS=10000 PEERS="--sizes 10000".
NAMED ?=
# What `differential` asks: how many steps, from which seed; how long it may take; TELL=1: print each
# step before it is taken.
STEPS ?= 5000
SEED ?= 1
DIFFERENTIAL_SECONDS ?= 14400

# What crashpoints tries, if not everything.
CRASHPOINTS ?=
# How often the power is cut.
ROUNDS ?= 3

.PHONY: help demo test lint deny msrv unit go-test py-test library crashpoints kernel-crashpoints power-cut push-cut fixtures-check kernel-test bindings-kernel-test kernel-test-or-skip differential kernel-demo fuzz bench kernel-bench bench-peers \
	generate check-generated install clean payload-suite payload-bindings payload-demo payload-bench payload-peers payload-crash tools

# Guests and compilers share the processors badly, and the output is to be read.
.NOTPARALLEL:

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 18

demo: tools ## two nodes and a volume that moves between them, with no root and no ZFS
	$(CARGO) run -q -p zfsvol-core --example handoff

test: lint unit go-test py-test kernel-test-or-skip ## lint, unit and doc tests, Go and Python, and the suite on real OpenZFS $(ZFS)

lint: tools deny ## formatting, clippy and documentation; every warning is an error
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps

# Building it takes longer than the whole of `make test` without a guest, so it is used where it is.
deny: ## licences, bans and advisories of the dependencies, if cargo-deny is installed
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --workspace check; \
	else \
		echo "SKIPPED: licences and advisories of the dependencies: cargo-deny is not installed (cargo install cargo-deny)"; \
	fi

unit: tools ## unit, doc and C tests, and whether generated files are up to date: no kernel, no root
	$(CARGO) test --workspace

go-test: library ## the Go package: gofmt, vet, staticcheck, its tests and examples, with the race detector and checks of pointers too
	bindings/go/check $(BINDINGS)

py-test: library ## the Python package: what is generated, ruff, mypy, its tests, examples and documentation, also on Python 3.9 where that is; what is published, installed
	CARGO="$(CARGO)" bindings/python/check $(BINDINGS)

# Optimized, because there are so many; CRASHPOINTS is for a part of it: a scenario, --only ioctls|messages|frames, --sample N, --twice N, --seed N.
crashpoints: tools ## everything that moves a volume, interrupted at every ioctl, message and frame: two writers, lost data and leftovers are counted
	$(CARGO) run -q --release -p zfsvol-tests --bin crashpoints -- --twice 2000 $(CRASHPOINTS)

# A sample: each call of the module waits for a transaction group to be written.
kernel-crashpoints: payload-crash ## a sample of the same on real OpenZFS: make kernel-crashpoints ZFS=2.3 CRASHPOINTS="--sample 500"
	@set -e; for release in $(RELEASES); do \
		$(VM_RUN) --zfs $$release --timeout $(SUITE_SECONDS) --payload $(GUEST_DIR)/crash \
			-- ./crashpoints --module $(or $(CRASHPOINTS),--sample 100 --twice 20); \
	done

power-cut: payload-crash ## volumes that move while the guest is killed: make power-cut ZFS=2.3 ROUNDS=5
	@set -e; for release in $(RELEASES); do \
		tests/power-cut $(GUEST_DIR)/crash $(ROUNDS) --zfs $$release $(if $(GUEST),--guest $(GUEST)); \
	done

push-cut: tools ## 1 GiB pushed between two network namespaces while the link is cut three times: needs root and iproute2
	$(CARGO) run -q --release -p zfsvol-tests --bin push_cut

msrv: tools ## whether the oldest Rust that is promised compiles it
	@version=$$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml); \
	if rustup toolchain list 2>/dev/null | grep -q "^$$version"; then \
		CARGO_TARGET_DIR=$(TARGET_DIR)/msrv $(CARGO) +$$version check --workspace; \
	else \
		echo "Rust $$version is not installed: rustup toolchain install $$version --profile minimal"; exit 1; \
	fi

kernel-test: payload-suite ## the suite on real OpenZFS: make kernel-test ZFS=2.1|2.3|2.4|all FILTER=hold::
	@set -e; for release in $(RELEASES); do \
		echo "== the suite on OpenZFS $$release"; \
		$(VM_RUN) --zfs $$release --disks 3 --timeout $(SUITE_SECONDS) \
			--payload $(GUEST_DIR)/suite -- ./suite $(FILTER); \
	done

bindings-kernel-test: payload-bindings ## the small suite in C, Python and Go, and Docker's plugin, on real OpenZFS: make bindings-kernel-test ZFS=2.1|2.3|2.4
	@$(if $(filter-out $(BINDINGS_RELEASES),$(RELEASES)),echo "LEFT OUT: $(BINDINGS_LEFT_OUT)")
	@set -e; for release in $(BINDINGS_RELEASES); do \
		echo "== the bindings on OpenZFS $$release"; \
		$(VM_RUN) --zfs $$release --disks 1 --timeout $(SUITE_SECONDS) --payload $(BINDINGS)/payload -- ./run; \
	done

differential: payload-suite ## the embedded kernel beside the module: make differential ZFS=2.3 STEPS=5000 SEED=1
	@set -e; for release in $(RELEASES); do \
		$(VM_RUN) --zfs $$release --timeout $(DIFFERENTIAL_SECONDS) --payload $(GUEST_DIR)/suite \
			--env ZFSVOL_STEPS=$(STEPS) --env ZFSVOL_SEED=$(SEED) --env ZFSVOL_CASE_TIME=$(DIFFERENTIAL_SECONDS) \
			$(if $(TELL),--env ZFSVOL_TELL=1) \
			-- ./suite differential::both; \
	done

# Where no guest can be built, the rest of `make test` is still worth something.
kernel-test-or-skip:
	@tests/guests-ready $(GUEST) $(RELEASES); status=$$?; \
	if [ $$status = 0 ]; then \
		$(MAKE) --no-print-directory fixtures-check kernel-test bindings-kernel-test; \
	elif [ $$status = 77 ] && [ "$(ZFSVOL_REQUIRE_KERNEL)" != 1 ]; then \
		echo "SKIPPED: the suite on real OpenZFS, because there is no guest: see above"; \
	else \
		exit $$status; \
	fi

kernel-demo: payload-demo ## the main job, and a volume that moves, on real OpenZFS: make kernel-demo ZFS=2.1|2.3|2.4
	@set -e; for release in $(RELEASES); do \
		for program in "./tour" "./handoff zfs:"; do \
			$(VM_RUN) --zfs $$release --timeout $(DEMO_SECONDS) --payload $(GUEST_DIR)/demo -- $$program; \
		done; \
	done

fixtures-check: ## whether the committed fixtures are still what OpenZFS writes
	@set -e; for fixtures in tests/fixtures/*/make; do echo "$$fixtures --check"; $$fixtures --check; done

fuzz: tools ## every fuzz target, FUZZ_SECONDS (60) each
	@$(CARGO) fuzz --version >/dev/null 2>&1 || \
		{ echo "cargo-fuzz is not installed: cargo install cargo-fuzz; it needs a nightly Rust"; exit 1; }
	@set -e; cd zfsvol-core; for target in $$($(CARGO) fuzz list); do \
		$(CARGO) +nightly fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS); \
	done

bench: tools ## lists against libnvpair, streams against memory and zstream, what each layer and the embedded kernel cost
	$(CARGO) bench -p zfsvol-benches --bench nvlist
	$(CARGO) bench -p zfsvol-benches --bench layers
	@CARGO="$(CARGO)" TARGET_DIR="$(TARGET_DIR)" PROFILE=release PREFIX="$(PEERS_DIR)" LIBDIR="$(PEERS_DIR)/lib" DESTDIR= zfsvol-ffi/install
	benches/languages $(PEERS_DIR)
	$(CARGO) bench -p zfsvol-benches --bench stream_ratios
	$(CARGO) bench -p zfsvol-benches --bench stream
	$(CARGO) bench -p zfsvol-benches --bench embedded
	$(CARGO) bench -p zfsvol-benches --bench embedded_directory

kernel-bench: payload-bench ## what listing costs on real OpenZFS, against zfs list: make kernel-bench ZFS=2.3 SHAPES="1000 100x100"
	@set -e; for release in $(RELEASES); do \
		$(VM_RUN) --zfs $$release --mem 6144 --timeout $(SUITE_SECONDS) \
			--payload $(GUEST_DIR)/bench -- ./listing $(SHAPES); \
	done

bench-peers: payload-peers ## the same work done by zfsvol and by what else there is: make bench-peers ZFS=2.3 GUEST=qemu PEERS="--sizes 100 --rounds 3"
	@set -e; for release in $(RELEASES); do \
		$(VM_RUN) --zfs $$release --mem 8192 --timeout $(PEERS_SECONDS) --keep $(PEERS_DIR)/kept \
			--payload $(PEERS_DIR)/payload -- ./start $(PEERS); \
		benches/peers/report $(PEERS_DIR)/kept/results.json benches/results/peers-$$release$(if $(GUEST),-$(GUEST))$(if $(NAMED),-$(NAMED)); \
	done

generate: tools ## include/zfsvol.h and include/zfsvol.abi anew, from the sources of zfsvol-ffi; what Python has of them
	ZFSVOL_BLESS=1 $(CARGO) test -q -p zfsvol-ffi --test generated
	python3 bindings/python/tools/generate.py

check-generated: tools ## whether what is generated is up to date, and whether a change of the ABI has a version of its own
	$(CARGO) test -q -p zfsvol-ffi --test generated
	python3 bindings/python/tools/generate.py --check

install: tools ## the C library, its header and zfsvol.pc: make install PREFIX=/usr/local DESTDIR=
	CARGO="$(CARGO)" TARGET_DIR="$(TARGET_DIR)" PREFIX="$(PREFIX)" LIBDIR="$(LIBDIR)" DESTDIR="$(DESTDIR)" zfsvol-ffi/install

clean: ## everything built here; the guests stay in their cache (tests/vm/README.md)
	$(CARGO) clean
	rm -rf $(GUEST_DIR) $(BINDINGS)

# --- what the above need

payload-suite: tools
	$(GUEST_CARGO) build --target $(HOST) -p zfsvol-tests --bin suite
	@mkdir -p $(GUEST_DIR)/suite && cp $(GUEST_DIR)/$(HOST)/debug/suite $(GUEST_DIR)/suite

payload-bench: tools
	$(GUEST_CARGO) build --release --target $(HOST) -p zfsvol-benches --bin listing
	@mkdir -p $(GUEST_DIR)/bench && cp $(GUEST_DIR)/$(HOST)/release/listing $(GUEST_DIR)/bench

payload-peers: tools
	$(GUEST_CARGO) build --release --target $(HOST) -p zfsvol-benches --bin peer_zfsvol --bin peer_command
	@CARGO="$(CARGO)" TARGET_DIR="$(TARGET_DIR)" PROFILE=release PREFIX="$(PEERS_DIR)" LIBDIR="$(PEERS_DIR)/lib" DESTDIR= zfsvol-ffi/install
	benches/peers/payload $(PEERS_DIR) $(abspath $(GUEST_DIR))/$(HOST)/release $(PEERS_DIR)/payload

payload-crash: tools
	$(GUEST_CARGO) build --target $(HOST) -p zfsvol-tests --bin crashpoints
	@mkdir -p $(GUEST_DIR)/crash && cp $(GUEST_DIR)/$(HOST)/debug/crashpoints $(GUEST_DIR)/crash

payload-demo: tools
	$(GUEST_CARGO) build --target $(HOST) -p zfsvol-core --example tour --example handoff
	@mkdir -p $(GUEST_DIR)/demo && cp $(addprefix $(GUEST_DIR)/$(HOST)/debug/examples/,tour handoff) $(GUEST_DIR)/demo

# The guest has Python, and the C library of Debian 12: where that of this machine is much newer, loading the library can fail there, and says so.
payload-bindings: library
	bindings/payload $(BINDINGS)

library: tools
	@CARGO="$(CARGO)" TARGET_DIR="$(TARGET_DIR)" PROFILE=dev PREFIX="$(BINDINGS)" LIBDIR="$(BINDINGS)/lib" DESTDIR= zfsvol-ffi/install

tools:
	@tests/packages cc:gcc c++:g++ pkg-config:pkg-config valgrind:valgrind python3:python3
