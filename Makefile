PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
NATIVE_SOURCES := native/CMakeLists.txt $(wildcard native/cmake/* native/src/* native/src/cuda/* native/src/layers/*)

.PHONY: demo test sanitize fuzz

demo: $(STAMP)
	$(BIN)/kodec demo

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd src && ../$(BIN)/mypy --config-file ../pyproject.toml kodec ../benchmarks ../tests
	$(BIN)/lint-imports
	$(BIN)/python -m pytest

# What the native tests are built with: cmake and ninja, no Python module.
CONFIGURE = $(BIN)/cmake -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja -S native \
	-DKODEC_EXTENSION=OFF -DKODEC_NATIVE_TESTS=ON -DKODEC_SANITIZE=ON

# The core under AddressSanitizer and UBSan: random items (also through the CUDA kernels on an
# emulated device), layers of random shapes, and mutations of the fuzz targets' inputs.
SANITIZED := build/sanitized
sanitize: | $(BIN)/ninja
	$(CONFIGURE) -B $(SANITIZED) -DKODEC_OPTIMISATION=-O1 -DKODEC_CUDA_EMULATION=ON
	$(BIN)/cmake --build $(SANITIZED)
	$(SANITIZED)/tests/round_trips 300
	$(SANITIZED)/tests/layer_shapes 100
	$(SANITIZED)/tests/emulated_cuda/cuda_emulation 100
	$(SANITIZED)/tests/fuzz_seeds $(SANITIZED)/seeds
	cd $(SANITIZED) && tests/fuzz_decoder -max_total_time=15 seeds/decoder
	cd $(SANITIZED) && tests/fuzz_encoder -max_total_time=15 seeds/encoder

# A bounded minute of mutations. Coverage guides them where there is a clang with libFuzzer
# (Debian: clang-14 and libclang-rt-14-dev); what it learns is kept in build/fuzz/corpus.
FUZZ := build/fuzz
FUZZ_CXX ?= $(firstword $(foreach compiler,clang++ $(foreach n,21 20 19 18 17 16 15 14,clang++-$n),\
	$(shell echo 'extern "C" int LLVMFuzzerTestOneInput(const char *, long) { return 0; }' | \
	$(compiler) -fsanitize=fuzzer,address -x c++ - -o /dev/null 2>/dev/null && echo $(compiler))) c++)
FUZZ_OPTIONS := -max_len=640 -entropic=0 -timeout=20 -seed=0
fuzz: export ASAN_OPTIONS = malloc_context_size=2:quarantine_size_mb=16
fuzz: | $(BIN)/ninja
	$(CONFIGURE) -B $(FUZZ) -DKODEC_OPTIMISATION=-O2 -DCMAKE_CXX_COMPILER=$(FUZZ_CXX)
	$(BIN)/cmake --build $(FUZZ)
	$(FUZZ)/tests/fuzz_seeds $(FUZZ)/seeds
	mkdir -p $(FUZZ)/corpus/decoder $(FUZZ)/corpus/encoder
	cd $(FUZZ) && tests/fuzz_decoder -max_total_time=40 $(FUZZ_OPTIONS) corpus/decoder seeds/decoder
	cd $(FUZZ) && tests/fuzz_encoder -max_total_time=20 $(FUZZ_OPTIONS) corpus/encoder seeds/encoder

$(BIN)/ninja: | $(BIN)/python
	$(BIN)/python -m pip install --quiet cmake ninja

$(BIN)/python:
	$(PYTHON) -m venv .venv

# Editable: Python sources are live; only these two groups of files need a new install.
$(STAMP): pyproject.toml $(NATIVE_SOURCES) | $(BIN)/python
	$(BIN)/python -m pip install --quiet "scikit-build-core>=1.1" "nanobind>=3.1" cmake ninja
	$(BIN)/python -m pip install --quiet --no-build-isolation --editable ".[dev]"
	touch $@
