# make serve: set up and start the service; make test: set up and run every check; make bench: measure.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 8000

.PHONY: setup serve test lint types unit cases bench clean

setup: $(VENV)/ready

$(VENV)/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

serve: setup
	$(BIN)/policy serve --host $(HOST) --port $(PORT)

test: setup lint types cases unit

lint: setup
	$(BIN)/ruff check .
	$(BIN)/policy lint

types: setup
	$(BIN)/mypy engine simulations proofs api cli

cases: setup
	$(BIN)/policy test

unit: setup
	$(BIN)/python -m pytest --numprocesses 2 --dist loadgroup

bench: setup
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement benchmarks/requirements.txt
	-command -v npm >/dev/null && npm install --silent --no-audit --no-fund --prefix benchmarks/.peers @cerbos/cerbos-linux-x64@0.55.0
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) benchmarks/.peers .pytest_cache .mypy_cache .ruff_cache .hypothesis
