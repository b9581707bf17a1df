# Everything here works in a fresh clone that has only Python and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
# The locks are complete, so pip resolves nothing (--no-deps): an extra that they leave out, such as coverage[toml], or a newer
# release cannot confuse it. `pip check` tells whether they really are complete.
# What decides: its branches are covered, or the tests fail.
CORE   := orchestrator/model/*,orchestrator/checks.py,orchestrator/lasting.py,orchestrator/kinds.py,orchestrator/spending.py,orchestrator/holding.py,orchestrator/importable.py,orchestrator/looks.py,orchestrator/settling.py,orchestrator/stages.py,orchestrator/decide.py,orchestrator/memory.py,orchestrator/goals.py,orchestrator/effects.py,orchestrator/plan.py,orchestrator/wrapping.py
# Measuring takes time, so that only the tests of the core are measured. The others wait for real processes a good deal of
# their time, so that more of them than there are cores run at once.
CORE_TESTS := tests/core tests/test_wrapping.py

# What stands in the mark of an environment that is whole: where it was made, for none can be moved. Nothing, where its Python
# is gone, too old or without pip. Any other environment is made anew, whatever a failed try left in it.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
WHOLE := $(shell $(BIN)/python -c 'import pip; $(NEW_ENOUGH)' 2>/dev/null && cat $(VENV)/.run 2>/dev/null)
ifneq ($(WHOLE),$(CURDIR))
.PHONY: $(VENV)/.run
endif

.PHONY: help install demo wheel lambda test prove mutation bench lint lock clean
help:            ## what can be made
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

$(VENV)/.run: requirements.lock pyproject.toml
	@test '$(VENV)' = .venv || test ! -e $(VENV) || test -f $(VENV)/pyvenv.cfg || { echo "$(VENV) is there, and is no environment" \
	    "of Python: name another directory, or remove it" >&2; exit 1; }
	@rm -f $@; test '$(WHOLE)' = '$(CURDIR)' || rm -rf $(VENV)
	@test -d $(VENV) || $(PYTHON) -c '$(NEW_ENOUGH)' 2>/dev/null || { echo "mrk needs Python 3.11 or newer, and" \
	    "$(PYTHON) is not that ($$($(PYTHON) -V 2>&1 | head -n 1)). Install one (Debian: apt-get install python3 python3-venv)," \
	    "and name it: make install PYTHON=python3.11" >&2; exit 1; }
	@test -d $(VENV) || $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "$(PYTHON) could not make an environment in" \
	    "$(VENV), for the reason above; it mostly lacks its part venv. Install that (Debian: apt-get install python3-venv)," \
	    "then type again: make install" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	@printf '%s' '$(CURDIR)' > $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.run
	@rm -f $@ $(VENV)/.run
	$(BIN)/python -m pip install --quiet --no-deps --require-hashes -r requirements-dev.lock
	$(BIN)/python -m pip check
	@printf '%s' '$(CURDIR)' > $(VENV)/.run
	@touch $@

install: $(VENV)/.run  ## mrk and its simulator in .venv

demo: $(VENV)/.run     ## a rotation over five Regions, proven, with no AWS account
	$(BIN)/mrk demo

wheel: $(VENV)/.run    ## mrk as one file, to install elsewhere: in dist/, with a lock that pins it and all that it needs by hash
	rm -rf dist
	$(BIN)/python -m pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .
	echo "./$$(basename dist/*.whl) $$($(BIN)/python -m pip hash dist/*.whl | tail -n 1)" | cat - requirements.lock > dist/mrk.lock

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
	$(PYTHON) -m venv --clear $(VENV)/mutation
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
