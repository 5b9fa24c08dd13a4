# `make` lists the targets. Everything lives in .venv; nothing is installed elsewhere.

PYTHON ?= python3
BIN := .venv/bin
TEST_PROCESSES ?= 3
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help setup run test test-fast lint bench docs

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

setup: $(STAMP) ## Make the virtual environment and install everything into it

# The stamp makes a second `make run` start at once; pip runs again when a file it reads changed.
$(STAMP): requirements.lock setup.cfg setup.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Tidegauge needs Python 3.11 or newer, $(PYTHON) is: $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; } >&2
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { \
	  echo "Python's venv module is missing; on Debian: apt-get install python3-venv"; \
	  rm -rf .venv; exit 1; } >&2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

run: $(STAMP) ## Run everything on 127.0.0.1:3001, data in ./data; ARGS="--demo --port 3005" goes on
	@exec $(BIN)/python -m tidegauge up $(ARGS)

test: lint ## Check style, types and architecture, and run all tests
	$(BIN)/python -m pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

test-fast: $(STAMP) ## Run the tests that need no service, within a minute
	$(BIN)/python -m pytest -m "not services"

lint: $(STAMP) ## Check style, types and architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

bench: $(STAMP) ## Measure against Prometheus and VictoriaMetrics; the short form
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(STAMP) ## Make the reference pages that are made from the code
	$(BIN)/python -m tidegauge config --markdown > .venv/page
	@mv .venv/page docs/reference/settings.md
	$(BIN)/python -m tidegauge commands > .venv/page
	@mv .venv/page docs/reference/commands.md
