package longattn

// #include <longattn.h>
import "C"

import (
	"context"
	"math/bits"
	"unsafe"
)

// ScoreMap scores a window from the attention map of your own inference: softmax weights [heads, length, length] in
// row-major order, row n holding what token n gives. Entries above the diagonal are not read. The settings min_distance,
// sink_tokens and variance_domain apply.
//
// It fails with ErrInvalidArgument where the map has another size than its dimensions say, with ErrTooShort for a length
// below 2, and with ErrNonFinite for NaN or infinity among the far entries.
func ScoreMap(attention []float32, heads, length int, options ...Option) (Score, []HeadScore, error) {
	if err := checkSize("map", len(attention), heads, length, length); err != nil {
		return Score{}, nil, err
	}
	output := arrayScore{heads: make([]C.longattn_head_score, min(heads, len(attention)))}
	return output.fill(options, func(config *C.longattn_config) {
		C.longattn_score_map(floats(attention), C.size_t(heads), C.size_t(length), config,
			unsafe.SliceData(output.heads), C.size_t(len(output.heads)), &output.score, &output.failure)
	})
}

// A QueryKey holds the queries and keys of your own inference, with the rotary embedding applied. Query heads that share a
// key head are neighbours.
type QueryKey struct {
	Queries       []float32 // [Heads, Length, HeadSize] in row-major order
	Heads         int
	Keys          []float32 // [KeyValueHeads, Length, HeadSize] in row-major order
	KeyValueHeads int
	Length        int
	HeadSize      int
	Scale         float64 // logits are this times the product of query and key; usually 1/sqrt(HeadSize)
}

// ScoreQueryKey scores a window from queries and keys, in memory linear in its length. The settings min_distance,
// sink_tokens, variance_domain, instruction_set and precision apply.
//
// It fails with ErrInvalidArgument where an array has another size than its dimensions say or dimensions contradict each
// other, with ErrTooShort for a length below 2, with ErrNonFinite for NaN or infinity, and with ErrInvalidSetting where
// this machine lacks the instruction set.
func ScoreQueryKey(window QueryKey, options ...Option) (Score, []HeadScore, error) {
	if err := checkSize("queries", len(window.Queries), window.Heads, window.Length, window.HeadSize); err != nil {
		return Score{}, nil, err
	}
	if err := checkSize("keys", len(window.Keys), window.KeyValueHeads, window.Length, window.HeadSize); err != nil {
		return Score{}, nil, err
	}
	output := arrayScore{heads: make([]C.longattn_head_score, min(window.Heads, len(window.Queries)))}
	return output.fill(options, func(config *C.longattn_config) {
		C.longattn_score_query_key(floats(window.Queries), C.size_t(window.Heads), floats(window.Keys),
			C.size_t(window.KeyValueHeads), C.size_t(window.Length), C.size_t(window.HeadSize), C.double(window.Scale), config,
			unsafe.SliceData(output.heads), C.size_t(len(output.heads)), &output.score, &output.failure)
	})
}

// What C puts a score into.
type arrayScore struct {
	heads   []C.longattn_head_score
	score   C.longattn_score
	failure *C.longattn_error
}

func (a *arrayScore) fill(options []Option, call func(*C.longattn_config)) (Score, []HeadScore, error) {
	config, err := newConfig(options)
	if err != nil {
		return Score{}, nil, err
	}
	defer C.longattn_config_free(config)
	err = inTurn(context.Background(), func() error {
		call(config)
		return take(a.failure)
	})
	if err != nil {
		return Score{}, nil, err
	}
	return scoreOf(&a.score), headScores(a.heads), nil
}

func floats(numbers []float32) *C.float { return (*C.float)(unsafe.SliceData(numbers)) }

// checkSize checks an array against its dimensions, because C is told these alone.
func checkSize(name string, size int, dimensions ...int) error {
	product := uint64(1)
	for _, dimension := range dimensions {
		if dimension < 0 {
			return invalidArgument("%s has the dimensions %v, which must not be negative", name, dimensions)
		}
		var overflow uint64
		if overflow, product = bits.Mul64(product, uint64(dimension)); overflow > 0 {
			return invalidArgument("%s of the dimensions %v would be larger than any memory", name, dimensions)
		}
	}
	if uint64(size) != product {
		return invalidArgument("%s has %d elements, but %d by its dimensions %v", name, size, product, dimensions)
	}
	return nil
}
