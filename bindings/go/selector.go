package longattn

// #include <longattn.h>
import "C"

import (
	"context"
	"sync"
	"unsafe"
)

// A Selector collects scored windows, and selects the best of each category. The selection depends on the set of windows
// alone, not on the order in which they were added or merged. Any number of goroutines may use it at once. The zero value has no
// windows, and is ready for use.
type Selector struct {
	owned *owner[*C.longattn_selector]
	mutex sync.Mutex
}

// merging is held by whoever holds the mutexes of two selectors, so that no two wait for each other.
var merging sync.Mutex

// A Ranked is one window of a selection.
type Ranked struct {
	ID         string
	Category   string
	Rank       uint64 // place in the category, 0 for the best
	TokenCount uint64

	DependencyStrength     float64
	DistributionUniformity float64

	// LDS = Std(DS) + alpha * Std(DU), relative to the category; larger is better.
	LongDistanceDependencyScore float64

	Selected bool // whether the window made the cut
}

// NewSelector makes a selector without windows.
func NewSelector() *Selector { return newSelector(C.longattn_selector_new()) }

func newSelector(object *C.longattn_selector) *Selector {
	selector := new(Selector)
	selector.hold(object)
	return selector
}

// SelectorFromJSON makes a selector from what [Selector.MarshalJSON] gave, here or on another machine.
//
// It fails with ErrInvalidRecord for JSON that is malformed, and with ErrUnsupported for the form of a later version.
func SelectorFromJSON(data []byte) (*Selector, error) {
	object, err := parseSelector(data)
	if err != nil {
		return nil, err
	}
	return newSelector(object), nil
}

func parseSelector(data []byte) (object *C.longattn_selector, err error) {
	text, length := chars(string(data))
	var failure *C.longattn_error
	C.longattn_selector_from_json(text, length, &object, &failure)
	return object, take(failure)
}

// UnmarshalJSON replaces the windows by those that [Selector.MarshalJSON] gave, here or on another machine.
//
// It fails as [SelectorFromJSON] does, and with [ErrClosed]; the windows are then as before.
func (s *Selector) UnmarshalJSON(data []byte) error {
	object, err := parseSelector(data)
	if err != nil {
		return err
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.begin()
	if err := s.owned.close(); err != nil {
		C.longattn_selector_free(object)
		return err
	}
	s.hold(object)
	return nil
}

// Close frees the windows. Later calls, Close among them, give [ErrClosed].
func (s *Selector) Close() error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.begin()
	return s.owned.close()
}

// use calls a function with the selector, alone.
func (s *Selector) use(call func(*C.longattn_selector) error) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.begin()
	return s.owned.use(call)
}

// begin makes the zero value an empty selector. The mutex is held.
func (s *Selector) begin() {
	if s.owned == nil {
		s.hold(C.longattn_selector_new())
	}
}

// hold makes an object of C's the selector's.
func (s *Selector) hold(object *C.longattn_selector) {
	s.owned = own(s, "selector", object, func(object *C.longattn_selector) { C.longattn_selector_free(object) })
}

// Add adds a window. Its id must be unique within its category, whose windows compete with each other. Of the score,
// TokenCount, MinDistance, SinkTokens, DependencyStrength and DistributionUniformity count.
//
// It fails with ErrNonFinite where a score is NaN or infinite, with ErrInvalidUTF8, and with [ErrClosed].
func (s *Selector) Add(id, category string, score Score) error {
	return s.use(func(selector *C.longattn_selector) error {
		name, nameLength := chars(id)
		group, groupLength := chars(category)
		scored := score.native()
		var failure *C.longattn_error
		C.longattn_selector_add(selector, name, nameLength, group, groupLength, &scored, &failure)
		return take(failure)
	})
}

// Rescore gives a window other scores, such as those on more rows of attention. Its ordinal is the number of windows that
// were added before it; those that were merged count in their order.
//
// It fails with ErrInvalidArgument where there is no such window, with ErrNonFinite, and with [ErrClosed].
func (s *Selector) Rescore(ordinal int, score Score) error {
	return s.use(func(selector *C.longattn_selector) error {
		scored := score.native()
		var failure *C.longattn_error
		C.longattn_selector_rescore(selector, C.size_t(ordinal), &scored, &failure)
		return take(failure)
	})
}

// InDoubt tells which windows, by their ordinals, to score on more rows, until the selection equals that by exact scores with
// the probability of the setting confidence; none where it can be trusted. The scores are those that the windows were
// added or last rescored with, in their order; their standard errors count.
//
// It fails with ErrInvalidArgument for another number of scores than [Selector.Len], with ErrCancelled within a second of
// the context's end, and as [Selector.Finish] does.
func (s *Selector) InDoubt(ctx context.Context, scores []Score, options ...Option) (ordinals []int, err error) {
	config, err := newConfig(options)
	if err != nil {
		return nil, err
	}
	defer C.longattn_config_free(config)
	natives := make([]C.longattn_score, len(scores))
	for index, score := range scores {
		natives[index] = score.native()
	}
	err = inTurn(ctx, func() error {
		return s.use(func(selector *C.longattn_selector) error {
			if windows := int(C.longattn_selector_count(selector)); len(scores) != windows {
				return invalidArgument("%d scores of %d windows", len(scores), windows)
			}
			cancel, free := cancelAtEnd(ctx)
			defer free()
			found := make([]C.size_t, len(scores))
			var count C.size_t
			var failure *C.longattn_error
			C.longattn_selector_in_doubt(selector, unsafe.SliceData(natives), config, cancel, unsafe.SliceData(found), &count,
				&failure)
			for _, ordinal := range found[:count] {
				ordinals = append(ordinals, int(ordinal))
			}
			return withCause(ctx, take(failure))
		})
	})
	return ordinals, err
}

// Len returns the number of windows in all categories; 0 after Close.
func (s *Selector) Len() (count int) {
	_ = s.use(func(selector *C.longattn_selector) error {
		count = int(C.longattn_selector_count(selector))
		return nil
	})
	return count
}

// Merge moves all windows of another selector into this one. The other is empty afterwards.
//
// It fails with ErrInvalidArgument where both are the same, and with [ErrClosed] where one was closed.
func (s *Selector) Merge(other *Selector) error {
	if other == nil {
		return invalidArgument("there is no selector to be merged")
	}
	if s == other {
		return invalidArgument("a selector cannot be merged with itself")
	}
	merging.Lock()
	defer merging.Unlock()
	return s.use(func(selector *C.longattn_selector) error {
		return other.use(func(other *C.longattn_selector) error {
			var failure *C.longattn_error
			C.longattn_selector_merge(selector, other, &failure)
			return take(failure)
		})
	})
}

// MarshalJSON gives the windows as versioned JSON, to be merged on another machine. Every number keeps its bits.
func (s *Selector) MarshalJSON() (data []byte, err error) {
	err = s.use(func(selector *C.longattn_selector) error {
		var text C.longattn_text
		var failure *C.longattn_error
		C.longattn_selector_to_json(selector, &text, &failure)
		if err := take(failure); err != nil {
			return err
		}
		data = []byte(takeText(&text))
		return nil
	})
	return data, err
}

// Finish ranks the windows of each category, and cuts, by the settings alpha, standardize, mixed_lengths, and one of ratio,
// count, token_budget and threshold. It returns every window: by category in the order of their bytes, and within a category
// the best first. The selector is as before.
//
// It fails with ErrInvalidSetting where more than one cut is set, with ErrInvalidArgument where two windows of one category
// have the same id, or were measured on different lengths or distances while mixed_lengths is refuse, and with [ErrClosed].
func (s *Selector) Finish(options ...Option) (ranking []Ranked, err error) {
	config, err := newConfig(options)
	if err != nil {
		return nil, err
	}
	defer C.longattn_config_free(config)
	err = s.use(func(selector *C.longattn_selector) error {
		var selection *C.longattn_selection
		var failure *C.longattn_error
		C.longattn_selector_finish(selector, config, &selection, &failure)
		if err := take(failure); err != nil {
			return err
		}
		defer C.longattn_selection_free(selection)
		ranking = make([]Ranked, C.longattn_selection_count(selection))
		for index := range ranking {
			var ranked C.longattn_ranked
			C.longattn_selection_get(selection, C.size_t(index), &ranked, nil)
			ranking[index] = rankedOf(&ranked)
		}
		return nil
	})
	return ranking, err
}

func rankedOf(ranked *C.longattn_ranked) Ranked {
	return Ranked{
		ID:                          goString(ranked.id, ranked.id_length),
		Category:                    goString(ranked.category, ranked.category_length),
		Rank:                        uint64(ranked.rank),
		TokenCount:                  uint64(ranked.token_count),
		DependencyStrength:          float64(ranked.dependency_strength),
		DistributionUniformity:      float64(ranked.distribution_uniformity),
		LongDistanceDependencyScore: float64(ranked.long_distance_dependency_score),
		Selected:                    bool(ranked.selected),
	}
}
