PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
NATIVE_SOURCES := native/CMakeLists.txt $(wildcard native/cmake/* native/src/* native/src/cuda/*)

.PHONY: demo test sanitize-cuda

demo: $(STAMP)
	$(BIN)/kodec demo

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd src && ../$(BIN)/mypy --config-file ../pyproject.toml -p kodec
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

# The CUDA coder's kernels on an emulated device, under AddressSanitizer and UBSan.
EMULATED := build/emulated-sanitized
sanitize-cuda: $(STAMP)
	$(BIN)/cmake -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja -S native -B $(EMULATED) \
		-DPython_EXECUTABLE=$(CURDIR)/$(BIN)/python -DKODEC_CUDA=OFF -DKODEC_CUDA_EMULATION=ON \
		-Dnanobind_DIR=$$($(BIN)/python -m nanobind --cmake_dir) \
		-DCMAKE_CXX_FLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
	$(BIN)/cmake --build $(EMULATED) --target cuda_emulation
	$(EMULATED)/tests/emulated_cuda/cuda_emulation 300

$(BIN)/python:
	$(PYTHON) -m venv .venv

# Editable: Python sources are live; only these two groups of files need a new install.
$(STAMP): pyproject.toml $(NATIVE_SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet "scikit-build-core>=1.1" "nanobind>=3.1" cmake ninja
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[dev]"
	touch $@
