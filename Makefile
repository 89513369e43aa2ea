# Every target needs only Python 3.11+, make and the package registry.
PYTHON ?= python3
BIN := .venv/bin
# One thread a worker: two that spin on the same cores are slower than one.
TEST := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m pytest
QUICK := not slow and not gpu and not browser

.PHONY: help .venv demo test test-all check bench lab notebook notebooks clean

help: ## what there is
	@grep -E '^[a-z.-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

.venv: .venv/installed ## install everything, from the lock

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check $$(grep '^torch==' requirements.lock)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: .venv/installed ## a simulated support desk closes the loop, in about a quarter of an hour
	$(BIN)/clw demo

test: .venv/installed ## the quick ring
	$(TEST) -n 2 --dist loadfile -m "$(QUICK)"

test-all: .venv/installed ## everything: kills, fuzz, slow training
	$(TEST) -m "not gpu"

check: .venv/installed ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: .venv/installed ## ratios in one run
	$(BIN)/python -m pytest tests/bench -m slow -s

lab: .venv/installed ## JupyterLab on the notebooks
	$(BIN)/jupyter lab notebooks

notebook: .venv/installed ## marimo on the notebooks
	$(BIN)/marimo edit notebooks

notebooks: .venv/installed ## write the JupyterLab copies of the notebooks anew
	$(BIN)/python -m clworkbench.records.notebooks notebooks

clean: ## remove what was built, not your workspaces
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache *.egg-info
