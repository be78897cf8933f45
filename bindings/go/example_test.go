package longattn_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"longattn"
)

// A scorer package that every program here opens; `longattn export` makes those of real models.
const model = "tests/data/tiny/query-key"

func Example() {
	scorer, err := longattn.Open(model, longattn.With("window", 32))
	if err != nil {
		log.Fatal(err)
	}
	defer scorer.Close()
	score, err := scorer.ScoreText(context.Background(), "It was a bright cold day in April.")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%d tokens, DS %.4f, DU %.4f\n", score.TokenCount, score.DependencyStrength, score.DistributionUniformity)
	// Output: 32 tokens, DS 0.4323, DU -0.0074
}

func ExampleError() {
	scorer, err := longattn.Open(model)
	if err != nil {
		log.Fatal(err)
	}
	defer scorer.Close()
	_, err = scorer.ScoreText(context.Background(), "I")
	if errors.Is(err, longattn.ErrTooShort) {
		fmt.Println(err)
	}
	// Output: longattn: 1 tokens are too few: a window needs at least 2 to be scored
}

func ExampleWith() {
	_, err := longattn.Open(model, longattn.With("window", -1))
	fmt.Println(errors.Is(err, longattn.ErrInvalidSetting))
	// Output: true
}

func ExampleScorer_Windows() {
	scorer, err := longattn.Open(model, longattn.With("window", 8))
	if err != nil {
		log.Fatal(err)
	}
	defer scorer.Close()
	document := "It was a bright cold day."
	for window, err := range scorer.Windows(document) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%q\n", document[window.ByteStart:window.ByteEnd])
	}
	// Output:
	// "It was a"
	// "old day."
	// " bright "
	// "bright c"
}

func ExampleScorer_ScoreAll() {
	scorer, err := longattn.Open(model)
	if err != nil {
		log.Fatal(err)
	}
	defer scorer.Close()
	results, err := scorer.ScoreAll(context.Background(), []string{"A bright cold day.", "", "The river ran high."})
	if err != nil {
		log.Fatal(err)
	}
	for _, result := range results {
		if result.Err != nil {
			fmt.Println(result.Err)
			continue
		}
		fmt.Printf("DS %.4f\n", result.Score.DependencyStrength)
	}
	// Output:
	// DS 0.4551
	// longattn: 0 tokens are too few: a window needs at least 2 to be scored
	// DS 0.4624
}

func ExampleSelector() {
	selector := longattn.NewSelector()
	defer selector.Close()
	for id, strength := range map[string]float64{"a": 0.1, "b": 0.3, "c": 0.2, "d": 0.4} {
		score := longattn.Score{TokenCount: 8192, DependencyStrength: strength, DistributionUniformity: -1e-8}
		if err := selector.Add(id, "books", score); err != nil {
			log.Fatal(err)
		}
	}
	ranking, err := selector.Finish(longattn.With("ratio", 0.5))
	if err != nil {
		log.Fatal(err)
	}
	for _, window := range ranking {
		fmt.Printf("%s %.3f %t\n", window.ID, window.LongDistanceDependencyScore, window.Selected)
	}
	// Output:
	// d 1.342 true
	// b 0.447 true
	// c -0.447 false
	// a -1.342 false
}

func ExampleScoreMap() {
	// One head over three tokens; each row is a token's attention.
	attention := []float32{
		1.0, 0.0, 0.0,
		0.5, 0.5, 0.0,
		0.6, 0.2, 0.2,
	}
	score, _, err := longattn.ScoreMap(attention, 1, 3, longattn.With("min_distance", 2))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("DS %.4f\n", score.DependencyStrength)
	// Output: DS 0.2000
}
