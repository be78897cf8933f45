package longattn_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"longattn"
)

// Packages of one tiny model, whose every byte of text is a token and which knows 64 positions, and a model of another
// exporter, without a tokenizer.
const (
	queryKey   = "tests/data/tiny/query-key"
	deep       = "target/check-c/deep" // a package of several layers
	attentions = "tests/data/tiny/attentions"
	bare       = "tests/data/foreign/encoder.onnx"
)

// The tests run in the root of the project.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

func open(t testing.TB, path string, options ...longattn.Option) *longattn.Scorer {
	t.Helper()
	scorer := succeed(longattn.Open(path, options...))(t)
	t.Cleanup(func() {
		if err := scorer.Close(); err != nil && !errors.Is(err, longattn.ErrClosed) {
			t.Error(err)
		}
	})
	return scorer
}

func newSelector(t testing.TB) *longattn.Selector {
	selector := longattn.NewSelector()
	t.Cleanup(func() { _ = selector.Close() })
	return selector
}

// succeed takes what a call returned, and ends the test where that is an error.
func succeed[Value any](value Value, err error) func(testing.TB) Value {
	return func(t testing.TB) Value {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// expectError checks that an error has this status and these words.
func expectError(t testing.TB, err error, status longattn.Status, words string) {
	t.Helper()
	var failure *longattn.Error
	if !errors.As(err, &failure) {
		t.Fatalf("%v is no error of longattn", err)
	}
	if failure.Status != status || !errors.Is(err, status) || !strings.Contains(failure.Message, words) {
		t.Errorf("status %d, message %q; expected status %d, and %q", failure.Status, failure.Message, status, words)
	}
}

// randomText is text of so many tokens of the tiny packages, different for each seed.
func randomText(length int, seed uint32) string {
	text := make([]byte, length)
	for index := range text {
		seed = seed*1664525 + 1013904223
		text[index] = byte('a' + seed>>16%26)
	}
	return string(text)
}

func background() context.Context { return context.Background() }
