package longattn_test

import (
	"fmt"
	"os"
	"testing"

	"longattn"
)

// The default model, as `make go` exports it.
const defaultModel = "target/check-c/model"

func realScorer(b *testing.B) *longattn.Scorer {
	if _, err := os.Stat(defaultModel); err != nil {
		b.Skip("there is no default model: run make go")
	}
	return open(b, defaultModel, longattn.With("window", 8192))
}

func realWindow(length uint32) []uint32 {
	ids := make([]uint32, length)
	for place := range ids {
		ids[place] = uint32(place) * 7919 % 49152
	}
	return ids
}

func BenchmarkScoreTokens(b *testing.B) {
	for _, length := range []uint32{64, 8192} {
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			scorer, ids := realScorer(b), realWindow(length)
			for b.Loop() {
				succeed(scorer.ScoreTokens(background(), ids))(b)
			}
		})
	}
}

// Many goroutines and one scorer.
func BenchmarkScoreTokensParallel(b *testing.B) {
	scorer, ids := realScorer(b), realWindow(8192)
	b.SetParallelism(4)
	b.RunParallel(func(loop *testing.PB) {
		for loop.Next() {
			succeed(scorer.ScoreTokens(background(), ids))(b)
		}
	})
}

func BenchmarkSelectorAdd(b *testing.B) {
	selector := newSelector(b)
	score := scored(0.5, -1)
	for b.Loop() {
		if err := selector.Add("a", "books", score); err != nil {
			b.Fatal(err)
		}
	}
}
