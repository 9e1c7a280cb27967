PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
DOCS_NEEDS := "mkdocs-material>=9,<10" "mkdocstrings[python]>=1,<2"
NATIVE_SOURCES := native/CMakeLists.txt $(wildcard native/cmake/* native/src/* native/src/cuda/* native/src/layers/* native/src/grids/* native/src/motion/*)

.PHONY: demo test wheel docs sanitize sanitize-threads test-aarch64 fuzz

demo: $(STAMP)
	$(BIN)/kodec demo

# A process for each core, up to four: tests' tensors are small, threads would only wait.
test: export OMP_NUM_THREADS ?= 1
test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	cd src && ../$(BIN)/mypy --config-file ../pyproject.toml kodec ../benchmarks ../tests
	$(BIN)/lint-imports
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

# The wheel, tried in an environment of its own: dist/*.whl. Builds for all Pythons: cibuildwheel.
wheel: $(STAMP)
	.ci/try-wheel $(BIN)/python dist

# The site, build/site: nothing may warn.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(STAMP)
	$(BIN)/python -m pip install --quiet $(DOCS_NEEDS)
	$(BIN)/mkdocs build --strict --quiet

# What the native tests are built with: cmake and ninja, no Python module.
CONFIGURE = $(BIN)/cmake -G Ninja -DCMAKE_MAKE_PROGRAM=$(CURDIR)/$(BIN)/ninja -S native \
	-DKODEC_EXTENSION=OFF -DKODEC_NATIVE_TESTS=ON

# The core under AddressSanitizer and UBSan: random items in several threads (also through the CUDA
# kernels on an emulated device), layers of random shapes on OpenMP's threads, and mutations of the
# fuzz targets' inputs.
SANITIZED := build/sanitized
sanitize: | $(BIN)/ninja
	$(CONFIGURE) -B $(SANITIZED) -DKODEC_SANITIZE=address,undefined -DKODEC_OPTIMISATION=-O1 \
		-DKODEC_CUDA_EMULATION=ON
	$(BIN)/cmake --build $(SANITIZED)
	$(SANITIZED)/tests/round_trips 300
	$(SANITIZED)/tests/front_programs 300
	$(SANITIZED)/tests/layer_shapes 100
	$(SANITIZED)/tests/grid_shapes 50
	$(SANITIZED)/tests/token_shapes 50
	$(SANITIZED)/tests/motion_fields 150
	$(SANITIZED)/tests/emulated_cuda/cuda_emulation 100
	$(SANITIZED)/tests/fuzz_seeds $(SANITIZED)/seeds
	cd $(SANITIZED) && tests/fuzz_decoder -max_total_time=15 seeds/decoder
	cd $(SANITIZED) && tests/fuzz_encoder -max_total_time=15 seeds/encoder

# The same items and layers under ThreadSanitizer. It knows std::thread but not libgomp, so this build
# has no OpenMP: tasks and data are the same, only who starts the threads differs.
RACES := build/races
sanitize-threads: | $(BIN)/ninja
	$(CONFIGURE) -B $(RACES) -DKODEC_SANITIZE=thread -DKODEC_OPTIMISATION=-O1
	$(BIN)/cmake --build $(RACES)
	$(RACES)/tests/round_trips 130
	$(RACES)/tests/layer_shapes 50
	$(RACES)/tests/grid_shapes 20
	$(RACES)/tests/token_shapes 20
	$(RACES)/tests/motion_fields 50

# The core as it is built for aarch64, emulated, beside this machine's: streams, scans, indexes of
# scales and the fuzz targets' inputs must be the same, byte for byte.
HOST := build/host
AARCH64 := build/aarch64
ON_AARCH64 := qemu-aarch64 -L /usr/aarch64-linux-gnu
test-aarch64: | $(BIN)/ninja
	@command -v aarch64-linux-gnu-g++ && command -v qemu-aarch64 || { echo "this needs a compiler \
	for aarch64 and QEMU: apt-get install g++-aarch64-linux-gnu qemu-user" >&2; exit 1; }
	$(CONFIGURE) -B $(HOST)
	$(CONFIGURE) -B $(AARCH64) -DCMAKE_SYSTEM_NAME=Linux -DCMAKE_SYSTEM_PROCESSOR=aarch64 \
		-DCMAKE_CXX_COMPILER=aarch64-linux-gnu-g++
	$(BIN)/cmake --build $(HOST)
	$(BIN)/cmake --build $(AARCH64)
	$(HOST)/tests/round_trips 300 > $(HOST)/round_trips.txt
	$(ON_AARCH64) $(AARCH64)/tests/round_trips 300 > $(AARCH64)/round_trips.txt
	$(HOST)/tests/fuzz_seeds $(HOST)/seeds
	$(ON_AARCH64) $(AARCH64)/tests/fuzz_seeds $(AARCH64)/seeds
	diff -r $(HOST)/seeds $(AARCH64)/seeds
	grep checksum $(HOST)/round_trips.txt > $(HOST)/checksum.txt
	grep checksum $(AARCH64)/round_trips.txt | diff $(HOST)/checksum.txt -
	$(HOST)/tests/front_programs 300 > $(HOST)/front_programs.txt
	$(ON_AARCH64) $(AARCH64)/tests/front_programs 300 | diff $(HOST)/front_programs.txt -
	$(HOST)/tests/motion_fields 100 > $(HOST)/motion_fields.txt
	$(ON_AARCH64) $(AARCH64)/tests/motion_fields 100 | diff $(HOST)/motion_fields.txt -
	$(ON_AARCH64) $(AARCH64)/tests/layer_shapes
	$(ON_AARCH64) $(AARCH64)/tests/grid_shapes 20
	$(ON_AARCH64) $(AARCH64)/tests/token_shapes 20
	cd $(AARCH64) && $(ON_AARCH64) tests/fuzz_decoder -max_total_time=10 seeds/decoder
	cd $(AARCH64) && $(ON_AARCH64) tests/fuzz_encoder -max_total_time=10 seeds/encoder

# A bounded minute of mutations. Coverage guides them where there is a clang with libFuzzer
# (Debian: clang-14 and libclang-rt-14-dev); what it learns is kept in build/fuzz/corpus.
FUZZ := build/fuzz
FUZZ_CXX ?= $(firstword $(foreach compiler,clang++ $(foreach n,21 20 19 18 17 16 15 14,clang++-$n),\
	$(shell echo 'extern "C" int LLVMFuzzerTestOneInput(const char *, long) { return 0; }' | \
	$(compiler) -fsanitize=fuzzer,address -x c++ - -o /dev/null 2>/dev/null && echo $(compiler))) c++)
FUZZ_OPTIONS := -max_len=640 -entropic=0 -timeout=20 -seed=0
fuzz: export ASAN_OPTIONS = malloc_context_size=2:quarantine_size_mb=16
fuzz: | $(BIN)/ninja
	$(CONFIGURE) -B $(FUZZ) -DKODEC_SANITIZE=address,undefined -DKODEC_OPTIMISATION=-O2 \
		-DCMAKE_CXX_COMPILER=$(FUZZ_CXX)
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
