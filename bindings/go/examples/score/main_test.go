package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"longattn"
)

const model = "../../../../tests/data/tiny/query-key"

// program is the program, built once.
var program string

func TestMain(m *testing.M) {
	directory, err := os.MkdirTemp("", "score")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(directory, "score")
	if output, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		panic(string(output))
	}
	status := m.Run()
	os.RemoveAll(directory)
	os.Exit(status)
}

// start runs the program, and gives its input and what it writes.
func start(t *testing.T, arguments ...string) (command *exec.Cmd, input io.WriteCloser, output, messages *bytes.Buffer) {
	command = exec.Command(program, arguments...)
	output, messages = new(bytes.Buffer), new(bytes.Buffer)
	command.Stdout, command.Stderr = output, messages
	input, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	return command, input, output, messages
}

// give runs the program with all of its input.
func give(t *testing.T, text string, arguments ...string) (output, messages string, err error) {
	command, input, written, told := start(t, arguments...)
	if _, err := io.WriteString(input, text); err != nil {
		t.Fatal(err)
	}
	input.Close()
	err = command.Wait()
	return written.String(), told.String(), err
}

func TestDocumentsAreScored(t *testing.T) {
	scorer, err := longattn.Open(model, longattn.With("window", 200))
	if err != nil {
		t.Fatal(err)
	}
	defer scorer.Close()
	var lines strings.Builder
	expected := map[string]longattn.Score{}
	sources, err := filepath.Glob("../../*.go")
	if err != nil || len(sources) < 5 {
		t.Fatal(sources, err)
	}
	for round := range 20 {
		for _, path := range sources {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			id := fmt.Sprint(round, " ", path)
			if expected[id], err = scorer.ScoreText(t.Context(), string(text[round:])); err != nil {
				t.Fatal(err)
			}
			line, err := json.Marshal(map[string]string{"id": id, "text": string(text[round:])})
			if err != nil {
				t.Fatal(err)
			}
			lines.Write(append(line, '\n'))
		}
	}
	output, messages, err := give(t, lines.String(), "-model", model, "-goroutines", "8", "-set", "window=200")
	if err != nil {
		t.Fatal(err, messages)
	}
	for _, line := range strings.Split(strings.TrimSpace(output), "\n") {
		var found struct {
			ID     string
			DS, DU float64
		}
		if err := json.Unmarshal([]byte(line), &found); err != nil {
			t.Fatal(line, err)
		}
		score, known := expected[found.ID]
		if !known || found.DS != score.DependencyStrength || found.DU != score.DistributionUniformity {
			t.Error(line, score)
		}
		delete(expected, found.ID)
	}
	if len(expected) > 0 {
		t.Error(expected)
	}
}

func TestBadDocumentsAreCounted(t *testing.T) {
	text := "{\n[]\n{}\n" + `{"text": 5}` + "\n\n" + `{"text": ""}` + "\n" + `{"text": "a"}` + "\n" +
		`{"id": [1], "text": "abc"}` + "\n" + `{"text": "no id, and no end of the line"}`
	output, messages, err := give(t, text, "-model", model)
	if err == nil || !strings.Contains(messages, "scored 2, failed 6") || strings.Count(messages, "line ") != 6 {
		t.Error(err, messages)
	}
	if !strings.Contains(output, `{"id":[1],`) || !strings.Contains(output, `{"id":9,`) {
		t.Error(output)
	}
}

func TestAnInterruptEndsTheWork(t *testing.T) {
	command, input, output, messages := start(t, "-model", model, "-goroutines", "2", "-set", "window=1000000")
	defer input.Close()
	long, err := json.Marshal(map[string]string{"text": strings.Repeat("abcdefgh", 1<<16)})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := input.Write(append(long, '\n')); err != nil {
			t.Fatal(err)
		}
	}
	// The texts are more than a pipe holds, so some of them were read. Standard input is still open: nothing but the
	// signal ends the work.
	if err := command.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- command.Wait() }()
	select {
	case err := <-done:
		if err == nil || output.Len() > 0 || !strings.Contains(messages.String(), "cancelled") {
			t.Error(err, output, messages)
		}
	case <-time.After(time.Minute):
		t.Fatal("the work goes on")
	}
}

func TestBadArguments(t *testing.T) {
	for words, arguments := range map[string][]string{
		"usage":              {},
		"no KEY=VALUE":       {"-set", "window"},
		`no setting "color"`: {"-model", model, "-set", "color=red"},
		"longattn export":    {"-model", "no/such/package"},
		"/no/such.so":        {"-model", model, "-set", "onnxruntime=/no/such.so"},
	} {
		_, messages, err := give(t, "", arguments...)
		if err == nil || !strings.Contains(messages, words) || strings.Contains(messages, "goroutine ") {
			t.Error(words, err, messages)
		}
	}
}
