# The only entry point for people and for CI. Every target does its own set-up: system packages (as root), a virtual
# environment at .venv with both programs in it, caches under ~/.cache/weft.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CACHE ?= $(if $(XDG_CACHE_HOME),$(XDG_CACHE_HOME),$(HOME)/.cache)/weft
PYTHON ?= python3
# A built proxy and its tests take some GB, so they live outside the clone and are shared by all clones.
export CARGO_TARGET_DIR ?= $(CACHE)/target
export WEFT_PYTHON := $(CURDIR)/.venv/bin/python
export PYTHON
export PATH := $(CURDIR)/.venv/bin:$(PATH):/usr/local/sbin:/usr/sbin:/sbin

PROXY_PAGES := settings metrics
# What the tests put in front of the proxy and behind it, PROGRAM:PACKAGE.
TEST_PROGRAMS := nghttpd:nghttp2-server go:golang-go node:nodejs npm:npm nginx:nginx-light curl:curl strace:strace h2load:nghttp2-client redis-server:redis-server \
	redis-cli:redis-tools psql:postgresql-client /usr/lib/postgresql/*/bin/initdb:postgresql \
	/usr/lib/python3/dist-packages/aiosmtpd:python3-aiosmtpd valgrind:valgrind
CARGO_FUZZ_VERSION := 0.13.1
CARGO_FUZZ := $(CACHE)/tools/cargo-fuzz-$(CARGO_FUZZ_VERSION)/bin/cargo-fuzz
FUZZ_SECONDS ?= 600

CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := $(CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION)/bin/cargo-deny

RUST_INPUTS := $(shell find crates -type f \( -name '*.rs' -o -name 'Cargo.toml' \) -not -path '*/weft-proto-gen/*' -not -path '*/weft-load/*' -not -path '*/tests/*') \
	Cargo.toml Cargo.lock .cargo/config.toml rust-toolchain.toml

.PHONY: help
help: ## Say what each target does.
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1\t/' | expand -t 15

.PHONY: demo
demo: .venv/.programs ## Run the demo mesh until interrupted (ONCE=1: show each step once, then end).
	.venv/bin/weft demo $(if $(ONCE),--once)

.PHONY: test
test: .venv/.programs test-packages ## Run every test: Rust, then Python (unit, property, end to end).
	cargo test --workspace --locked
	.venv/bin/python -m bench.icount --build
	.venv/bin/pytest

.PHONY: soak
soak: .venv/.programs test-packages ## Run the tests that take minutes, one of them an hour; says what they measured.
	.venv/bin/pytest tests/soak -rP

# What every bench measures by.
.PHONY: bench-tools
bench-tools: .venv/.programs
	@scripts/bench-peers "$(CACHE)/tools"
	cargo build --release --locked --package weft-load

bench bench-against pgo: export WEFT_BENCH_LOAD := $(CARGO_TARGET_DIR)/release/weft-load

.PHONY: bench
bench: bench-tools ## Measure the proxy beside HAProxy and Envoy (SCENARIO=name, RUNS=3, QUICK=1, PGO=1); as root, half an hour or some minutes.
	took="$$($(if $(PGO),scripts/build-pgo "$(CACHE)",scripts/build-release))"; \
	WEFT_BENCH_BUILD_SECONDS="$$took" WEFT_BENCH_PROFILED="$(if $(PGO),yes)" \
	WEFT_PROXY_BINARY="$(if $(PGO),$(CACHE)/pgo,$(CARGO_TARGET_DIR)/release)/weft-proxy" \
	WEFT_BENCH_ENVOY="$$(echo $(CACHE)/tools/envoy-*/lib/python3*/site-packages/envoy/_bin/envoy)" \
		.venv/bin/python -m bench $(addprefix --scenario ,$(SCENARIO)) $(if $(RUNS),--runs $(RUNS)) $(if $(QUICK),--quick)

.PHONY: bench-page
bench-page: .venv/.programs ## Write docs/reference/bench.md and its charts from bench/results/latest.json, as `make bench` does.
	.venv/bin/python -m bench.page

.PHONY: bench-against
bench-against: bench-tools ## Compare the proxy's CPU with another commit's, per request and per byte (REV=commit, SCENARIO=name, RUNS=10); as root.
	@[ -n "$(REV)" ] || { echo "bench-against: say which commit: make bench-against REV=main" >&2; exit 1; }
	cargo build --release --locked --package weft-proxy
	other="$$(scripts/build-revision "$(REV)" "$(CACHE)")" && .venv/bin/python -m bench.against \
		--ours "$(CARGO_TARGET_DIR)/release/weft-proxy" --other "$$other" --name "$(REV)" \
		$(addprefix --scenario ,$(SCENARIO)) $(if $(RUNS),--runs $(RUNS))

.PHONY: pgo
pgo: bench-tools ## Build the release proxy by a profile of itself under the bench's load, into the cache; as root, some ten minutes.
	@scripts/build-pgo "$(CACHE)" >/dev/null

.PHONY: bench-control-plane
bench-control-plane: .venv/.programs ## Measure the control plane: 1,000 Services, 1,000 streams (OPTIONS="--only endpoint"; see --help).
	.venv/bin/python -m bench.control_plane $(OPTIONS)

.PHONY: fuzz
fuzz: ## Fuzz each parser for FUZZ_SECONDS (default 600) each, or only TARGET=name; needs a nightly Rust toolchain.
	@scripts/fuzz "$(CARGO_FUZZ)" "$(CARGO_FUZZ_VERSION)" "$(FUZZ_SECONDS)" $(TARGET)

.PHONY: bench-icount
bench-icount: .venv/.programs ## Count instructions and system calls of fixed request paths, as `make test` does (UPDATE=1: set bench/icount.json).
	@scripts/system-packages valgrind:valgrind
	.venv/bin/python -m bench.icount $(if $(UPDATE),--update)

.PHONY: check
check: check-python check-generated check-docs check-rust check-dependencies ## Formatting, lints, types, layers, licences, stale generated code.

.PHONY: check-python
check-python: .venv/.programs
	.venv/bin/ruff format --check .
	.venv/bin/ruff check .
	.venv/bin/mypy
	.venv/bin/lint-imports

.PHONY: check-generated
check-generated: .venv/.locked
	.venv/bin/python proto/generate.py --check

# The proxy writes its own reference: a page that differs from what it says is out of date.
.PHONY: check-docs
check-docs: .venv/.programs
	@for page in $(PROXY_PAGES); do \
		.venv/bin/weft-proxy --$$page | diff -u docs/reference/proxy-$$page.md - || \
			{ echo "docs/reference/proxy-$$page.md is out of date: run make docs"; exit 1; }; \
	done
	@.venv/bin/weft explain --markdown | diff -u docs/reference/problems.md - || \
		{ echo "docs/reference/problems.md is out of date: run make docs"; exit 1; }
	@.venv/bin/python -m bench.page --check

.PHONY: check-rust
check-rust: .venv/.locked
	cargo fmt --all --check
	cargo fmt --manifest-path crates/weft-proto-gen/Cargo.toml --check
	cargo fmt --manifest-path fuzz/Cargo.toml --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

.PHONY: check-dependencies
check-dependencies: $(CARGO_DENY)
	$(CARGO_DENY) --all-features check bans licenses sources
	@if $(CARGO_DENY) fetch db >/dev/null 2>&1; then \
		$(CARGO_DENY) --all-features check --disable-fetch advisories; \
	else \
		echo "advisories: not run: the database cannot be reached"; \
	fi

.PHONY: generate
generate: .venv/.locked ## Regenerate the code made from proto/, the test vectors and the pages made from them.
	.venv/bin/python proto/generate.py
	.venv/bin/python -m tests.wire_vectors
	.venv/bin/python -m tests.policy_vectors
	.venv/bin/python -m tests.route_vectors
	.venv/bin/python -m tests.http1_vectors

.PHONY: docs
docs: .venv/.programs ## Write the pages of docs/reference that are made from the programs.
	@for page in $(PROXY_PAGES); do .venv/bin/weft-proxy --$$page >docs/reference/proxy-$$page.md; done
	@.venv/bin/weft explain --markdown >docs/reference/problems.md

.PHONY: wheel
wheel: .venv/.locked $(if $(PGO),pgo) ## Build a release wheel with both programs into dist/; by a profile of itself with PGO=1, see make pgo.
	$(if $(PGO),RUSTFLAGS="-Cprofile-use=$(CACHE)/pgo/merged.profdata") .venv/bin/maturin build --locked --out dist

.PHONY: lock
lock: .venv/.locked ## Resolve the Python dependencies anew.
	scripts/lock

.PHONY: test-packages
test-packages:
	@scripts/system-packages $(TEST_PROGRAMS)
	@scripts/test-node-packages "$(CACHE)/tools" >/dev/null
	@scripts/fault-tools "$(CACHE)/tools"
	@scripts/test-peers "$(CACHE)/tools" >/dev/null

.PHONY: system
system:
	@scripts/system-packages

# --- set-up, done once ------------------------------------------------------------------------------------------------

.venv/.locked: requirements-dev.lock | system
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --require-hashes -r requirements-dev.lock
	touch $@

# Editable: a change to a Python file needs nothing, a change to a Rust file builds the proxy again.
.venv/.programs: .venv/.locked pyproject.toml wheel-data/scripts/weft $(RUST_INPUTS)
	.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

# Built from source, some minutes, once per version.
$(CARGO_DENY):
	cargo install --locked --quiet --version $(CARGO_DENY_VERSION) --root $(CACHE)/tools/cargo-deny-$(CARGO_DENY_VERSION) \
		--target-dir $(CACHE)/tools/target cargo-deny
	rm -rf $(CACHE)/tools/target
