package longattn_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"longattn"
)

// writeCorpus writes documents of 120 tokens, which are three windows each, and two records that cannot be used.
func writeCorpus(t *testing.T, documents int) string {
	var lines strings.Builder
	for number := range documents {
		fmt.Fprintf(&lines, "{\"id\": \"d%d\", \"text\": %q}\n", number, randomText(120, uint32(number)))
	}
	lines.WriteString("no object\n{\"id\": \"empty\"}\n")
	path := filepath.Join(t.TempDir(), "corpus.jsonl")
	succeed(0, os.WriteFile(path, []byte(lines.String()), 0o600))(t)
	return path
}

func openJob(t *testing.T, input, directory string, options ...longattn.Option) *longattn.Job {
	t.Helper()
	scorer := open(t, queryKey, longattn.With("window", 50))
	job := succeed(longattn.OpenJob(scorer, []string{input}, directory, options...))(t)
	t.Cleanup(func() { _ = job.Close() })
	return job
}

func TestAJobWritesScoresAndSelection(t *testing.T) {
	directory := filepath.Join(t.TempDir(), "result")
	job := openJob(t, writeCorpus(t, 12), directory)
	var rejects []string
	var last longattn.Progress
	job.Observer = longattn.Observer{
		Progress: func(progress longattn.Progress) { last = progress },
		Reject: func(reject longattn.Reject) {
			rejects = append(rejects, fmt.Sprint(filepath.Base(reject.File), reject.Line, reject.ID, reject.Record))
		},
	}
	summary := succeed(job.Run(background()))(t)
	if summary.Windows != 36 || summary.WindowsSelected != 9 || summary.RecordsRejected != 2 || summary.Elapsed <= 0 {
		t.Error(summary)
	}
	if expected := []string{"corpus.jsonl13no object", `corpus.jsonl14empty{"id": "empty"}`}; !slices.Equal(rejects, expected) {
		t.Error(rejects)
	}
	if last.Stage.String() == "" || last.Done > last.Total {
		t.Error(last)
	}
	if again := succeed(job.Summary())(t); again.WindowsSelected != 9 {
		t.Error(again)
	}
	categories := succeed(job.Categories())(t)
	if !slices.Equal(categories, []longattn.JobCategory{{Name: "corpus", Windows: 36, Selected: 9}}) {
		t.Error(categories)
	}
	selected := succeed(os.ReadFile(filepath.Join(directory, "selected.jsonl")))(t)
	if strings.Count(string(selected), "\n") != 9 {
		t.Error(string(selected))
	}
}

func TestAnotherSelectionScoresNothing(t *testing.T) {
	job := openJob(t, writeCorpus(t, 12), t.TempDir())
	scored := succeed(job.Score(background()))(t)
	selected := succeed(job.Select(background(), longattn.With("count", 4)))(t)
	if scored.WindowsSelected != 0 || selected.WindowsSelected != 4 || selected.TokensScored != scored.TokensScored {
		t.Error(scored, selected)
	}
	if selected = succeed(job.Select(background()))(t); selected.WindowsSelected != 9 {
		t.Error(selected)
	}
	_, err := job.Select(background(), longattn.With("count", 4), longattn.With("ratio", 0.5))
	expectError(t, err, longattn.ErrInvalidSetting, "only one of")
	_, err = job.Select(background(), longattn.With("color", "red"))
	expectError(t, err, longattn.ErrInvalidSetting, "no setting")
}

func TestACancelledJobGoesOn(t *testing.T) {
	directory, input := t.TempDir(), writeCorpus(t, 4000)
	job := openJob(t, input, directory)
	why := errors.New("enough")
	ctx, stop := context.WithCancelCause(background())
	job.Observer.Progress = func(progress longattn.Progress) {
		if progress.Windows > 3000 {
			stop(why)
		}
	}
	_, err := job.Run(ctx)
	expectError(t, err, longattn.ErrCancelled, "cancelled")
	if !errors.Is(err, why) {
		t.Error(err)
	}
	succeed(0, job.Close())(t)
	scorer := open(t, queryKey, longattn.With("window", 50))
	_, err = longattn.OpenJob(scorer, []string{input}, directory)
	expectError(t, err, longattn.ErrInvalidArgument, "has results already")
	summary := succeed(openJob(t, input, directory, longattn.With("earlier_results", "resume")).Run(background()))(t)
	if summary.Windows != 12000 || summary.WindowsKnown == 0 || summary.WindowsKnown == 12000 ||
		summary.TokensScored < 50*(12000-summary.WindowsKnown) {
		t.Error(summary)
	}
}

func TestADeadlineEndsAJobWithinASecond(t *testing.T) {
	// A window that takes far longer than the test waits.
	scorer := open(t, queryKey, longattn.With("window", 1<<18))
	input := filepath.Join(t.TempDir(), "corpus.txt")
	succeed(0, os.WriteFile(input, []byte(randomText(1<<18, 1)), 0o600))(t)
	job := succeed(longattn.OpenJob(scorer, []string{input}, t.TempDir()))(t)
	defer job.Close()
	ctx, cancel := context.WithTimeout(background(), 300*time.Millisecond)
	defer cancel()
	_, err := job.Run(ctx)
	ended := time.Now()
	expectError(t, err, longattn.ErrCancelled, "cancelled")
	deadline, _ := ctx.Deadline()
	if !errors.Is(err, context.DeadlineExceeded) || ended.Sub(deadline) > time.Second {
		t.Error(err, ended.Sub(deadline))
	}
	ctx, cancel = context.WithCancel(background())
	cancel()
	_, err = job.Run(ctx)
	expectError(t, err, longattn.ErrCancelled, "cancelled")
}

func TestAJobWaitsItsTurnUntilTheContextEnds(t *testing.T) {
	job := openJob(t, writeCorpus(t, 12), t.TempDir())
	var waited error
	job.Observer.Reject = func(longattn.Reject) {
		ctx, cancel := context.WithTimeout(background(), 50*time.Millisecond)
		defer cancel()
		_, waited = job.Run(ctx)
	}
	succeed(job.Score(background()))(t)
	expectError(t, waited, longattn.ErrCancelled, "cancelled")
}

func TestAPanicOfAnObserverIsTheCallers(t *testing.T) {
	job := openJob(t, writeCorpus(t, 4000), t.TempDir())
	job.Observer.Reject = func(reject longattn.Reject) { panic(reject.Record) }
	func() {
		defer func() {
			if told := recover(); told != "no object" {
				t.Error(told)
			}
		}()
		_, _ = job.Run(background())
	}()
	job.Observer.Reject = nil
	if summary := succeed(job.Run(background()))(t); summary.Windows != 12000 {
		t.Error(summary)
	}
}

func TestADirectoryHasOneOwner(t *testing.T) {
	directory, input := t.TempDir(), writeCorpus(t, 12)
	job := openJob(t, input, directory)
	scorer := open(t, queryKey, longattn.With("window", 50))
	_, err := longattn.OpenJob(scorer, []string{input}, directory, longattn.With("earlier_results", "overwrite"))
	expectError(t, err, longattn.ErrIO, "at work in")
	succeed(0, job.Close())(t)
	_, err = job.Run(background())
	if !errors.Is(err, longattn.ErrClosed) || !errors.Is(job.Close(), longattn.ErrClosed) {
		t.Error(err)
	}
	second := succeed(longattn.OpenJob(scorer, []string{input}, directory))(t)
	defer second.Close()
	succeed(0, scorer.Close())(t)
	if summary := succeed(second.Run(background()))(t); summary.Windows != 36 {
		t.Error(summary)
	}
}

func TestWrongJobs(t *testing.T) {
	scorer, directory := open(t, queryKey), filepath.Join(t.TempDir(), "result")
	_, err := longattn.OpenJob(scorer, nil, directory)
	expectError(t, err, longattn.ErrInvalidArgument, "no input")
	_, err = longattn.OpenJob(scorer, []string{"no/such/file"}, directory)
	expectError(t, err, longattn.ErrIO, "no/such/file")
	_, err = longattn.OpenJob(scorer, []string{""}, directory)
	expectError(t, err, longattn.ErrIO, "")
	_, err = longattn.OpenJob(scorer, []string{"docs"}, directory, longattn.With("on_error", "sing"))
	expectError(t, err, longattn.ErrInvalidSetting, "reject")
	_, err = longattn.OpenJob(nil, []string{"docs"}, directory)
	expectError(t, err, longattn.ErrInvalidArgument, "scorer")
	if _, err := os.Stat(directory); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// What was never opened says so, and what needs no opening is ready for use.
func TestZeroValues(t *testing.T) {
	var scorer longattn.Scorer
	var job longattn.Job
	calls := map[string]func() error{
		"ScoreText":       func() error { _, err := scorer.ScoreText(background(), "abc"); return err },
		"ScoreTokens":     func() error { _, err := scorer.ScoreTokens(background(), nil); return err },
		"ScoreHeads":      func() error { _, _, err := scorer.ScoreHeads(background(), nil); return err },
		"ScoreProfile":    func() error { _, _, err := scorer.ScoreProfile(background(), nil); return err },
		"ScoreLayers":     func() error { _, _, err := scorer.ScoreLayers(background(), nil); return err },
		"ScoreAll":        func() error { _, err := scorer.ScoreAll(background(), nil); return err },
		"Losses":          func() error { _, err := scorer.Losses(background(), nil); return err },
		"InformationGain": func() error { _, err := scorer.InformationGain(background(), nil); return err },
		"Tokenize":        func() error { _, err := scorer.Tokenize("abc"); return err },
		"Describe":        func() error { _, err := scorer.Describe(); return err },
		"Setting":         func() error { _, err := scorer.Setting("window"); return err },
		"Scorer.Close":    scorer.Close,
		"OpenJob":         func() error { _, err := longattn.OpenJob(&scorer, []string{"docs"}, t.TempDir()); return err },
		"Run":             func() error { _, err := job.Run(background()); return err },
		"Score":           func() error { _, err := job.Score(background()); return err },
		"Select":          func() error { _, err := job.Select(background()); return err },
		"Summary":         func() error { _, err := job.Summary(); return err },
		"Categories":      func() error { _, err := job.Categories(); return err },
		"Job.Close":       job.Close,
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) { expectError(t, call(), longattn.ErrInvalidArgument, "never opened") })
	}
	for _, err := range scorer.Windows("abc") {
		expectError(t, err, longattn.ErrInvalidArgument, "never opened")
	}
	_, err := longattn.Open(queryKey, longattn.Option{})
	expectError(t, err, longattn.ErrInvalidSetting, "no setting")

	var selector longattn.Selector
	defer selector.Close()
	add(t, &selector, "a", "books", scored(1, -1))
	if ranking := succeed(selector.Finish())(t); selector.Len() != 1 || ranking[0].ID != "a" {
		t.Error(ranking)
	}
	expectError(t, selector.Merge(nil), longattn.ErrInvalidArgument, "no selector")
	var closed longattn.Selector
	if err := closed.Close(); err != nil {
		t.Error(err)
	}
	if err := closed.Add("a", "b", scored(1, -1)); !errors.Is(err, longattn.ErrClosed) {
		t.Error(err)
	}
}

// A selector that is a part of something larger goes through JSON with it.
func TestSelectorsAreUnmarshalled(t *testing.T) {
	type shard struct {
		Name     string
		Selector *longattn.Selector
	}
	sent := shard{"a", newSelector(t)}
	add(t, sent.Selector, "one", "books", scored(0.1, -1))
	add(t, sent.Selector, "two", "books", scored(0.2, -2))
	text := succeed(json.Marshal(sent))(t)
	var received shard
	succeed(0, json.Unmarshal(text, &received))(t)
	defer received.Selector.Close()
	if !slices.Equal(succeed(received.Selector.Finish())(t), succeed(sent.Selector.Finish())(t)) {
		t.Error(received)
	}
	// What it had before is gone, as with everything that is unmarshalled.
	succeed(0, json.Unmarshal([]byte(`{"version":1,"candidates":[]}`), received.Selector))(t)
	if received.Selector.Len() != 0 {
		t.Error(received.Selector.Len())
	}
	add(t, received.Selector, "three", "books", scored(0.3, -3))
	err := json.Unmarshal([]byte(`{"version":77,"candidates":[]}`), received.Selector)
	expectError(t, err, longattn.ErrUnsupported, "form 77")
	if received.Selector.Len() != 1 {
		t.Error("a failure has changed it")
	}
	closed := newSelector(t)
	succeed(0, closed.Close())(t)
	if err := closed.UnmarshalJSON([]byte(`{"version":1,"candidates":[]}`)); !errors.Is(err, longattn.ErrClosed) {
		t.Error(err)
	}
}

func TestWindowsInDoubt(t *testing.T) {
	selector := newSelector(t)
	var scores []longattn.Score
	for number, strength := range []float64{0.1, 0.3, 0.29} {
		score := scored(strength, -1e-7)
		score.DependencyStrengthError = []float64{0.001, 0.01, 0.01}[number]
		scores = append(scores, score)
		add(t, selector, fmt.Sprint(number), "books", score)
	}
	best := longattn.With("count", 1)
	if doubted := succeed(selector.InDoubt(background(), scores, best))(t); !slices.Equal(doubted, []int{1}) {
		t.Error(doubted)
	}
	ctx, cancel := context.WithCancel(background())
	cancel()
	_, err := selector.InDoubt(ctx, scores, best)
	expectError(t, err, longattn.ErrCancelled, "cancelled")
	_, err = selector.InDoubt(background(), scores[:2], best)
	expectError(t, err, longattn.ErrInvalidArgument, "2 scores of 3 windows")
	scores[2] = scored(0.4, -1e-7)
	succeed(0, selector.Rescore(2, scores[2]))(t)
	scores[1].DependencyStrengthError, scores[0].DependencyStrengthError = 0, 0
	if doubted := succeed(selector.InDoubt(background(), scores, best))(t); len(doubted) != 0 {
		t.Error(doubted)
	}
	if ranking := succeed(selector.Finish(best))(t); ranking[0].DependencyStrength != 0.4 {
		t.Error(ranking)
	}
	expectError(t, selector.Rescore(3, scores[0]), longattn.ErrInvalidArgument, "no window 3")
}

// Windows of different lengths have scores that do not compare.
func TestMixedLengthsAreRefusedUnlessAllowed(t *testing.T) {
	selector := newSelector(t)
	scorer := open(t, queryKey)
	for _, text := range []string{"abc", randomText(60, 1)} {
		add(t, selector, text, "books", succeed(scorer.ScoreText(background(), text))(t))
	}
	_, err := selector.Finish()
	expectError(t, err, longattn.ErrInvalidArgument, "mixed_lengths")
	succeed(selector.Finish(longattn.With("mixed_lengths", "allow")))(t)
}
