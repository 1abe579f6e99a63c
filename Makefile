# `make fit` sets everything up and trains a traffic-signal controller.
# `make check` is for while you write: lint, types and the fast unit tests, in under a minute.
# `make test` checks everything as CI does, fast tests first, WORKERS at a time. `make test-one T=tests/unit/agents` checks a part.
# `make bench` measures how fast everything is, on a machine that does nothing else (BENCH="--device cuda" on a GPU).
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
CONFIG ?= conf/sumo_pgr.yaml
WORKERS ?= 2

.PHONY: fit check test test-one bench lint format env clean

fit: env
	$(BIN)/genreplay fit --config $(CONFIG)

check: lint
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --durations 10 -m "not slow" tests/unit

test: lint
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --durations 10 -m "not slow"
	$(BIN)/python -m pytest --numprocesses $(WORKERS) --durations 10 -m slow

test-one: env
	@test -n "$(T)" || { echo 'name the test, such as: make test-one T="tests/unit/agents/test_losses.py -k target"'; exit 2; }
	$(BIN)/python -m pytest $(T)

bench: env
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test,peers]"
	$(BIN)/python benchmarks/run.py --json results/performance.json --markdown docs/performance.md \
	  --figure results/performance_scaling.png $(BENCH)

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: env
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

env: $(VENV)/.installed

# The exact versions of constraints.txt are the ones the tests passed with.
$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "genreplay needs Python 3.11 or newer; name one with: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
