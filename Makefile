# Ringfence's commands. Only make and python3 >= 3.11 with venv are needed on the machine; `make` alone lists the targets.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
# Another interpreter: make setup PYTHON=python3.13
PYTHON ?=
# Passed on to pytest as it is: make test PYTEST_ARGS='tests/core -k charter'
PYTEST_ARGS ?=
# Test processes side by side.
WORKERS ?= 2
# Rounds of the kill loop; worlds of the coalition loop, and the first of them.
N ?= 1000
FROM ?= 0

.PHONY: help setup setup-dev demo test check format bench kill-loop coalition-loop fuzz constraints clean

help: ## list the targets
	@echo "usage: make TARGET"
	@echo
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)$$/\1|\2/p' Makefile | \
		while IFS='|' read -r name text; do printf '  %-14s %s\n' "$$name" "$$text"; done

setup: ## make .venv with the program in it, ready for the demo
	@PYTHON='$(PYTHON)' sh scripts/setup.sh demo

setup-dev: ## make .venv with what tests, checks and benchmarks need as well
	@PYTHON='$(PYTHON)' sh scripts/setup.sh dev

demo: setup ## set up, then show the main job on 2,000 synthetic users
	@$(BIN)/ringfence demo

test: setup-dev ## set up, then run every test (PYTEST_ARGS='...' goes to pytest)
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

check: setup-dev ## ruff, mypy --strict, import contracts, architecture tests: what CI runs before the tests
	@echo 'check: ruff check'
	@$(BIN)/ruff check .
	@echo 'check: ruff format'
	@$(BIN)/ruff format --check .
	@echo 'check: mypy --strict src'
	@$(BIN)/mypy --strict src
	@echo 'check: lint-imports'
	@$(BIN)/lint-imports --no-cache
	@echo 'check: architecture tests'
	@$(BIN)/python -m pytest -q tests/architecture

format: setup-dev ## let ruff mend what it can: order of imports, layout
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

bench: setup-dev ## run the benchmarks, each against its baseline
	@$(BIN)/python -m benchmarks

kill-loop: setup-dev ## kill the gateway at random under load, N=1000 times
	@RINGFENCE_KILL_ROUNDS='$(N)' $(BIN)/python -m pytest tests/faults -k kill --timeout 0 -s $(PYTEST_ARGS)

coalition-loop: setup-dev ## hold N=1000 small worlds, from number FROM=0 on, against brute force
	@RINGFENCE_WORLDS='$(N)' RINGFENCE_WORLDS_FROM='$(FROM)' $(BIN)/python -m pytest -n $(WORKERS) --timeout 0 -rP \
		tests/prover/test_coalition_brute_force.py $(PYTEST_ARGS)

fuzz: setup-dev ## give every property test many more, random, examples
	@$(BIN)/python -m pytest -n $(WORKERS) -m hypothesis --hypothesis-profile fuzz --timeout 0 $(PYTEST_ARGS)

constraints: ## pin the newest fitting version of every dependency, then say what changed
	@PYTHON='$(PYTHON)' sh scripts/constraints.sh

clean: ## remove .venv and everything that tools leave behind
	@rm -rf .venv .constraints-venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache src/.import_linter_cache
	@find . -name .git -prune -o -type d -name __pycache__ -prune -exec rm -rf {} +
