# Fuzzing by libFuzzer, with what it takes of stable Rust alone.

fuzz_host := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
fuzz_flags := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
fuzz_binaries := target/fuzz/$(fuzz_host)/release
fuzz_doors = $(shell sed -n 's/.*Door { name: "\([a-z]*\)".*/\1/p' fuzz/src/doors.rs)

# Seconds for each door, and the doors.
SECONDS_OF_EACH ?= 600
DOORS ?= $(fuzz_doors)

.PHONY: fuzz-build
fuzz-build:
	@$(need_cargo)
	@$(need_compiler)
	RUSTFLAGS="$(fuzz_flags)" cargo build --release --locked --manifest-path fuzz/Cargo.toml --target $(fuzz_host) --target-dir target/fuzz

# What breaks a door is kept in target/fuzz/found; what opened new ways in, in target/fuzz/corpus.
.PHONY: fuzz
fuzz: fuzz-build ## try all doors for strangers' bytes, ten minutes each: make fuzz SECONDS_OF_EACH=3600 DOORS=gguf
	@mkdir -p target/fuzz/found $(DOORS:%=target/fuzz/corpus/%)
	set -e; for door in $(DOORS); do \
	    echo "== $$door"; \
	    DOOR=$$door SEEDS=target/fuzz/corpus/$$door $(fuzz_binaries)/fuzz -max_total_time=$(SECONDS_OF_EACH) -timeout=10 -rss_limit_mb=1024 -max_len=65536 \
	        -print_final_stats=1 -artifact_prefix=target/fuzz/found/$$door- target/fuzz/corpus/$$door; \
	done
