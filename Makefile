# Every target works from a clean checkout: `setup` makes .venv and installs what the constraints pin.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
BENCH_VENV := .venv-bench

.DEFAULT_GOAL := help
.PHONY: help setup run demo test lint typecheck bench regen clean

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(VENV)/.installed ## Make .venv with the program and all that its tests need

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "thingjobs needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

run: setup ## Run the server for development on http://127.0.0.1:8080, data in ./data
	$(BIN)/thingjobs dev

demo: setup ## See one job go out to a fleet of MQTT devices, and end by itself
	$(BIN)/python tools/demo.py

test: setup ## Run all tests
	$(BIN)/python -m pytest

lint: setup ## Check style and layers
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

typecheck: setup ## Check types, strictly
	$(BIN)/mypy

bench: setup $(BENCH_VENV)/.installed ## Measure against the targets and other emulators (minutes)
	$(BENCH_VENV)/bin/python -m bench $(BENCH)

$(BENCH_VENV)/.installed: bench/requirements.txt
	test -x $(BENCH_VENV)/bin/python || $(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	@touch $@

regen: setup ## Write the wire shapes, the lifecycle page and the lists of operations anew
	$(BIN)/python tools/regen.py
	$(BIN)/python tools/diagrams.py
	$(BIN)/python tools/compatibility.py

clean: ## Remove what the targets made, but no data
	rm -rf $(VENV) $(BENCH_VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis
