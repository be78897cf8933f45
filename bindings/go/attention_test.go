package longattn_test

import (
	"math"
	"testing"

	"longattn"
)

// One head over three tokens.
var small = []float32{1, 0, 0, 0.5, 0.5, 0, 0.6, 0.2, 0.2}

func TestMaps(t *testing.T) {
	score, heads, err := longattn.ScoreMap(small, 1, 3, longattn.With("min_distance", 2))
	if err != nil || len(heads) != 1 || heads[0].Proportion != score.DependencyStrength {
		t.Fatal(score, heads, err)
	}
	if math.Abs(score.DependencyStrength-0.2) > 1e-7 || score.MinDistance != 2 || score.TokenCount != 3 {
		t.Error(score)
	}
}

func TestQueriesAndKeysScoreAsTheirMap(t *testing.T) {
	const heads, length, size = 2, 5, 3
	seed := uint32(1)
	numbers := func(count int) []float32 {
		made := make([]float32, count)
		for index := range made {
			seed = seed*1664525 + 1013904223
			made[index] = float32(seed>>16%1000)/500 - 1
		}
		return made
	}
	window := longattn.QueryKey{Queries: numbers(heads * length * size), Heads: heads, Keys: numbers(length * size),
		KeyValueHeads: 1, Length: length, HeadSize: size, Scale: 0.5}
	attention := make([]float32, heads*length*length)
	for row := range heads * length {
		last := row % length
		total := 0.0
		for column := range last + 1 {
			logit := 0.0
			for place := range size {
				logit += float64(window.Queries[row*size+place]) * float64(window.Keys[column*size+place])
			}
			total += math.Exp(logit * window.Scale)
			attention[row*length+column] = float32(math.Exp(logit * window.Scale))
		}
		for column := range last + 1 {
			attention[row*length+column] /= float32(total)
		}
	}
	streamed, streamedHeads, err := longattn.ScoreQueryKey(window)
	if err != nil {
		t.Fatal(err)
	}
	whole, wholeHeads, err := longattn.ScoreMap(attention, heads, length)
	if err != nil {
		t.Fatal(err)
	}
	if math.Abs(streamed.DependencyStrength-whole.DependencyStrength) > 1e-6 || streamed.HeadCount != heads {
		t.Error(streamed, whole)
	}
	for head := range heads {
		if math.Abs(streamedHeads[head].Variance-wholeHeads[head].Variance) > 1e-6 {
			t.Error(streamedHeads, wholeHeads)
		}
	}
}

func TestWrongArrays(t *testing.T) {
	scoreMap := func(attention []float32, heads, length int, options ...longattn.Option) error {
		_, _, err := longattn.ScoreMap(attention, heads, length, options...)
		return err
	}
	scoreQueryKey := func(window longattn.QueryKey) error {
		_, _, err := longattn.ScoreQueryKey(window)
		return err
	}
	expectError(t, scoreMap(small, 1, 2), longattn.ErrInvalidArgument, "9 elements, but 4")
	expectError(t, scoreMap(small, -1, -3), longattn.ErrInvalidArgument, "negative")
	expectError(t, scoreMap(small, math.MaxInt, math.MaxInt), longattn.ErrInvalidArgument, "any memory")
	expectError(t, scoreMap(nil, 0, 2), longattn.ErrInvalidArgument, "heads")
	expectError(t, scoreMap(nil, math.MaxInt, 0), longattn.ErrTooShort, "0 tokens")
	expectError(t, scoreMap(small[:1], 1, 1), longattn.ErrTooShort, "1 tokens")
	expectError(t, scoreMap(small, 1, 3, longattn.With("color", "red")), longattn.ErrInvalidSetting, "color")
	nan := float32(math.NaN())
	expectError(t, scoreMap([]float32{1, 0, nan, 0}, 1, 2, longattn.With("min_distance", 0)), longattn.ErrNonFinite, "")

	window := longattn.QueryKey{Queries: small, Heads: 3, Keys: small, KeyValueHeads: 3, Length: 3, HeadSize: 1, Scale: 1}
	if err := scoreQueryKey(window); err != nil {
		t.Error(err)
	}
	window.Queries = small[1:]
	expectError(t, scoreQueryKey(window), longattn.ErrInvalidArgument, "queries has 8 elements")
	window.Queries, window.Keys = small, small[1:]
	expectError(t, scoreQueryKey(window), longattn.ErrInvalidArgument, "keys has 8 elements")
	window.Keys, window.KeyValueHeads = small[:6], 2
	expectError(t, scoreQueryKey(window), longattn.ErrInvalidArgument, "")
}
