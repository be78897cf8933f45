//go:build !race

// The race detector keeps memory of its own.

package longattn_test

import (
	"context"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"longattn"
)

// TestMemoryOfManyCalls makes many small calls of every kind, LONGATTN_CALLS of each where that is set. Where a
// kind loses 100 bytes a call, it fails: in every round, for what threads and arenas begin to keep comes once.
func TestMemoryOfManyCalls(t *testing.T) {
	const rounds = 3
	calls := 20_000 * rounds
	if text := os.Getenv("LONGATTN_CALLS"); text != "" {
		calls = succeed(strconv.Atoi(text))(t)
	}
	scorer := open(t, queryKey, longattn.With("window", 4), longattn.With("threads", 1))
	ctx, cancel := context.WithCancel(background())
	defer cancel()
	kinds := map[string]func(){
		"a score":   func() { succeed(scorer.ScoreText(ctx, "abcd"))(t) },
		"an error":  func() { _, err := scorer.ScoreText(ctx, "\xff"); expectError(t, err, longattn.ErrInvalidUTF8, "") },
		"results":   func() { succeed(scorer.ScoreAll(ctx, []string{"ab", "a"}))(t) },
		"tokens":    func() { succeed(scorer.Tokenize("abcd"))(t) },
		"a setting": func() { succeed(scorer.Setting("window"))(t) },
		"windows": func() {
			for range scorer.Windows("abcdefgh") {
				break
			}
		},
		"a map": func() {
			_, _, err := longattn.ScoreMap(small, 1, 3, longattn.With("min_distance", 1))
			succeed(0, err)(t)
		},
		"a selection": func() {
			selector := longattn.NewSelector()
			add(t, selector, "a", "books", scored(1, -1))
			data := succeed(selector.MarshalJSON())(t)
			succeed(selector.Finish())(t)
			moved := succeed(longattn.SelectorFromJSON(data))(t)
			succeed(0, moved.Close())(t)
			succeed(0, selector.Close())(t)
		},
	}
	for _, call := range kinds {
		repeat(calls/4, call)
	}
	for kind, call := range kinds {
		grown, start := math.MaxInt, time.Now()
		for range rounds {
			before := residentBytes(t)
			repeat(calls/rounds, call)
			grown = min(grown, residentBytes(t)-before)
		}
		t.Logf("%s: %d calls of %v; a round took %d kB", kind, calls, time.Since(start)/time.Duration(calls), grown>>10)
		if grown > 100*calls/rounds {
			t.Errorf("memory grew by %d kB", grown>>10)
		}
	}
}

func repeat(calls int, call func()) {
	for range calls {
		call()
	}
}

// residentBytes is the memory of the process, without what Go keeps for later use.
func residentBytes(t *testing.T) int {
	debug.FreeOSMemory()
	fields := strings.Fields(string(succeed(os.ReadFile("/proc/self/statm"))(t)))
	return succeed(strconv.Atoi(fields[1]))(t) * os.Getpagesize()
}
