# The one task runner: people and CI use the same verbs.
PYTHON ?= python3
# `make setup EXTRAS=dev,oracle` brings GNPy too, against which tests/oracle holds the physics.
EXTRAS ?= dev
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PYTEST := $(BIN)/python -m pytest
# Tests that start every party as a process of its own: one at a time, on an otherwise quiet machine.
WHOLE := tests/e2e tests/robustness

.PHONY: setup demo test test-system fmt lint type gen bench docs clean

setup: $(STAMP)

# The last step compiles the kernels into the user's cache, so that the first start is as quick as any.
$(STAMP): pyproject.toml constraints.txt hatch_build.py $(shell find proto -name '*.proto')
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(EXTRAS)]'
	$(BIN)/python -m pce.warm_up
	touch $@

demo: setup
	$(BIN)/geysers demo

test: setup
	$(PYTEST) -m "not system" -n 2 --dist loadfile $(addprefix --ignore=,$(WHOLE))
	$(PYTEST) -m "not system" $(WHOLE)

test-system: setup
	$(PYTEST) -m system

fmt: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/codespell controller pce emulator proto tests tools benchmarks docs README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python tools/lint_proto.py
	$(BIN)/python tools/check_docs.py

type: setup
	$(BIN)/mypy

gen: setup
	PATH=$(CURDIR)/$(BIN):$$PATH $(BIN)/python hatch_build.py

# One JSON document per script; peer_*.py are run by the others.
bench: setup
	@for script in $(filter-out benchmarks/peer_%,$(wildcard benchmarks/*.py)); do $(BIN)/python $$script || exit 1; done

# Links lead somewhere, and every requirement names a test that exists.
docs: setup
	$(BIN)/python tools/check_docs.py

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache build dist
