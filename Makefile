PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
NATIVE_SOURCES := native/CMakeLists.txt $(wildcard native/cmake/* native/src/* native/src/cuda/*)

.PHONY: demo test

demo: $(STAMP)
	$(BIN)/kodec demo

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd src && ../$(BIN)/mypy --config-file ../pyproject.toml -p kodec
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

$(BIN)/python:
	$(PYTHON) -m venv .venv

# Editable: Python sources are live; only these two groups of files need a new install.
$(STAMP): pyproject.toml $(NATIVE_SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet "scikit-build-core>=1.1" "nanobind>=3.1" cmake ninja
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[dev]"
	touch $@
