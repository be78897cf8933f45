package longattn_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"longattn"
)

// Where the command line is built.
const command = "target/release/longattn"

type document struct {
	ID       string `json:"id"`
	Category string `json:"category"`
	Text     string `json:"text"`
}

// corpus is real text in files of many sizes.
func corpus(t *testing.T) (documents []document) {
	for _, pattern := range []string{"src/*.rs", "src/*/*.rs", "docs/*.md", "LICENSE-*", "*.md"} {
		for _, path := range succeed(filepath.Glob(pattern))(t) {
			category := strings.TrimPrefix(filepath.Ext(path), ".")
			documents = append(documents, document{path, category, string(succeed(os.ReadFile(path))(t))})
		}
	}
	if len(documents) < 30 {
		t.Fatal(len(documents))
	}
	return documents
}

// TestSelectionIsThatOfTheCommand scores and selects a corpus by the command line and here.
func TestSelectionIsThatOfTheCommand(t *testing.T) {
	if _, err := os.Stat(command); err != nil {
		t.Skipf("there is no command line to compare with: run make build")
	}
	documents := corpus(t)
	expected := selectedByCommand(t, documents)
	scorer := open(t, queryKey, longattn.With("window", 512))
	selector := newSelector(t)
	for _, document := range documents {
		addDocument(t, scorer, selector, document)
	}
	found := map[string]string{}
	for _, window := range succeed(selector.Finish(longattn.With("ratio", 0.25)))(t) {
		if window.Selected {
			found[window.ID] = fmt.Sprint(window.Category, window.DependencyStrength, window.DistributionUniformity,
				window.LongDistanceDependencyScore)
		}
	}
	if len(found) < 30 || len(found) != len(expected) {
		t.Errorf("%d windows are selected here, and %d by the command", len(found), len(expected))
	}
	for id, scores := range expected {
		if found[id] != scores {
			t.Errorf("%s: %s, and by the command %s", id, found[id], scores)
		}
	}
}

func selectedByCommand(t *testing.T, documents []document) map[string]string {
	directory := t.TempDir()
	input, output := filepath.Join(directory, "corpus.jsonl"), filepath.Join(directory, "result")
	var lines []byte
	for _, document := range documents {
		lines = append(append(lines, succeed(json.Marshal(document))(t)...), '\n')
	}
	succeed(0, os.WriteFile(input, lines, 0o600))(t)
	run := exec.Command(command, "run", "--quiet", "--model", queryKey, "--window", "512", "--ratio", "0.25",
		"--category-field", "category", input, "-o", output)
	if messages, err := run.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, messages)
	}
	selected := map[string]string{}
	lines = succeed(os.ReadFile(filepath.Join(output, "selected.jsonl")))(t)
	for _, line := range strings.Split(strings.TrimSpace(string(lines)), "\n") {
		var window struct {
			ID                     string  `json:"id"`
			Category               string  `json:"category"`
			DependencyStrength     float64 `json:"dependency_strength"`
			DistributionUniformity float64 `json:"distribution_uniformity"`
			LDS                    float64 `json:"lds"`
		}
		succeed(0, json.Unmarshal([]byte(line), &window))(t)
		selected[window.ID] = fmt.Sprint(window.Category, window.DependencyStrength, window.DistributionUniformity, window.LDS)
	}
	return selected
}

func addDocument(t *testing.T, scorer *longattn.Scorer, selector *longattn.Selector, document document) {
	t.Helper()
	var windows [][]uint32
	for window, err := range scorer.Windows(document.Text) {
		windows = append(windows, succeed(window, err)(t).IDs)
	}
	for number, result := range succeed(scorer.ScoreAllTokens(background(), windows))(t) {
		score := succeed(result.Score, result.Err)(t)
		add(t, selector, fmt.Sprintf("%s#%d", document.ID, number), document.Category, score)
	}
}
