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
java-tests: cases $(check)/model/model.onnx $(check)/deep/model.onnx $(native)
	$(maven) --projects longattn,example verify javadoc:javadoc
	sed '/^```java$$/,/^```$$/!d; /^```java$$/d; /^```$$/Q' docs/java.md > target/java/First.java
	rm -rf target/java/result
	java -cp '$(jars)' target/java/First.java $(check)/model README.md target/java/result
	$(run_test) java -cp 'bindings/java/example/target/longattn-example-$(version).jar:$(jars)' longattn.example.Run

.PHONY: spark-tests
spark-tests: build $(onnxruntime) $(check)/model/model.onnx $(native)
	$(maven) --projects longattn,longattn-spark -Dtest='longattn/spark/*Test' -Dsurefire.failIfNoSpecifiedTests=false \
	    verify javadoc:javadoc
