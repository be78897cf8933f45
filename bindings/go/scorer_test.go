package longattn_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"longattn"
)

func TestVersionAndSettings(t *testing.T) {
	if strings.Count(longattn.Version(), ".") != 2 {
		t.Error(longattn.Version())
	}
	settings := longattn.Settings()
	if settings[0].Key != "window" || settings[0].Placeholder != "TOKENS" || settings[0].Default == "" {
		t.Error(settings[0])
	}
	scorer := open(t, queryKey)
	for _, setting := range settings {
		if value := succeed(scorer.Setting(setting.Key))(t); value != setting.Default {
			t.Errorf("%s is %s", setting.Key, value)
		}
	}
	_, err := scorer.Setting("color")
	expectError(t, err, longattn.ErrInvalidSetting, "window")
}

func TestDescription(t *testing.T) {
	var description struct {
		Contract string
		Heads    int
	}
	if err := json.Unmarshal(succeed(open(t, queryKey).Describe())(t), &description); err != nil {
		t.Fatal(err)
	}
	if description.Contract != "query-key" || description.Heads != 4 {
		t.Error(description)
	}
}

func TestAllWaysToScoreAgree(t *testing.T) {
	scorer := open(t, queryKey, longattn.With("window", 60))
	text := randomText(90, 1)
	tokens := succeed(scorer.Tokenize(text))(t)
	score := succeed(scorer.ScoreText(background(), text))(t)
	if score.TokenCount != 60 || score.MinDistance != 15 || score.HeadCount != 4 || score.DependencyStrength <= 0 {
		t.Error(score)
	}
	if again := succeed(scorer.ScoreTokens(background(), tokens.IDs))(t); again != score {
		t.Error(again, score)
	}
	again, heads, err := scorer.ScoreHeads(background(), tokens.IDs)
	if err != nil || again != score || len(heads) != 4 {
		t.Fatal(again, heads, err)
	}
	var proportion, variance float64
	for _, head := range heads {
		proportion += head.Proportion / 4
		variance += head.Variance / 4
	}
	if !near(proportion, score.DependencyStrength) || !near(-variance, score.DistributionUniformity) {
		t.Error(score, heads)
	}
}

func TestEachLayerHasAScore(t *testing.T) {
	scorer := open(t, deep, longattn.With("window", 64))
	ids := make([]uint32, 64)
	for index := range ids {
		ids[index] = uint32(index * 7 % 48)
	}
	score, layers, err := scorer.ScoreLayers(background(), ids)
	if err != nil || len(layers) != 2 {
		t.Fatal(layers, err)
	}
	if whole := succeed(scorer.ScoreTokens(background(), ids))(t); score != whole {
		t.Errorf("%v, and without layers %v", score, whole)
	}
	strength := (layers[0].DependencyStrength + layers[1].DependencyStrength) / 2
	square := (layers[0].FarSquareMass + layers[1].FarSquareMass) / 2
	if math.Abs(strength-score.DependencyStrength) > 1e-12 || math.Abs(square-score.FarSquareMass) > 1e-12 {
		t.Errorf("%v is not the mean of %v", score, layers)
	}
	if square <= 0 || square >= strength {
		t.Errorf("a far square mass of %v by a dependency strength of %v", square, strength)
	}
}

func TestTokensPastThePositionsOfTheModelAreTold(t *testing.T) {
	scorer := open(t, queryKey)
	for length, expected := range map[int]uint64{64: 0, 100: 36} {
		if score := succeed(scorer.ScoreText(background(), randomText(length, 1)))(t); score.UntrainedTokens != expected {
			t.Error(length, score)
		}
	}
}

func TestProfilesTellHowFarAttentionReaches(t *testing.T) {
	scorer := open(t, queryKey, longattn.With("profile", true))
	ids := succeed(scorer.Tokenize(randomText(64, 1)))(t).IDs
	score, profile, err := scorer.ScoreProfile(background(), ids)
	if err != nil || len(profile) != 7 || score != succeed(scorer.ScoreTokens(background(), ids))(t) {
		t.Fatal(score, profile, err)
	}
	// Bucket 5 begins at a distance of 16, a quarter of the window.
	if math.Abs(profile[5]+profile[6]-score.DependencyStrength) > 1e-6 {
		t.Error(score, profile)
	}
	_, _, err = open(t, queryKey).ScoreProfile(background(), ids)
	expectError(t, err, longattn.ErrInvalidSetting, "profile at true")
	_, _, err = scorer.ScoreProfile(background(), nil)
	expectError(t, err, longattn.ErrTooShort, "0 tokens")
	ctx, cancel := context.WithCancel(background())
	cancel()
	_, _, err = scorer.ScoreProfile(ctx, ids)
	expectError(t, err, longattn.ErrCancelled, "cancelled")
}

func near(found, expected float64) bool {
	return math.Abs(found-expected) <= 1e-12*math.Abs(expected)
}

func TestTokensTileTheText(t *testing.T) {
	scorer := open(t, queryKey)
	tokens := succeed(scorer.Tokenize("a€z"))(t)
	if len(tokens.IDs) != 5 || len(tokens.Boundaries) != 6 || tokens.Boundaries[1] != 1 || tokens.Boundaries[5] != 5 {
		t.Error(tokens)
	}
	if none := succeed(scorer.Tokenize(""))(t); len(none.IDs) != 0 || len(none.Boundaries) != 1 {
		t.Error(none)
	}
	_, err := scorer.Tokenize("\xff")
	expectError(t, err, longattn.ErrInvalidUTF8, "text")
}

func TestWindowsEndWithTheLoop(t *testing.T) {
	scorer := open(t, queryKey, longattn.With("window", 4))
	for window, err := range scorer.Windows("abcdefghijklmno") {
		if err != nil || window.TokenStart != 0 || len(window.IDs) != 4 {
			t.Fatal(window, err)
		}
		break
	}
	for range scorer.Windows("abc") {
		t.Error("a document shorter than a window has none")
	}
	count := 0
	for _, err := range scorer.Windows("\xff") {
		expectError(t, err, longattn.ErrInvalidUTF8, "text")
		count++
	}
	if count != 1 {
		t.Error(count)
	}
}

func TestManyTextsHaveAResultEach(t *testing.T) {
	scorer := open(t, queryKey)
	texts := []string{randomText(90, 1), "", "a", "\xff", randomText(50, 2)}
	results := succeed(scorer.ScoreAll(background(), texts))(t)
	for index, status := range []longattn.Status{0, longattn.ErrTooShort, longattn.ErrTooShort, longattn.ErrInvalidUTF8, 0} {
		score, err := scorer.ScoreText(background(), texts[index])
		if results[index].Score != score {
			t.Error(index, results[index], score)
		}
		if status != 0 {
			expectError(t, results[index].Err, status, "")
			expectError(t, err, status, "")
		} else if err != nil || results[index].Err != nil {
			t.Error(index, results[index], err)
		}
	}
	if none := succeed(scorer.ScoreAll(background(), nil))(t); len(none) != 0 {
		t.Error(none)
	}
	ids := [][]uint32{{1, 2, 3}, nil, {1, 256}}
	results = succeed(scorer.ScoreAllTokens(background(), ids))(t)
	if results[0].Err != nil {
		t.Error(results[0].Err)
	}
	expectError(t, results[1].Err, longattn.ErrTooShort, "0 tokens")
	expectError(t, results[2].Err, longattn.ErrInvalidArgument, "256")
}

func TestHugeTexts(t *testing.T) {
	scorer := open(t, queryKey, longattn.With("window", 64))
	text := strings.Repeat("abcdefgh", 1<<18)
	score := succeed(scorer.ScoreText(background(), text))(t)
	if score != succeed(scorer.ScoreText(background(), text[:64]))(t) {
		t.Error(score)
	}
}

func TestClosedScorers(t *testing.T) {
	scorer := open(t, queryKey)
	if err := scorer.Close(); err != nil {
		t.Error(err)
	}
	_, scored := scorer.ScoreText(background(), "abc")
	_, scoredTokens := scorer.ScoreTokens(background(), []uint32{1, 2})
	_, _, scoredHeads := scorer.ScoreHeads(background(), []uint32{1, 2})
	_, _, scoredProfile := scorer.ScoreProfile(background(), []uint32{1, 2})
	_, scoredAll := scorer.ScoreAll(background(), []string{"abc"})
	_, tokenized := scorer.Tokenize("abc")
	_, described := scorer.Describe()
	_, setting := scorer.Setting("window")
	errs := []error{
		scored, scoredTokens, scoredHeads, scoredProfile, scoredAll, tokenized, described, setting, scorer.Close(),
	}
	for _, err := range scorer.Windows("abc") {
		errs = append(errs, err)
	}
	if len(errs) != 10 {
		t.Error(errs)
	}
	for index, err := range errs {
		if !errors.Is(err, longattn.ErrClosed) || !errors.Is(err, longattn.ErrInvalidArgument) {
			t.Error(index, err)
		}
	}
}

func TestCloseWhileOthersScore(t *testing.T) {
	text := randomText(64, 1)
	expected := succeed(open(t, queryKey).ScoreText(background(), text))(t)
	for range 20 {
		scorer := open(t, queryKey)
		var scored atomic.Int64
		var group sync.WaitGroup
		for range 16 {
			group.Add(1)
			go func() {
				defer group.Done()
				for {
					score, err := scorer.ScoreText(background(), text)
					if errors.Is(err, longattn.ErrClosed) {
						return
					}
					if err != nil || score != expected {
						t.Error(score, err)
						return
					}
					scored.Add(1)
				}
			}()
		}
		for scored.Load() < 20 {
			time.Sleep(time.Millisecond)
		}
		if err := scorer.Close(); err != nil {
			t.Error(err)
		}
		group.Wait()
	}
}

func TestManyGoroutinesGetTheBitsOfOne(t *testing.T) {
	for _, path := range []string{queryKey, attentions} {
		scorer := open(t, path)
		var texts []string
		var alone []longattn.Score
		for seed := range uint32(20) {
			texts = append(texts, randomText(50+5*int(seed), seed))
			alone = append(alone, succeed(scorer.ScoreText(background(), texts[seed]))(t))
		}
		var group sync.WaitGroup
		for number := range 400 {
			group.Add(1)
			go func() {
				defer group.Done()
				place := number % len(texts)
				if score, err := scorer.ScoreText(background(), texts[place]); err != nil || score != alone[place] {
					t.Error(score, err)
				}
			}()
		}
		group.Wait()
	}
}

func TestCallsDoNotTakeAllThreads(t *testing.T) {
	// Go ends a process that has more.
	defer debug.SetMaxThreads(debug.SetMaxThreads(500))
	scorer := open(t, queryKey, longattn.With("threads", 1))
	text := randomText(2000, 1)
	ctx, cancel := context.WithCancel(background())
	var group, started sync.WaitGroup
	for range 3000 {
		group.Add(1)
		started.Add(1)
		go func() {
			defer group.Done()
			started.Done()
			_, err := scorer.ScoreText(ctx, text)
			if err != nil && !errors.Is(err, longattn.ErrCancelled) {
				t.Error(err)
			}
		}()
	}
	started.Wait()
	cancel()
	group.Wait()
}

func TestEndedContexts(t *testing.T) {
	scorer := open(t, queryKey)
	why := errors.New("no time")
	ctx, cancel := context.WithCancelCause(background())
	cancel(why)
	_, err := scorer.ScoreText(ctx, "abc")
	expectError(t, err, longattn.ErrCancelled, "cancelled")
	if !errors.Is(err, why) || !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "no time") {
		t.Error(err)
	}
	results, err := scorer.ScoreAll(ctx, []string{"abc"})
	expectError(t, err, longattn.ErrCancelled, "cancelled")
	if len(results) != 0 {
		t.Error(results)
	}
}

func TestDeadlinesEndAWindow(t *testing.T) {
	scorer := open(t, queryKey, longattn.With("window", 1<<20))
	ctx, cancel := context.WithTimeout(background(), 50*time.Millisecond)
	defer cancel()
	_, err := scorer.ScoreText(ctx, randomText(1<<19, 1))
	expectError(t, err, longattn.ErrCancelled, "")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestCancelledWorkKeepsWhatIsScored(t *testing.T) {
	scorer := open(t, queryKey, longattn.With("window", 8192))
	texts := make([]string, 2000)
	for index := range texts {
		texts[index] = randomText(100, uint32(index))
		if index > 100 {
			texts[index] = randomText(8192, uint32(index))
		}
	}
	ctx, cancel := context.WithTimeout(background(), 200*time.Millisecond)
	defer cancel()
	results, err := scorer.ScoreAll(ctx, texts)
	expectError(t, err, longattn.ErrCancelled, "")
	scored := 0
	for _, result := range results {
		if result.Err == nil {
			scored++
		} else if !errors.Is(result.Err, longattn.ErrCancelled) || !errors.Is(result.Err, context.DeadlineExceeded) {
			t.Error(result.Err)
		}
	}
	if len(results) != len(texts) || scored == 0 || scored == len(texts) {
		t.Errorf("%d of %d results are scored", scored, len(results))
	}
}

func TestContextsThatEndAtAnyTime(t *testing.T) {
	scorer := open(t, queryKey)
	text := randomText(64, 1)
	expected := succeed(scorer.ScoreText(background(), text))(t)
	for delay := range 500 {
		ctx, cancel := context.WithTimeout(background(), time.Duration(delay)*time.Microsecond)
		score, err := scorer.ScoreText(ctx, text)
		if err == nil && score != expected || err != nil && !errors.Is(err, longattn.ErrCancelled) {
			t.Error(score, err)
		}
		cancel()
	}
}

func TestStatusesAreErrors(t *testing.T) {
	scorer := open(t, queryKey)
	_, err := scorer.ScoreText(background(), "a")
	err = fmt.Errorf("document 7: %w", err)
	var status longattn.Status
	if !errors.As(err, &status) || status != longattn.ErrTooShort || errors.Is(err, longattn.ErrIO) {
		t.Error(err, status)
	}
	if status.Error() != "longattn: too_short" {
		t.Error(status)
	}
}
