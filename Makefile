SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Where Python may not keep what it compiled, every start would compile 3,400 modules again: 7 s.
KEPT := $(if $(PYTHONDONTWRITEBYTECODE),--compile-bytecode)

.DEFAULT_GOAL := help
DATA := $(abspath $(or $(AIOPS_DATA),data))
.PHONY: help install run status ui docs test test-all lint format lock sample clean

help: ## Show what can be done
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): requirements.lock pyproject.toml
	@echo "Installing into $(VENV) (about 260 packages, 1.5 GB) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "Python's venv module is missing: apt-get install python3-venv"; exit 1; }
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9'
	@$(BIN)/uv pip install --quiet $(KEPT) --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps -e .
	@touch $@

install: $(READY) ## Make .venv with everything in it, `aiops` too

run: $(READY) ## Materialise the continuous, weekly and monthly work, then say what was found
	@$(BIN)/aiops run

status: $(READY) ## Say what the last run found
	@$(BIN)/aiops status

ui: $(READY) ## Open Dagster on http://127.0.0.1:3000 with the schedules running
	@$(BIN)/aiops ui

docs: $(READY) ## Describe every table on a page to search, data/docs/static_index.html
	@test -f $(DATA)/aiops.duckdb || { echo "Nothing was run yet: make run"; exit 1; }
	@mkdir -p $(DATA)/docs && cp $(DATA)/aiops.duckdb $(DATA)/docs/tables.duckdb # dbt opens what it describes for writing
	@AIOPS_WAREHOUSE=$(DATA)/docs/tables.duckdb $(BIN)/dbt --quiet docs generate --static \
	  --project-dir dbt_project --profiles-dir dbt_project --target-path $(DATA)/docs
	@rm $(DATA)/docs/tables.duckdb && echo "Wrote $(DATA)/docs/static_index.html"

# In the order of conftest.py. Tests start Python some fifty times: each start finds what was compiled.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

test: $(READY) ## Run the suite (11 minutes on two quiet cores)
	@$(PYTEST)

test-all: $(READY) ## Run the suite and the slow sweeps
	@$(PYTEST) -m ""

lint: $(READY) ## What pre-commit and CI check
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy

format: $(READY) ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: ## Resolve requirements.lock anew from pyproject.toml
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --generate-hashes \
	  --no-emit-index-url pyproject.toml -o requirements.lock

sample: $(READY) ## Make the sample inference logs again (the same bytes on the same machine)
	@$(BIN)/python -m aiops_pipelines.sample

clean: ## Remove everything the pipelines produced
	@rm -rf data/aiops.duckdb data/warehouse data/reports data/audit data/keys data/notifications data/dagster data/docs
