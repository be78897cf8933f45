package longattn_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"longattn"
)

func TestResultsOfShardsAreThoseOfOneJob(t *testing.T) {
	folder, input := t.TempDir(), writeCorpus(t, 12)
	whole := filepath.Join(folder, "whole")
	job := openJob(t, input, whole, longattn.With("category", "books"), longattn.With("ratio", 0.5))
	succeed(job.Run(background()))(t)
	succeed(0, job.Close())(t)
	var shards []string
	for _, share := range []string{"2/2", "1/2"} {
		shard := filepath.Join(folder, "shard-"+share[:1])
		job := openJob(t, input, shard, longattn.With("category", "books"), longattn.With("shard", share))
		if summary := succeed(job.Run(background()))(t); summary.WindowsSelected != 0 {
			t.Error(summary)
		}
		succeed(0, job.Close())(t)
		shards = append(shards, shard)
	}
	merged := filepath.Join(folder, "merged")
	written := 0
	observer := longattn.Observer{Progress: func(progress longattn.Progress) { written++ }}
	summary := succeed(longattn.SelectResults(background(), shards, merged, observer, longattn.With("ratio", 0.5)))(t)
	if summary.Windows != 36 || summary.WindowsSelected != 18 || written == 0 {
		t.Error(summary, written)
	}
	for _, name := range []string{"selected.jsonl", "scores.jsonl", "rejects.jsonl"} {
		one := succeed(os.ReadFile(filepath.Join(whole, name)))(t)
		if all := succeed(os.ReadFile(filepath.Join(merged, name)))(t); string(all) != string(one) {
			t.Error(name)
		}
	}
	none := longattn.Observer{}
	if summary = succeed(longattn.SelectResults(background(), []string{whole}, merged, none))(t); summary.WindowsSelected != 9 {
		t.Error(summary)
	}
	_, err := longattn.SelectResults(background(), shards[1:], merged, none)
	expectError(t, err, longattn.ErrInvalidArgument, "shard 2/2 is missing")
	_, err = longattn.SelectResults(background(), shards, whole, none)
	expectError(t, err, longattn.ErrInvalidArgument, "has results already")
	_, err = longattn.SelectResults(background(), shards, merged, none, longattn.With("color", "red"))
	expectError(t, err, longattn.ErrInvalidSetting, "no setting")
	ctx, cancel := context.WithCancel(background())
	cancel()
	_, err = longattn.SelectResults(ctx, shards, merged, none)
	expectError(t, err, longattn.ErrCancelled, "cancelled")
	defer func() {
		if told := recover(); told != "enough" {
			t.Error(told)
		}
	}()
	observer.Progress = func(longattn.Progress) { panic("enough") }
	_, _ = longattn.SelectResults(background(), shards, merged, observer)
}

// writeWords writes documents of words that the tokenizer of the package with several layers knows, and a bad record.
func writeWords(t *testing.T, documents int) string {
	var lines strings.Builder
	seed := uint32(1)
	for range documents {
		lines.WriteString(`{"text": "`)
		for range 300 {
			seed = seed*1664525 + 1013904223
			fmt.Fprintf(&lines, "w%d ", (seed>>16)%40)
		}
		lines.WriteString("\"}\n")
	}
	lines.WriteString("no object\n")
	path := filepath.Join(t.TempDir(), "words.jsonl")
	succeed(0, os.WriteFile(path, []byte(lines.String()), 0o600))(t)
	return path
}

func TestACalibrationNamesALayer(t *testing.T) {
	scorer := open(t, deep, longattn.With("window", 64))
	inputs, directory := []string{writeWords(t, 40)}, t.TempDir()
	windows := longattn.With("calibration_windows", 20)
	calibration := succeed(longattn.OpenCalibration(scorer, inputs, directory, windows))(t)
	_, err := longattn.OpenCalibration(scorer, inputs, directory, windows)
	expectError(t, err, longattn.ErrIO, "at work in")
	var rejects []string
	calibration.Observer.Reject = func(reject longattn.Reject) { rejects = append(rejects, reject.Record) }
	found := succeed(calibration.Run(background()))(t)
	var read struct{ Verdict map[string]any }
	succeed(0, json.Unmarshal(found, &read))(t)
	if len(read.Verdict) == 0 || len(rejects) != 1 || rejects[0] != "no object" {
		t.Error(read, rejects)
	}
	written := succeed(os.ReadFile(filepath.Join(directory, "calibration.json")))(t)
	if strings.TrimSpace(string(written)) != strings.TrimSpace(string(found)) {
		t.Error("another calibration was written")
	}
	ctx, cancel := context.WithCancel(background())
	cancel()
	_, err = calibration.Run(ctx)
	expectError(t, err, longattn.ErrCancelled, "cancelled")
	succeed(0, calibration.Close())(t)
	_, err = calibration.Run(background())
	if !errors.Is(err, longattn.ErrClosed) {
		t.Error(err)
	}
	_, err = longattn.OpenCalibration(open(t, queryKey, longattn.With("window", 50)), inputs, t.TempDir(), longattn.With("truth", "gain"))
	expectError(t, err, longattn.ErrUnsupported, "")
	_, err = longattn.OpenCalibration(nil, inputs, t.TempDir())
	expectError(t, err, longattn.ErrInvalidArgument, "scorer")
	var never longattn.Calibration
	_, err = never.Run(background())
	expectError(t, err, longattn.ErrInvalidArgument, "never opened")
}
