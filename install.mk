### The C library: installing and testing it

PREFIX ?= /usr/local
CC ?= cc
CXX ?= c++

version := $(shell sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q}' Cargo.toml)
abi_version := $(firstword $(subst ., ,$(version)))

# What the static library needs of the system, in the order of linking.
system_libraries := -lm -lpthread -ldl

fill_in = sed -e 's|@VERSION@|$(version)|g' -e 's|@ABI_VERSION@|$(abi_version)|g' \
    -e 's|@SYSTEM_LIBRARIES@|$(system_libraries)|g' -e 's|@SYSTEM_LIBRARY_LIST@|$(subst $(space),;,$(system_libraries))|g'
empty :=
space := $(empty) $(empty)

root = $(DESTDIR)$(PREFIX)
shared := target/release/liblongattn.so
static := target/release/liblongattn.a
headers := include/longattn.h $(wildcard bindings/cpp/longattn.hpp)

# The same features as in `make build`: what they add is the command's alone, and nothing is compiled twice.
.PHONY: library
library:
	@$(need_cargo)
	@$(need_compiler)
	cargo build --release --locked --lib

.PHONY: install
install: library ## install the C library and its headers under PREFIX
	@$(call need,objcopy --version,binutils are missing. On Debian: apt-get install binutils)
	install -d $(root)/include $(root)/lib/pkgconfig $(root)/lib/cmake/longattn
	install -m 644 $(headers) $(root)/include
	strip --strip-unneeded -o target/release/liblongattn.so.stripped $(shared)
	install -m 755 target/release/liblongattn.so.stripped $(root)/lib/liblongattn.so.$(version)
	ln -sf liblongattn.so.$(version) $(root)/lib/liblongattn.so.$(abi_version)
	ln -sf liblongattn.so.$(abi_version) $(root)/lib/liblongattn.so
	$(static_library)
	$(fill_in) packaging/longattn.pc.in > $(root)/lib/pkgconfig/longattn.pc
	for file in longattn-config longattn-config-version; do \
	    $(fill_in) packaging/$$file.cmake.in > $(root)/lib/cmake/longattn/$$file.cmake; \
	done
	chmod 644 $(root)/lib/pkgconfig/longattn.pc $(root)/lib/cmake/longattn/*.cmake
	@du -bL $(shared) $(root)/lib/liblongattn.so.$(version) $(root)/lib/liblongattn.a

# One object with nothing but the functions of the header to be seen, so that a program may hold other copies of what is
# inside. The plugin is named because one for another compiler's objects, where it is installed, does not know these.
define static_library
rm -rf target/release/static && mkdir target/release/static
ld -r --gc-sections --strip-debug $$(nm -D --defined-only $(shared) | sed 's/.* /-u /') $(static) \
    -o target/release/static/longattn.o
objcopy --wildcard --keep-global-symbol='longattn_*' target/release/static/longattn.o
ar --plugin /dev/null rcs target/release/static/liblongattn.a target/release/static/longattn.o
install -m 644 target/release/static/liblongattn.a $(root)/lib
endef

### The C++ header: its tests and example, against an installed library

cpp_prefix := $(CURDIR)/target/prefix
cpp_json := $(CURDIR)/$(fetched)/nlohmann_json
cpp_flags := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror
# Real text, in files of many sizes.
cpp_texts = $(wildcard src/*.rs src/*/*.rs)
cpp_with_pkg_config = $(CXX) -std=c++17 -O2 $(cpp_flags) -isystem $(cpp_json) $(1) -o $(2) -Wl,-rpath,$(cpp_prefix)/lib -pthread \
    $$(PKG_CONFIG_PATH=$(cpp_prefix)/lib/pkgconfig pkg-config --cflags --libs longattn)
cpp_with_cmake = cmake -S $(1) -B $(2) -DCMAKE_CXX_COMPILER=$(CXX) -DCMAKE_PREFIX_PATH=$(cpp_prefix) $(3) && cmake --build $(2) --parallel

# $(call without,COMMAND THAT SHOWS IT IS THERE,DEBIAN'S PACKAGE): the package, where it is missing
without = $(if $(shell $(1) >/dev/null 2>&1 && echo there),,$(2))
cpp_missing = $(strip $(call without,$(CXX) --version,g++) $(call without,cmake --version,cmake) \
    $(call without,pkg-config --version,pkg-config) $(call without,pkg-config --exists gtest_main,libgtest-dev))

.PHONY: cpp
test: cpp
cpp: ## test the C++ header and the pipeline
	@if [ -z '$(cpp_missing)' ]; then $(MAKE) --no-print-directory cpp-tests; \
	elif [ "$${CI:-}" = true ]; then echo 'cpp: Debian packages are missing: $(cpp_missing)' >&2; exit 1; \
	else echo 'cpp: SKIPPED, because Debian packages are missing: $(cpp_missing)'; fi

.PHONY: cpp-tests
cpp-tests: $(onnxruntime) $(cpp_json) target/demo/model/model.onnx
	$(MAKE) --no-print-directory install PREFIX=$(cpp_prefix)
	mkdir -p target/cpp
	for standard in 17 20; do for compiler in $(CXX) $$(command -v clang++ || true); do \
	    $$compiler -std=c++$$standard $(cpp_flags) -fsyntax-only -x c++ $(cpp_prefix)/include/longattn.hpp; \
	done; done
	$(call cpp_with_cmake,tests/cpp,target/cpp/tests)
	target/cpp/tests/longattn_tests --gtest_brief=1
	sed '/^```cpp$$/,/^```$$/!d; /^```cpp$$/d; /^```$$/Q' docs/cpp.md > target/cpp/first.cpp
	$(call cpp_with_pkg_config,target/cpp/first.cpp,target/cpp/first)
	target/cpp/first target/demo/model README.md
	$(call cpp_with_pkg_config,bindings/cpp/examples/pipeline.cpp,target/cpp/pipeline)
	$(call cpp_with_cmake,bindings/cpp/examples,target/cpp/example,-DNLOHMANN_JSON_DIRECTORY=$(cpp_json))
	for pipeline in target/cpp/pipeline target/cpp/example/pipeline; do \
	    python3 tests/cpp/pipeline_test.py $$pipeline tests/data/tiny/query-key target/demo/model $(cpp_texts); \
	done

$(cpp_json): $(fetched)/nlohmann_json.whl
	@rm -rf $@
	$(call unpack,nlohmann_json/include)
