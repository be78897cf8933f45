package longattn_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"longattn"
)

func scored(strength, uniformity float64) longattn.Score {
	return longattn.Score{TokenCount: 100, DependencyStrength: strength, DistributionUniformity: uniformity}
}

func TestPartsMergeToTheWhole(t *testing.T) {
	whole, total := newSelector(t), newSelector(t)
	var group sync.WaitGroup
	for part := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			mine := newSelector(t)
			for number := range 50 {
				id, score := fmt.Sprint(part, ":", number), scored(float64(number*7%50), -float64(part))
				if err := errors.Join(mine.Add(id, "books", score), whole.Add(id, "books", score)); err != nil {
					t.Error(err)
				}
			}
			moved, err := longattn.SelectorFromJSON(succeed(json.Marshal(mine))(t))
			if err != nil {
				t.Error(err)
				return
			}
			defer moved.Close()
			if err := total.Merge(moved); err != nil || moved.Len() != 0 {
				t.Error(err, moved.Len())
			}
		}()
	}
	group.Wait()
	if total.Len() != 400 || whole.Len() != 400 {
		t.Error(total.Len(), whole.Len())
	}
	if !slices.Equal(succeed(total.Finish())(t), succeed(whole.Finish())(t)) {
		t.Error("the selections differ")
	}
}

func TestSelectorsMergeBothWays(t *testing.T) {
	one, other := newSelector(t), newSelector(t)
	add(t, one, "a", "books", scored(1, -1))
	var group sync.WaitGroup
	for range 100 {
		group.Add(2)
		go func() { defer group.Done(); _ = one.Merge(other) }()
		go func() { defer group.Done(); _ = other.Merge(one) }()
	}
	group.Wait()
	if one.Len()+other.Len() != 1 {
		t.Error(one.Len(), other.Len())
	}
	expectError(t, one.Merge(one), longattn.ErrInvalidArgument, "itself")
}

func TestClosedSelectors(t *testing.T) {
	closed, live := newSelector(t), newSelector(t)
	add(t, live, "a", "books", scored(1, -1))
	if err := closed.Close(); err != nil {
		t.Error(err)
	}
	_, finished := closed.Finish()
	_, marshalled := closed.MarshalJSON()
	for index, err := range []error{finished, marshalled, closed.Add("a", "b", scored(1, -1)), closed.Merge(live),
		live.Merge(closed), closed.Close()} {
		if !errors.Is(err, longattn.ErrClosed) {
			t.Error(index, err)
		}
	}
	if closed.Len() != 0 || live.Len() != 1 {
		t.Error(closed.Len(), live.Len())
	}
}

func TestNamesOfAnyBytes(t *testing.T) {
	selector := newSelector(t)
	add(t, selector, "", "", scored(0.5, -1))
	add(t, selector, "a\x00b", "", scored(0.25, -1))
	ranking := succeed(selector.Finish())(t)
	if ranking[0].ID != "" || ranking[1].ID != "a\x00b" || ranking[1].Rank != 1 {
		t.Error(ranking)
	}
	expectError(t, selector.Add("\xff", "", scored(0, 0)), longattn.ErrInvalidUTF8, "id")
	expectError(t, selector.Add("", "\xff", scored(0, 0)), longattn.ErrInvalidUTF8, "category")
	if none := succeed(newSelector(t).Finish())(t); len(none) != 0 {
		t.Error(none)
	}
}
