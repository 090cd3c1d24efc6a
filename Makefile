# Everything a contributor runs. `make help` lists it.
# PYTHON=... chooses the interpreter for .venv; the default is the first suitable one on PATH.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
READY := $(VENV)/.ready
DOCS_READY := $(VENV)/.docs-ready
SERVERS_READY := .servers/.ready
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check
WORKERS ?= 2
PYTEST := $(BIN)/pytest -p no:cacheprovider
COVERAGE_JSON := .coverage.json

.PHONY: help setup demo test test-all lint format bench docs lock build clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: $(READY) $(SERVERS_READY) ## make .venv with the `stocktake` command and everything the tests need
	@echo "ready: $(BIN)/stocktake"

$(READY): requirements/dev.txt pyproject.toml tools/find-python
	@python="$$(PYTHON='$(PYTHON)' sh tools/find-python)" && \
	  if [ ! -x $(PY) ]; then echo "setup: making $(VENV) with $$python" && "$$python" -m venv $(VENV); fi
	@echo "setup: installing the locked requirements"
	@$(PIP_INSTALL) --require-hashes --only-binary :all: -r requirements/dev.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(SERVERS_READY): $(READY) requirements/swift.txt
	@mkdir -p $(@D)
	@if [ -e src/stocktake/testing/servers ] || [ -e src/stocktake/testing/servers.py ]; then \
	  $(PY) -m stocktake.testing.servers setup; fi
	@touch $@

demo: $(READY) ## start a local S3 server, import two reports, show the tree and the diff
	@$(BIN)/stocktake demo

test: setup ## the tests of every change (<= 15 min), with branch coverage
	$(PYTEST) -m "not slow" -n $(WORKERS) --dist loadfile --cov=stocktake --cov-branch \
	  --cov-report= --cov-report=json:$(COVERAGE_JSON) $(PYTEST_ARGS)
	@$(PY) tools/coverage_gate.py $(COVERAGE_JSON)

test-all: setup ## also the slow tests
	$(PYTEST) -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

lint: $(READY) ## ruff, mypy, the import contracts and the house rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(PY) tools/tidy.py

format: $(READY) ## let ruff format and fix what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## measure; ARGS="--help" says what can be chosen
	$(PY) -m bench $(ARGS)

$(DOCS_READY): $(READY) requirements/docs.txt
	@$(PIP_INSTALL) --require-hashes --only-binary :all: -r requirements/docs.txt
	@touch $@

docs: $(DOCS_READY) ## build the documentation into site/
	$(PY) tools/docs_reference.py
	$(BIN)/mkdocs build --strict --quiet
	@echo "built: site/index.html"

lock: ## write requirements/*.txt anew from pyproject.toml; ARGS=--upgrade takes newer versions
	@python="$$(PYTHON='$(PYTHON)' sh tools/find-python)" && sh tools/lock "$$python" $(ARGS)

build: $(READY) ## wheel and source archive in dist/
	$(PY) -m build --no-isolation

clean: ## remove everything that setup, tests and builds made
	rm -rf $(VENV) .venv-lock .servers dist build site htmlcov .coverage* .hypothesis \
	  .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	find src tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} +
