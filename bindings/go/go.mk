### The Go module and its example, against the installed library

with_library := $(with_prefix) LD_LIBRARY_PATH=$(prefix)/lib

go: ## test the Go module and its example
$(eval $(call language,go,go,$(MAKE) --no-print-directory go-tests))

.PHONY: go-tests
go-tests: cases $(check)/model/model.onnx $(check)/deep/model.onnx
	$(MAKE) --no-print-directory install PREFIX=$(prefix) DESTDIR=
	cd bindings/go && files=$$(gofmt -l .) && [ -z "$$files" ] || { echo "not formatted: $$files" >&2; exit 1; }
	cd bindings/go && $(with_library) go vet ./...
	cd bindings/go && $(with_library) go test -race ./...
	cd bindings/go && $(with_library) go test -run Memory -bench . -benchtime 1x .
	cd bindings/go && $(with_library) go build -o $(CURDIR)/target/go-run ./examples/run
	LD_LIBRARY_PATH=$(prefix)/lib $(run_test) target/go-run
	$(check_go_page)

# The first program of the page, made as it says.
define check_go_page
rm -rf target/go && mkdir -p target/go
sed '/^```go$$/,/^```$$/!d; /^```go$$/d; /^```$$/Q' docs/go.md > target/go/first.go
cd target/go && go mod init first && go mod edit -require=longattn@v0.0.0 -replace=longattn=$(CURDIR)/bindings/go
cd target/go && $(with_library) go build -o first .
$(with_library) target/go/first $(check)/model README.md target/go/result
endef
