# Everything here works in a fresh clone that has only Python and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# The locks are complete, so pip resolves nothing (--no-deps): an extra that they leave out, such as coverage[toml], or a newer
# release cannot confuse it. `pip check` tells whether they really are complete.
# What decides: its branches are covered, or the tests fail.
CORE   := orchestrator/model/*,orchestrator/checks.py,orchestrator/holding.py,orchestrator/importable.py,orchestrator/looks.py,orchestrator/settling.py,orchestrator/stages.py,orchestrator/decide.py,orchestrator/memory.py,orchestrator/goals.py,orchestrator/effects.py,orchestrator/plan.py,orchestrator/wrapping.py
# Measuring takes time, so that only the tests of the core are measured. The others wait for real processes a good deal of
# their time, so that more of them than there are cores run at once.
CORE_TESTS := tests/core tests/test_wrapping.py

.PHONY: help install demo lambda test prove mutation bench lint lock clean
help:            ## what can be made
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/.run: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip check
	touch $@

install: $(VENV)/.run  ## mrk and its simulator in .venv

demo: $(VENV)/.run     ## a rotation over five Regions, proven, with no AWS account
	$(BIN)/mrk demo

lambda: $(VENV)/.run   ## the Lambda function of workflows/step_functions, in build/lambda
	rm -rf build/lambda
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements-lambda.lock --target build/lambda \
	    --platform manylinux_2_28_x86_64 --platform manylinux2014_x86_64 --python-version 3.13 --only-binary=:all:
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --target build/lambda .

test: $(VENV)/.dev     ## all tests, with the stock aws and age commands
	$(BIN)/python tests/prerequisites.py
	$(BIN)/python -m pytest -n 2 --cov --cov-report= $(CORE_TESTS)
	$(BIN)/coverage report --include='$(CORE)' --fail-under=95
	$(BIN)/python -m pytest -n 6 --dist worksteal $(addprefix --ignore=,$(CORE_TESTS))

prove: $(VENV)/.mutation  ## every proof in full, and mutation; writes docs/reliability.md (two to three hours on two idle cores; MRK_PROVE=5 tries one in five of crashes, faults and races)
	$(BIN)/python bench/prove.py

$(VENV)/.mutation: requirements-mutation.lock $(VENV)/.dev
	$(PYTHON) -m venv $(VENV)/mutation
	$(VENV)/mutation/bin/python -m pip install --quiet --no-deps --require-hashes -r requirements-mutation.lock
	touch $@

mutation: $(VENV)/.mutation  ## change the code on purpose, and see which change no test notices (MODULES=... for some)
	$(BIN)/python bench/mutation $(MODULES)

bench: $(VENV)/.dev    ## the times that have a goal: the Lambda function's cold start, and a plan of a key that is not due
	$(BIN)/python bench/imports.py
	$(BIN)/python bench/plan.py

lint: $(VENV)/.dev     ## style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock:                  ## pin every dependency again (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --extra simulator \
	    pyproject.toml requirements.build.in -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	    -c requirements.lock requirements.lambda.in -o requirements-lambda.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --extra simulator --group dev \
	    -c requirements.lock pyproject.toml -o requirements-dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group tools \
	    -o requirements-tools.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group mutation \
	    -o requirements-mutation.lock

clean:                 ## remove what was built
	rm -rf $(VENV) build dist .coverage* .mypy_cache .ruff_cache .pytest_cache
