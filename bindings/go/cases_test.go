package longattn_test

import (
	"context"
	"encoding/hex"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"longattn"
)

// The cases that the tests of every language read, and agree with to the bit.

// readCases reads the rows of a file of lines of fields; what begins with # is a comment.
func readCases(t *testing.T, path string) (rows [][]string) {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run make cases", err)
	}
	for _, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		if !strings.HasPrefix(line, "#") {
			rows = append(rows, strings.Split(line, "\t"))
		}
	}
	return rows
}

// optionsOf reads settings such as "window=60 alpha=0".
func optionsOf(settings string) (options []longattn.Option) {
	for _, setting := range strings.Fields(settings) {
		key, value, _ := strings.Cut(setting, "=")
		options = append(options, longattn.With(key, value))
	}
	return options
}

func numberOf(t *testing.T, text string) float64 {
	t.Helper()
	return succeed(strconv.ParseFloat(text, 64))(t)
}

func countOf(t *testing.T, text string) uint64 {
	t.Helper()
	return succeed(strconv.ParseUint(text, 10, 64))(t)
}

func idsOf(t *testing.T, text string) (ids []uint32) {
	for _, id := range strings.Fields(text) {
		ids = append(ids, uint32(countOf(t, id)))
	}
	return ids
}

func TestCasesOfScores(t *testing.T) {
	for _, row := range readCases(t, "target/cases/scores.tsv") {
		scorer := open(t, row[0], optionsOf(row[1])...)
		var one longattn.Score
		var all []longattn.Result
		if row[2] == "text" {
			one = succeed(scorer.ScoreText(background(), row[3]))(t)
			all = succeed(scorer.ScoreAll(background(), []string{row[3]}))(t)
		} else {
			ids := idsOf(t, row[3])
			one = succeed(scorer.ScoreTokens(background(), ids))(t)
			all = succeed(scorer.ScoreAllTokens(background(), [][]uint32{ids}))(t)
		}
		expected := longattn.Score{
			TokenCount:                  countOf(t, row[4]),
			MinDistance:                 countOf(t, row[5]),
			SinkTokens:                  countOf(t, row[6]),
			HeadCount:                   countOf(t, row[7]),
			Rows:                        countOf(t, row[8]),
			DependencyStrength:          numberOf(t, row[9]),
			DistributionUniformity:      numberOf(t, row[10]),
			DependencyStrengthError:     numberOf(t, row[11]),
			DistributionUniformityError: numberOf(t, row[12]),
			UntrainedTokens:             one.UntrainedTokens, // TestTokensPastThePositionsOfTheModelAreTold
			FarSquareMass:               one.FarSquareMass,   // TestEachLayerHasAScore
		}
		if one != expected || all[0] != (longattn.Result{Score: expected}) {
			t.Errorf("%s %s: %v, %v; expected %v", row[0], row[1], one, all, expected)
		}
		if row[13] != "" {
			expectProfile(t, scorer, row, expected)
		}
	}
}

func expectProfile(t *testing.T, scorer *longattn.Scorer, row []string, expected longattn.Score) {
	var ids []uint32
	if row[2] == "tokens" {
		ids = idsOf(t, row[3])
	} else {
		ids = succeed(scorer.Tokenize(row[3]))(t).IDs
	}
	var shares []float64
	for _, share := range strings.Fields(row[13]) {
		shares = append(shares, numberOf(t, share))
	}
	score, profile, err := scorer.ScoreProfile(background(), ids)
	if err != nil || score != expected || !slices.Equal(profile, shares) {
		t.Errorf("%s %s: %v, %v, %v; expected %v", row[0], row[1], score, profile, err, shares)
	}
}

func TestCasesOfWindows(t *testing.T) {
	scorers := map[string]*longattn.Scorer{}
	for _, row := range readCases(t, "tests/data/cases/windows.tsv") {
		if scorers[row[0]] == nil {
			scorers[row[0]] = open(t, queryKey, longattn.With("window", row[0]))
		}
		length := int(countOf(t, row[0]))
		text := randomText(int(countOf(t, row[1])), 1)
		starts := idsOf(t, row[2])
		for window, err := range scorers[row[0]].Windows(text) {
			if err != nil || len(starts) == 0 {
				t.Fatalf("%s tokens by %s: %v %v", row[1], row[0], window, err)
			}
			start := int(starts[0])
			starts = starts[1:]
			if window.TokenStart != start || window.ByteStart != start || window.ByteEnd != start+length ||
				len(window.IDs) != length {
				t.Errorf("%s tokens by %s: %v", row[1], row[0], window)
			}
		}
		if len(starts) > 0 {
			t.Errorf("%s tokens by %s: no windows at %v", row[1], row[0], starts)
		}
	}
}

func TestCasesOfSelections(t *testing.T) {
	rows := readCases(t, "tests/data/cases/selection.tsv")
	for len(rows) > 0 {
		name, settings := rows[0][0], rows[0][1]
		selector := newSelector(t)
		var expected []longattn.Ranked
		for ; len(rows) > 0 && rows[0][0] == name; rows = rows[1:] {
			row := rows[0]
			expected = append(expected, longattn.Ranked{
				ID:                          row[3],
				Category:                    row[2],
				Rank:                        countOf(t, row[7]),
				TokenCount:                  countOf(t, row[4]),
				DependencyStrength:          numberOf(t, row[5]),
				DistributionUniformity:      numberOf(t, row[6]),
				LongDistanceDependencyScore: numberOf(t, row[8]),
				Selected:                    row[9] == "true",
			})
		}
		for index := range expected {
			window := expected[len(expected)-1-index]
			add(t, selector, window.ID, window.Category, longattn.Score{
				TokenCount:             window.TokenCount,
				DependencyStrength:     window.DependencyStrength,
				DistributionUniformity: window.DistributionUniformity,
			})
		}
		found := succeed(selector.Finish(optionsOf(settings)...))(t)
		if len(found) != len(expected) {
			t.Fatalf("%s: %v", name, found)
		}
		for index := range found {
			if found[index] != expected[index] {
				t.Errorf("%s: %v; expected %v", name, found[index], expected[index])
			}
		}
	}
}

func add(t *testing.T, selector *longattn.Selector, id, category string, score longattn.Score) {
	t.Helper()
	if err := selector.Add(id, category, score); err != nil {
		t.Fatal(err)
	}
}

func TestCasesOfErrors(t *testing.T) {
	for _, row := range readCases(t, "tests/data/cases/errors.tsv") {
		t.Run(strings.Join(row[1:5], " "), func(t *testing.T) {
			expectError(t, errorOf(t, row[1], row[2], row[3], row[4]), longattn.Status(countOf(t, row[0])), row[5])
		})
	}
}

// errorOf makes a call that fails.
func errorOf(t *testing.T, call, pack, settings, argument string) error {
	options := optionsOf(settings)
	selector := newSelector(t)
	switch call {
	case "set":
		_, err := selector.Finish(options...)
		return err
	case "from_json":
		_, err := longattn.SelectorFromJSON([]byte(argument))
		return err
	case "add":
		ds, du, _ := strings.Cut(argument, " ")
		return selector.Add("a", "books",
			longattn.Score{DependencyStrength: numberOf(t, ds), DistributionUniformity: numberOf(t, du)})
	case "finish":
		for _, id := range strings.Fields(argument) {
			add(t, selector, id, "books", longattn.Score{DependencyStrength: 0.1, DistributionUniformity: -0.1})
		}
		_, err := selector.Finish(options...)
		return err
	case "open":
		_, err := longattn.Open(pack, options...)
		return err
	}
	ctx, cancel := context.WithCancel(background())
	defer cancel()
	scorer := open(t, pack, options...)
	var err error
	switch call {
	case "score_tokens":
		_, err = scorer.ScoreTokens(ctx, idsOf(t, argument))
	case "score_bytes":
		_, err = scorer.ScoreText(ctx, string(succeed(hex.DecodeString(argument))(t)))
	case "score_cancelled":
		cancel()
		fallthrough
	case "score_text":
		_, err = scorer.ScoreText(ctx, argument)
	default:
		t.Fatalf("no such call: %s", call)
	}
	return err
}
