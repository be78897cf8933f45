package longattn

// #include <longattn.h>
import "C"

import (
	"context"
	"iter"
	"slices"
	"unsafe"
)

// Tokens are the tokens of a text, without special ones.
type Tokens struct {
	IDs []uint32

	// Token i stands for the bytes from Boundaries[i] up to, not including, Boundaries[i+1], at character boundaries. There
	// is one more of them than there are tokens.
	Boundaries []int
}

// A Window is a run of tokens of a document, which stands for its bytes from ByteStart up to, not including, ByteEnd.
type Window struct {
	TokenStart int
	ByteStart  int
	ByteEnd    int
	IDs        []uint32
}

// Tokenize splits a text into tokens.
//
// It fails with ErrUnsupported where the package has no tokenizer, with ErrInvalidUTF8, and with [ErrClosed].
func (s *Scorer) Tokenize(text string) (tokens Tokens, err error) {
	err = s.work(context.Background(), func(scorer *C.longattn_scorer, _ *C.longattn_cancel) error {
		data, length := chars(text)
		var made *C.longattn_tokens
		var failure *C.longattn_error
		C.longattn_scorer_tokenize(scorer, data, length, &made, &failure)
		if err := take(failure); err != nil {
			return err
		}
		defer C.longattn_tokens_free(made)
		count := C.longattn_tokens_count(made)
		tokens.IDs = idsOf(C.longattn_tokens_ids(made), count)
		for _, boundary := range unsafe.Slice(C.longattn_tokens_boundaries(made), count+1) {
			tokens.Boundaries = append(tokens.Boundaries, int(boundary))
		}
		return nil
	})
	return tokens, err
}

// Windows cuts a document into windows of as many tokens as the setting window says, by Algorithm 1 of the paper and in
// its order: from the front and the back in turn, and then what is left between. A document shorter than one window gives
// none; windows may overlap.
//
// The windows are made as they are asked for. Where Tokenize would fail, there is one error in their place.
func (s *Scorer) Windows(document string) iter.Seq2[Window, error] {
	return func(yield func(Window, error) bool) {
		windows, err := s.cut(document)
		if err != nil {
			yield(Window{}, err)
			return
		}
		defer C.longattn_windows_free(windows)
		for index := range C.longattn_windows_count(windows) {
			var window C.longattn_window
			C.longattn_windows_get(windows, index, &window, nil)
			if !yield(windowOf(&window), nil) {
				return
			}
		}
	}
}

func (s *Scorer) cut(document string) (windows *C.longattn_windows, err error) {
	err = s.work(context.Background(), func(scorer *C.longattn_scorer, _ *C.longattn_cancel) error {
		data, length := chars(document)
		var failure *C.longattn_error
		C.longattn_scorer_cut(scorer, data, length, &windows, &failure)
		return take(failure)
	})
	return windows, err
}

func windowOf(window *C.longattn_window) Window {
	return Window{
		TokenStart: int(window.token_start),
		ByteStart:  int(window.byte_start),
		ByteEnd:    int(window.byte_end),
		IDs:        idsOf(window.ids, window.token_count),
	}
}

// idsOf copies token ids of C's.
func idsOf(ids *C.uint32_t, count C.size_t) []uint32 {
	return slices.Clone(unsafe.Slice((*uint32)(unsafe.Pointer(ids)), count))
}
