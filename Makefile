# A fresh machine needs git, python3 >= 3.11 and make. Everything else comes from package registries, pinned in constraints.txt.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test lint bench sim fuzz clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    the whole life of a position on simulated venues, narrated"
	@echo "make test    every test, on SQLite and PostgreSQL"
	@echo "make lint    style, types and layers"
	@echo "make bench   figures of speed and memory, also in build/bench.json"
	@echo "make sim     the engine through a lifetime of bad luck, in virtual time; also in build/sim.json"

$(VENV)/.run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "trueup needs python3 >= 3.11, found $$($(PYTHON) --version 2>&1); set PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing trueup into $(VENV) ..."
	@$(BIN)/python -m pip install -qq --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "installing the development tools into $(VENV) ..."
	@$(BIN)/python -m pip install -qq --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(VENV)/.run
	@$(BIN)/trueup demo

test: $(VENV)/.dev
	@$(BIN)/python -m pytest -n auto --dist worksteal $(PYTEST_ARGS)

lint: $(VENV)/.dev
	@$(BIN)/ruff check src tests bench
	@$(BIN)/ruff format --check src tests bench
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/.dev
	@$(BIN)/python -m bench $(BENCH_ARGS)

# SEEDS=1000 short runs and, with HOURS=24, ten long ones; SEED=7 one of them again; FAULTS=net,crash; JOBS=2
sim: $(VENV)/.run
	@$(BIN)/python -m trueup.hunt $(if $(SEEDS),--seeds $(SEEDS)) $(if $(HOURS),--hours $(HOURS)) $(if $(SEED),--seed $(SEED)) \
		$(if $(FAULTS),--faults $(FAULTS)) $(if $(JOBS),--jobs $(JOBS)) $(SIM_ARGS)

fuzz: $(VENV)/.run
	@$(BIN)/python -m trueup.hunt.fuzz $(if $(COUNT),--count $(COUNT))

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
