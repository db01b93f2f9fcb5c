# The one task runner: people and CI use the same verbs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: setup demo test test-system lint type gen fmt bench docs clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt hatch_build.py $(shell find proto -name '*.proto')
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

fmt: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/codespell controller pce emulator proto tests docs README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python tools/lint_proto.py

type: setup
	$(BIN)/mypy

gen: setup
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python hatch_build.py

test: setup
	$(BIN)/python -m pytest -m "not system"

test-system: setup
	$(BIN)/python -m pytest -m system

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build dist
