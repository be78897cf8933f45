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
