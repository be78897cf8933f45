### The Java binding and the Spark job, against the installed library

native_folder := target/java/native
# The folder's name is JNA's.
native := $(native_folder)/linux-$(subst _,-,$(machine))/liblongattn.so
jars := bindings/java/example/target/lib/*
spark_jar = bindings/java/longattn-spark/target/longattn-spark-$(version).jar

# Downloads with a wrong checksum are refused.
maven := mvn --batch-mode --no-transfer-progress --quiet --strict-checksums --file bindings/java/pom.xml \
    -Dlongattn.native=$(CURDIR)/$(native_folder) -Dlongattn.library=$(prefix)/lib/liblongattn.so

java_missing = $(strip $(call without,javac --version,openjdk-17-jdk-headless) $(call without,mvn --version,maven))
# $(call with_java,TARGET)
with_java = if [ -z '$(java_missing)' ]; then $(MAKE) --no-print-directory $(1)-tests; \
    elif [ "$${CI:-}" = true ]; then echo '$(1): Debian packages are missing: $(java_missing)' >&2; exit 1; \
    else echo '$(1): SKIPPED, because Debian packages are missing: $(java_missing)'; fi

.PHONY: java
test: java
java: ## test the Java binding, its page and its example
	@$(call with_java,java)

.PHONY: spark
test: spark
spark: ## test the Spark job on a master and two executors
	@$(call with_java,spark)

.PHONY: $(native)
$(native):
	$(MAKE) --no-print-directory install PREFIX=$(prefix) DESTDIR=
	install -D -m 644 $(prefix)/lib/liblongattn.so $@

.PHONY: java-tests
java-tests: cases $(check)/model/model.onnx $(native)
	$(maven) --projects longattn,example verify javadoc:javadoc
	sed '/^```java$$/,/^```$$/!d; /^```java$$/d; /^```$$/Q' docs/java.md > target/java/First.java
	java -cp '$(jars)' target/java/First.java $(check)/model README.md
	$(check_java_example)

# The example gives what the command gives, in the same order.
define check_java_example
$(longattn) windows --quiet --model $(check)/model --window 1000 docs -o target/java/windows.jsonl
java -cp 'bindings/java/example/target/longattn-example-$(version).jar:$(jars)' longattn.example.Pipeline $(check)/model 1000 4 \
    < target/java/windows.jsonl | $(longattn) select --quiet --ratio 1 - > target/java/example.jsonl
$(longattn) score --quiet --model $(check)/model --window 1000 target/java/windows.jsonl -o - \
    | $(longattn) select --quiet --ratio 1 - > target/java/command.jsonl
for file in example command; do python3 -c 'import json, sys; [print(line["id"], line["lds"]) for line in map(json.loads, sys.stdin)]' \
    < target/java/$$file.jsonl > target/java/$$file.txt; done
test -s target/java/command.txt && diff target/java/command.txt target/java/example.txt
endef

.PHONY: spark-tests
spark-tests: build $(onnxruntime) $(check)/model/model.onnx $(native)
	$(maven) --projects longattn,longattn-spark -Dtest='longattn/spark/*Test' -Dsurefire.failIfNoSpecifiedTests=false \
	    verify javadoc:javadoc
