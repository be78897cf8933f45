package longattn

// #include <longattn.h>
import "C"

import (
	"sync"
)

// A Selector collects scored windows, and selects the best of each category. The selection depends on the set of windows
// alone, not on the order in which they were added or merged. Any number of goroutines may use it at once.
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
	selector.owned = own(selector, "selector", object, func(object *C.longattn_selector) { C.longattn_selector_free(object) })
	return selector
}

// SelectorFromJSON makes a selector from what [Selector.MarshalJSON] gave, here or on another machine.
//
// It fails with ErrInvalidRecord for JSON that is malformed, and with ErrUnsupported for the form of a later version.
func SelectorFromJSON(data []byte) (*Selector, error) {
	text, length := chars(string(data))
	var object *C.longattn_selector
	var failure *C.longattn_error
	C.longattn_selector_from_json(text, length, &object, &failure)
	if err := take(failure); err != nil {
		return nil, err
	}
	return newSelector(object), nil
}

// Close frees the windows. Later calls, Close among them, give [ErrClosed].
func (s *Selector) Close() error { return s.owned.close() }

// use calls a function with the selector, alone.
func (s *Selector) use(call func(*C.longattn_selector) error) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.owned.use(call)
}

// Add adds a window. Its id must be unique within its category, whose windows compete with each other. Of the score,
// TokenCount, DependencyStrength and DistributionUniformity count.
//
// It fails with ErrNonFinite where a score is NaN or infinite, with ErrInvalidUTF8, and with [ErrClosed].
func (s *Selector) Add(id, category string, score Score) error {
	return s.use(func(selector *C.longattn_selector) error {
		name, nameLength := chars(id)
		group, groupLength := chars(category)
		scored := C.longattn_score{
			token_count:             C.uint64_t(score.TokenCount),
			dependency_strength:     C.double(score.DependencyStrength),
			distribution_uniformity: C.double(score.DistributionUniformity),
		}
		var failure *C.longattn_error
		C.longattn_selector_add(selector, name, nameLength, group, groupLength, &scored, &failure)
		return take(failure)
	})
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

// Finish ranks the windows of each category, and cuts, by the settings alpha, standardize, and one of ratio, count,
// token_budget and threshold. It returns every window: by category in the order of their bytes, and within a category the
// best first. The selector is as before.
//
// It fails with ErrInvalidSetting where more than one cut is set, with ErrInvalidArgument where two windows of one category
// have the same id, and with [ErrClosed].
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
