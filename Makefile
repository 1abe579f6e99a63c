# `make fit` sets everything up and trains a traffic-signal controller.
# `make check` is for while you write: lint, types and the fast unit tests, in under a minute.
# `make test` checks everything as CI does, fast tests first, WORKERS at a time. `make test-one T=tests/unit/agents` checks a part.
# `make chaos` kills 60 runs at random moments, resumes them and compares them with undisturbed ones (docs/reliability.md).
# `make fuzz` hands in more than 2,000 bad files and options, of which `make test` tries a few (docs/reliability.md).
# `make policies` trains, evaluates and publishes the shipped policies anew; `make policy-2way` one of them.
# `make bench` measures how fast everything is, on a machine that does nothing else (BENCH="--device cuda" on a GPU).
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
CONFIG ?= conf/sumo_pgr.yaml
WORKERS ?= 2

POLICIES := 2way cologne1 ingolstadt1 cramped_room

.NOTPARALLEL:  # `make policies` takes the last run
.PHONY: fit check test test-one chaos fuzz bench lint format env clean policies $(POLICIES:%=policy-%)

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

chaos: env
	$(BIN)/python -m tests.helpers.chaos $(CHAOS)

fuzz: env
	FUZZ=1 $(BIN)/python -m pytest --numprocesses 0 tests/fuzz

bench: env
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test,peers]"
	$(BIN)/python benchmarks/run.py --json results/performance.json --markdown docs/performance.md \
	  --figure results/performance_scaling.png $(BENCH)

policies: $(POLICIES:%=policy-%)

SEED := 0
BASELINES := fixed_plan,webster,delay_based,fully_actuated,actuated_queue,max_pressure
policy-2way: EXPERIMENT := sumo_pgr
policy-2way: EVALUATION := --demand 1000,1500,2000,2600,tidal,surge,other_day --baselines $(BASELINES)
policy-cologne1 policy-ingolstadt1: EVALUATION := --demand 0.75,1,1.1,1.25 --baselines $(BASELINES)
policy-cologne1: EXPERIMENT := cologne1_pgr
policy-ingolstadt1: EXPERIMENT := ingolstadt1_pgr
policy-ingolstadt1: SEED := 71
policy-cramped_room: EXPERIMENT := overcooked_pgr
policy-cramped_room: EVALUATION := --demand self,greedy/0,greedy/1
$(POLICIES:%=policy-%): policy-%: env
	$(BIN)/genreplay fit --config conf/$(EXPERIMENT).yaml seed=$(SEED)
	$(BIN)/genreplay evaluate --run last $(EVALUATION) --output build/policies/$*
	$(BIN)/genreplay publish last --name $* --evaluation build/policies/$* --licence MIT --output src/genreplay/policies/$*

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
