### The C library: installing and testing it

PREFIX ?= /usr/local
CC ?= cc
CXX ?= c++

version := $(shell sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q}' Cargo.toml)
version_parts := $(subst ., ,$(version))
# Before 1.0 each minor version has an ABI of its own.
abi_version := $(patsubst 0,0.$(word 2,$(version_parts)),$(firstword $(version_parts)))

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

### Tests of the C library, against the installed files

prefix := $(CURDIR)/target/prefix
check := target/check-c
with_prefix := PKG_CONFIG_PATH=$(prefix)/lib/pkgconfig

# $(call with_tool,TOOL,COMMAND): without the tool the command is skipped, but fails in CI.
with_tool = if command -v $(1) >/dev/null; then $(2); elif [ "$${CI:-}" = true ]; then echo "c: $(1) is missing" >&2; exit 1; \
    else echo "c: $(1) is missing: SKIPPED"; fi

strict := -Wall -Wextra -Wpedantic -Werror
c_tests := $(wildcard tests/c/*.c)

.PHONY: c
test: c
c: cases $(check)/model/model.onnx $(check)/deep/model.onnx $(check)/abi.so ## test the C library as it is installed
	$(MAKE) --no-print-directory install PREFIX=$(prefix) DESTDIR=
	$(check_header)
	$(check_needed)
	$(check_abi)
	$(with_prefix) sh -c '$(CC) -std=c11 -D_DEFAULT_SOURCE -O1 -g $(strict) -pthread $(c_tests) \
	    $$(pkg-config --cflags --libs longattn) -Wl,-rpath,$(prefix)/lib -lm -o $(check)/test'
	$(check)/test
	$(check_example)
	$(check_job)
	@$(call with_tool,cmake,$(check_cmake))
	@$(call with_tool,valgrind,$(check_memory))

$(check)/model/model.onnx: $(model_file) | build
	$(longattn) export $< -o $(@D) --overwrite

$(check)/deep/model.onnx: tests/data/checkpoints/llama-deep/model.safetensors | build
	$(longattn) export $(<D) -o $(@D) --layers 0,2 --gain --tokenizer tests/data/checkpoints/tokenizer.json --overwrite

define check_header
echo '#include <longattn.h>' > $(check)/header.c
$(CC) -std=c99 $(strict) -I$(prefix)/include -fsyntax-only $(check)/header.c
$(CC) -std=c11 $(strict) -I$(prefix)/include -fsyntax-only $(check)/header.c
$(CXX) -std=c++17 $(strict) -I$(prefix)/include -fsyntax-only -x c++ $(check)/header.c
endef

# What the library may need of a system; all else would have to be installed beside it.
allowed := libc.so.6 libm.so.6 libgcc_s.so.1 ld-linux-x86-64.so.2 ld-linux-aarch64.so.1

define check_needed
readelf -dW $(prefix)/lib/liblongattn.so | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' > $(check)/needed
! grep -vxF $(allowed:%=-e %) $(check)/needed || { echo "liblongattn.so needs these too" >&2; exit 1; }
readelf -dW $(prefix)/lib/liblongattn.so | grep -q 'soname: \[liblongattn.so.$(abi_version)\]'
endef

# A library of empty functions with the header's types: what a C compiler makes of the header is the ABI.
$(check)/abi.so: include/longattn.h
	@mkdir -p $(@D)
	$(CC) -E -P $< | sed '/^typedef\|__attribute__/!s/);$$/) { __builtin_trap(); }/' > $(check)/abi.c
	$(CC) -g -shared -fPIC -w $(check)/abi.c -o $@

define check_abi
nm -D --defined-only $(check)/abi.so | sed -n 's/.* T //p' > $(check)/declared
nm -D --defined-only $(prefix)/lib/liblongattn.so | sed 's/.* //' | diff $(check)/declared - \
    || { echo "the header (<) and liblongattn.so (>) do not name the same functions" >&2; exit 1; }
@$(fetch_abigail)
@$(abigail) $(compare_abi)
endef

abi_file := tests/c/longattn-$(version).abi
abigail_root := $(fetched)/abigail
abigail = if [ ! -x $(abigail_root)/usr/bin/abidw ]; then \
    [ "$${CI:-}" != true ] || exit 1; echo "c: libabigail is missing: SKIPPED"; exit; fi; \
    export LD_LIBRARY_PATH=$(abigail_root)/usr/lib/$(machine)-linux-gnu PATH=$(abigail_root)/usr/bin:$$PATH;
dump_abi = abidw --no-corpus-path --no-comp-dir-path --no-show-locs $(check)/abi.so

compare_abi = [ -e $(abi_file) ] || { echo "There is no ABI of version $(version) yet: run make abi" >&2; exit 1; }; \
    $(dump_abi) > $(check)/longattn.abi; abidiff $(abi_file) $(check)/longattn.abi \
    || { echo "The ABI changed, and the version did not: give Cargo.toml a new one, and run make abi" >&2; exit 1; }

.PHONY: abi
abi: $(check)/abi.so ## record the ABI of this version, and forget that of others
	@$(fetch_abigail)
	rm -f tests/c/longattn-*.abi
	@$(abigail) $(dump_abi) > $(abi_file)

# Debian's packages, unpacked without installing them.
# Package lists of its own, because a machine's may be missing or old.
apt := apt-get -qq -o Dir::State::Lists=lists -o Dir::Cache=cache
fetch_abigail = [ -x $(abigail_root)/usr/bin/abidw ] || { mkdir -p $(abigail_root)/{lists,cache/archives}/partial && \
    cd $(abigail_root) && $(apt) update 2>/dev/null && \
    $(apt) download abigail-tools=2.2-2 libabigail0=2.2-2 2>/dev/null && sha256sum --quiet -c $(CURDIR)/requirements/abigail.sha256 && \
    for package in *.deb; do dpkg -x $$package .; done; } || echo "c: libabigail could not be fetched from Debian 12" >&2

# The program in the header's preface: its lines are those that are indented.
define check_example
sed -n '1,/^ \*\//s/^ \*     //p' include/longattn.h > $(check)/example.c
$(with_prefix) sh -c '$(CC) -std=c99 $(strict) $(check)/example.c $$(pkg-config --cflags --libs longattn) -o $(check)/example'
rm -rf $(check)/result
LD_LIBRARY_PATH=$(prefix)/lib $(check)/example $(check)/model README.md $(check)/result
endef

# The example that does the whole job, beside the command; $(texts) are real text, in files of many sizes.
define check_job
$(with_prefix) sh -c '$(CC) -std=c99 $(strict) bindings/c/examples/run.c $$(pkg-config --cflags --libs longattn) \
    -Wl,-rpath,$(prefix)/lib -o $(check)/run'
$(run_test) $(check)/run
endef

texts = $(wildcard src/*.rs src/*/*.rs)
run_test = python3 tests/examples/run_test.py $(longattn) tests/data/tiny/query-key $(texts) --

# The same program through the CMake package, linked both ways, from a prefix that was moved.
check_cmake = rm -rf $(check)/moved $(check)/cmake && cp -a $(prefix) $(check)/moved && \
    cmake -S tests/c/cmake -B $(check)/cmake -DCMAKE_PREFIX_PATH=$(CURDIR)/$(check)/moved -DEXAMPLE=$(CURDIR)/$(check)/example.c \
    > $(check)/cmake.log && cmake --build $(check)/cmake >> $(check)/cmake.log && \
    for program in shared static; do rm -rf $(check)/result && $(check)/cmake/$$program $(check)/model README.md $(check)/result; done

check_memory = LONGATTN_BRIEF=1 valgrind --quiet --error-exitcode=1 --suppressions=tests/c/valgrind.supp --leak-check=full \
    --show-leak-kinds=definite,indirect --errors-for-leak-kinds=definite,indirect $(check)/test > $(check)/valgrind.log && tail -n 1 $(check)/valgrind.log

### Tests of the C++ header and its example, against the installed files

strict_cpp := $(strict) -Wshadow -Wconversion

# $(call without,COMMAND THAT SHOWS IT IS THERE,DEBIAN'S PACKAGE): the package, where it is missing.
without = $(if $(shell $(1) >/dev/null 2>&1 && echo there),,$(2))
cpp_missing = $(strip $(call without,$(CXX) --version,g++) $(call without,cmake --version,cmake) \
    $(call without,pkg-config --version,pkg-config) $(call without,pkg-config --exists gtest_main,libgtest-dev))

.PHONY: cpp
test: cpp
cpp: ## test the C++ header and its example as they are installed
	@if [ -z '$(cpp_missing)' ]; then $(MAKE) --no-print-directory cpp-tests; \
	elif [ "$${CI:-}" = true ]; then echo 'cpp: Debian packages are missing: $(cpp_missing)' >&2; exit 1; \
	else echo 'cpp: SKIPPED, because Debian packages are missing: $(cpp_missing)'; fi

.PHONY: cpp-tests
cpp-tests: cases $(check)/model/model.onnx $(check)/deep/model.onnx
	$(MAKE) --no-print-directory install PREFIX=$(prefix) DESTDIR=
	mkdir -p target/cpp
	for compiler in $(CXX) $$(command -v clang++ || true); do for standard in 17 20; do \
	    $$compiler -std=c++$$standard $(strict_cpp) -fsyntax-only -x c++ $(prefix)/include/longattn.hpp; \
	done; done
	$(call build_with_cmake,tests/cpp,target/cpp/tests)
	target/cpp/tests/longattn_tests --gtest_brief=1
	sed '/^```cpp$$/,/^```$$/!d; /^```cpp$$/d; /^```$$/Q' docs/cpp.md > target/cpp/first.cpp
	$(call build_with_pkg_config,target/cpp/first.cpp,target/cpp/first)
	rm -rf target/cpp/result
	target/cpp/first $(check)/model README.md target/cpp/result
	$(call build_with_pkg_config,bindings/cpp/examples/run.cpp,target/cpp/run)
	$(call build_with_cmake,bindings/cpp/examples,target/cpp/example)
	for run in target/cpp/run target/cpp/example/run; do $(run_test) $$run; done

# $(call build_with_pkg_config,SOURCE,PROGRAM)
build_with_pkg_config = $(with_prefix) sh -c '$(CXX) -std=c++17 -O2 $(strict_cpp) $(1) -o $(2) \
    $$(pkg-config --cflags --libs longattn) -Wl,-rpath,$(prefix)/lib -pthread'

# $(call build_with_cmake,SOURCES,BUILD,OPTIONS)
build_with_cmake = cmake -S $(1) -B $(2) -DCMAKE_CXX_COMPILER=$(CXX) -DCMAKE_PREFIX_PATH=$(prefix) $(3) && \
    cmake --build $(2) --parallel
