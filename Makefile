# Needs Python >= 3.10 and make. Every target makes the virtual environment it needs; a second run reuses it.
#
#   make test                      lint, types, import contracts, documentation, tests (not the slow ones)
#   make demo                      trace and save in one kernel, load and run in a fresh one, print the table
#   make test-slow                 the tests marked slow or corpus
#   make test-verify               the edit suite under the oracle: every hit is compiled as well and compared
#   make test-numba                Numba's own tests: plain, recording, from the image, under the oracle (MODULES='test_tuples ...'); hours
#   make test-worlds-long          random notebooks beside an oracle: make test-worlds-long STEPS=5000 SEED=1
#   make test-browser              the front ends in a real Chromium (which has to be installed)
#   make test-matrix               the tests under the other supported Numba
#   make docs                      the documentation, warnings are errors -> docs/_build/html
#   make bench                     first-call times in fresh processes
#   make bench-session             a session with stumpy and UMAP -> benchmarks/session.json, which notebook 08 shows
#   make bench-steady              code of an image against code of the JIT in one process (ARGS='-k sort')
#   make bench-ways                images built by every linker, for several CPUs, in 1 and 2 shards: same answers, nothing compiled
#   make format                    rewrite the sources in the house style
#
# Another Python:   make test PYTHON=python3.13 VENV=.venv313

PYTHON ?= python3
VENV ?= .venv
MATRIX_NUMBA ?= 0.67
MATRIX_VENV ?= .venv-numba$(subst .,,$(MATRIX_NUMBA))
# pytest's own arguments: make test ARGS='-k trust -x'
ARGS ?=
JOBS ?= 2
STEPS ?= 5000
SEED ?= 1

BIN := $(VENV)/bin
MATRIX_BIN := $(MATRIX_VENV)/bin
PIP_FLAGS := --quiet --disable-pip-version-check
PYTEST_FLAGS := -n $(JOBS) --dist worksteal -q

# Our own switches must not leak from the caller's shell into the tests.
unexport AOTNB_IMAGE AOTNB_RECORD AOTNB_REPORT AOTNB_TRACE_COMPILE AOTNB_TRACE_DISPATCH AOTNB_VERIFY AOTNB_WORKLOADS

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help env test lint types contracts pytest test-slow test-verify test-numba test-worlds-long test-browser test-matrix demo docs bench bench-session bench-steady bench-ways format clean

help:
	@sed -n 's/^#   //p' $(firstword $(MAKEFILE_LIST))

# ---- environments ---------------------------------------------------------------------------------------------------

# pip knows dependency groups from 25.1 on; the one that a Python brings may be older.
define make_venv
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "aotnb needs Python 3.10 or later; say make PYTHON=..." >&2; exit 1; }
@echo "making the environment $(1)"
@$(PYTHON) -m venv $(1) || { echo "python3 -m venv failed; on Debian and Ubuntu install python3-venv" >&2; exit 1; }
@$(1)/bin/python -m pip install $(PIP_FLAGS) --upgrade 'pip>=25.1'
endef

$(VENV)/.made:
	$(call make_venv,$(VENV))
	@touch $@

$(VENV)/.test: pyproject.toml aotnb-autostart.pth | $(VENV)/.made
	@echo "installing aotnb and the tools of the tests into $(VENV)"
	@$(BIN)/python -m pip install $(PIP_FLAGS) --editable . --group test --group lint
	@touch $@

$(VENV)/.demo: pyproject.toml aotnb-autostart.pth | $(VENV)/.made
	@echo "installing aotnb and the libraries of the demo into $(VENV)"
	@$(BIN)/python -m pip install $(PIP_FLAGS) --editable . --group demo
	@touch $@

$(VENV)/.zig: pyproject.toml | $(VENV)/.made
	@echo "installing zig's linker into $(VENV)"
	@$(BIN)/python -m pip install $(PIP_FLAGS) --editable '.[zig]'
	@touch $@

$(VENV)/.browser: pyproject.toml aotnb-autostart.pth | $(VENV)/.made
	@echo "installing aotnb and the front ends into $(VENV)"
	@$(BIN)/python -m pip install $(PIP_FLAGS) --editable . --group browser
	@touch $@

$(VENV)/.docs: pyproject.toml | $(VENV)/.made
	@echo "installing aotnb and the tools of the documentation into $(VENV)"
	@$(BIN)/python -m pip install $(PIP_FLAGS) --editable . --group docs
	@touch $@

$(MATRIX_VENV)/.test: pyproject.toml aotnb-autostart.pth
	$(call make_venv,$(MATRIX_VENV))
	@echo "installing aotnb and Numba $(MATRIX_NUMBA) into $(MATRIX_VENV)"
	@$(MATRIX_BIN)/python -m pip install $(PIP_FLAGS) --editable . 'numba==$(MATRIX_NUMBA).*' --group test
	@touch $@

env: $(VENV)/.test

# ---- checks ---------------------------------------------------------------------------------------------------------

# pytest comes last: its summary line closes the output.
test: lint types contracts docs pytest

lint: $(VENV)/.test
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.test
	@$(BIN)/mypy

contracts: $(VENV)/.test
	@$(BIN)/lint-imports

pytest: $(VENV)/.test
	@$(BIN)/python -m pytest $(PYTEST_FLAGS) -m 'not slow and not corpus and not browser' $(ARGS)

test-slow: $(VENV)/.test $(VENV)/.demo $(VENV)/.zig
	@$(BIN)/python -m pytest $(PYTEST_FLAGS) -m 'slow or corpus' $(ARGS)

test-verify: $(VENV)/.test
	@$(BIN)/python -m pytest $(PYTEST_FLAGS) --verify tests/e2e/test_edited_code.py tests/e2e/test_edited_values.py tests/e2e/test_kept.py $(ARGS)

test-numba: $(VENV)/.test
	@$(BIN)/python tests/numba_suite/run.py $(MODULES)

test-worlds-long: $(VENV)/.test
	@$(BIN)/python tests/worlds/differential.py --steps $(STEPS) --seed $(SEED) $(ARGS)

test-browser: $(VENV)/.test $(VENV)/.browser
	@AOTNB_BROWSER=required $(BIN)/python -m pytest -q -m browser tests/browser $(ARGS)

test-matrix: $(MATRIX_VENV)/.test
	@$(MATRIX_BIN)/python -m pytest $(PYTEST_FLAGS) -m 'not slow and not corpus and not browser and not notebook' $(ARGS)

# ---- the rest -------------------------------------------------------------------------------------------------------

demo: $(VENV)/.demo
	@$(BIN)/python -m aotnb demo $(ARGS)

docs: $(VENV)/.docs
	@$(BIN)/python -m sphinx -W --keep-going -q -j 2 -b html docs docs/_build/html
	@echo "docs/_build/html/index.html"

bench: $(VENV)/.demo
	@$(BIN)/python benchmarks/first_call.py $(ARGS)

bench-session: $(VENV)/.demo
	@$(BIN)/python benchmarks/first_call.py --json benchmarks/session.json session $(ARGS)

bench-steady: $(VENV)/.test
	@$(BIN)/python benchmarks/steady_state.py $(ARGS)

bench-ways: $(VENV)/.demo $(VENV)/.zig
	@$(BIN)/python benchmarks/every_way.py $(ARGS)

format: $(VENV)/.test
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) $(MATRIX_VENV) build dist docs/_build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
