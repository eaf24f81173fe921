# Tidemark. All that is needed is Python 3.11 or newer and make; `make help` lists the targets.

SHELL := /bin/sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# The first Python on PATH that is new enough; `make PYTHON=/path/to/python demo` chooses another.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	"$$p" -c '$(NEW_ENOUGH)' 2>/dev/null && { echo "$$p"; break; }; done)
UV ?= uv

VENV := .venv
BIN := $(VENV)/bin
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
STAMP := $(VENV)/.installed-from-lock
BENCH_VENV := .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.installed-from-lock

.PHONY: help demo up test test-large soak simulate check bench bench-quick openapi lock clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP)  ## Run real payments and transfers on a local stack and show what happened
	@$(BIN)/python starter.py demo

up: $(STAMP)  ## Start the local stack (Postgres, Temporal, workers, projector) and keep it up
	@$(BIN)/python starter.py up

# A file's tests stay together; each process has servers of its own.
SPREAD ?= --numprocesses logical --maxprocesses 4 --dist loadfile --no-loadscope-reorder
test: $(STAMP)  ## Run every test
	@$(BIN)/python -m stack.prefetch
	@$(BIN)/python -m pytest $(SPREAD)

test-large: $(STAMP)  ## Settle a batch of 100,000 transfers and watch the memory
	@TIDEMARK_TEST_BATCH_ITEMS=100000 $(BIN)/python -m pytest tests/e2e/test_transfer_batch_large.py

DURATION ?= 30m
FAULTS ?= all
soak: $(STAMP)  ## Throw faults at everything while a bank checker watches (DURATION=30m SEED=… FAULTS=…)
	@$(BIN)/python -m stack.prefetch
	@$(BIN)/python -m tests.chaos --duration $(DURATION) --faults $(FAULTS) $(if $(SEED),--seed $(SEED)) $(SOAK)

SEEDS ?= 5000
FIRST ?= 1
simulate: $(STAMP)  ## Run SEEDS=5000 simulated stories (FIRST=1); a failing one is shrunk and can be replayed
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS) --first $(FIRST)

check: $(STAMP)  ## Format, lint, types, import boundaries, dead code
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy .
	@$(BIN)/lint-imports
	@$(BIN)/vulture

bench: $(STAMP) $(BENCH_STAMP)  ## Measure against the peers, under 15 minutes; writes the tables and the chart in the docs
	@$(BIN)/python -m benchmarks --publish

bench-quick: $(STAMP) $(BENCH_STAMP)  ## The same in two minutes, with fewer rounds and nothing written
	@$(BIN)/python -m benchmarks --quick

openapi:  ## Write docs/openapi.json anew from the API's code
	@$(BIN)/python -m api.openapi docs/openapi.json

lock:  ## Write requirements/*.lock anew from pyproject.toml (needs uv)
	@command -v "$(UV)" >/dev/null || { echo "make lock: no uv on PATH; 'pip install uv' brings it" >&2; exit 1; }
	$(COMPILE) pyproject.toml --output-file requirements/run.lock
	$(COMPILE) pyproject.toml --group dev --output-file requirements/dev.lock
	$(COMPILE) requirements/go.in --output-file requirements/go.lock
	$(COMPILE) --group pyproject.toml:bench --output-file requirements/bench.lock

# Rebuilt when the lock changes. A copy that was moved or made by a Python since removed is made anew.
$(STAMP): requirements/dev.lock
	@test -n "$(PYTHON)" || { echo "make: Python 3.11 or newer is needed; none on PATH (make PYTHON=/path/to/python ...)" >&2; exit 1; }
	@"$(PYTHON)" -c '$(NEW_ENOUGH)' 2>/dev/null || { echo "make: $(PYTHON) is not a Python of version 3.11 or newer" >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { \
		echo "make: $(PYTHON) lacks its venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@$(BIN)/python -c '$(NEW_ENOUGH)' 2>/dev/null && $(BIN)/python -m pip --version >/dev/null 2>&1 \
		|| { echo "Making $(VENV)"; "$(PYTHON)" -m venv --clear $(VENV); }
	@echo "Installing the locked packages into $(VENV)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.lock
	@touch $(STAMP)

# The peers' own; with the versions in their lock.
$(BENCH_STAMP): requirements/bench.lock $(STAMP)
	@echo "Installing the benchmarks' peers into $(BENCH_VENV)"
	@$(BIN)/python -m venv --clear $(BENCH_VENV)
	@$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bench.lock
	@touch $(BENCH_STAMP)

clean:  ## Remove what make built; your data in .data stays
	rm -rf $(VENV) $(BENCH_VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
