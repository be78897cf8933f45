// Command score scores documents on several goroutines with one scorer.
//
//	score -model PACKAGE [-goroutines N] [-set KEY=VALUE]... < documents.jsonl > scores.jsonl
//
// Each document is a line {"id": …, "text": …} of standard input; without an id it gets its line number. Its first window
// gives one line on standard output, in any order; why a document has no score is told on standard error. Ctrl-C ends the
// work. The exit status is 0 where all documents were scored.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"longattn"
)

type document struct {
	ID   json.RawMessage `json:"id"`
	Text *string         `json:"text"`
}

type scored struct {
	ID json.RawMessage `json:"id"`
	DS float64         `json:"DS"`
	DU float64         `json:"DU"`
}

type line struct {
	number int
	text   []byte
}

// A pipeline scores the lines of its input.
type pipeline struct {
	scorer *longattn.Scorer

	mutex  sync.Mutex
	output *json.Encoder

	scored, failed atomic.Int64
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	model := flag.String("model", "", "a scorer `package`, as longattn export makes it")
	goroutines := flag.Int("goroutines", runtime.NumCPU(), "documents that are scored at once")
	var options []longattn.Option
	flag.Func("set", "a setting, as `KEY=VALUE`", func(setting string) error {
		key, value, found := strings.Cut(setting, "=")
		if !found {
			return errors.New("no KEY=VALUE")
		}
		options = append(options, longattn.With(key, value))
		return nil
	})
	flag.Parse()
	if *model == "" || *goroutines < 1 || flag.NArg() > 0 {
		return errors.New("usage: score -model PACKAGE [-goroutines N] [-set KEY=VALUE]... < documents.jsonl")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	scorer, err := longattn.Open(*model, options...)
	if err != nil {
		return err
	}
	defer scorer.Close()
	work := &pipeline{scorer: scorer, output: json.NewEncoder(os.Stdout)}
	return work.run(ctx, os.Stdin, *goroutines)
}

func (p *pipeline) run(ctx context.Context, input io.Reader, goroutines int) error {
	lines := make(chan line)
	read := make(chan error, 1)
	go func() {
		defer close(lines)
		read <- readLines(ctx, input, lines)
	}()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group sync.WaitGroup
	for range goroutines {
		group.Add(1)
		go func() {
			defer group.Done()
			if err := p.work(ctx, lines); err != nil {
				stop(err)
			}
		}()
	}
	group.Wait()
	fmt.Fprintf(os.Stderr, "scored %d, failed %d\n", p.scored.Load(), p.failed.Load())
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := <-read; err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	if p.failed.Load() > 0 {
		return errors.New("not all documents were scored")
	}
	return nil
}

// readLines sends the lines of the input that are not empty, of any length.
func readLines(ctx context.Context, input io.Reader, lines chan<- line) error {
	reader := bufio.NewReader(input)
	for number := 1; ; number++ {
		text, err := reader.ReadBytes('\n')
		if len(strings.TrimSpace(string(text))) > 0 {
			select {
			case lines <- line{number, text}:
			case <-ctx.Done():
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// work scores lines until there are no more, the context ends, or the output takes no more.
func (p *pipeline) work(ctx context.Context, lines <-chan line) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case line, more := <-lines:
			if !more {
				return nil
			}
			result, err := p.score(ctx, line)
			if err != nil {
				p.failed.Add(1)
				fmt.Fprintf(os.Stderr, "line %d: %v\n", line.number, err)
				continue
			}
			if err := p.write(result); err != nil {
				return err
			}
			p.scored.Add(1)
		}
	}
}

func (p *pipeline) score(ctx context.Context, line line) (scored, error) {
	var document document
	if err := json.Unmarshal(line.text, &document); err != nil {
		return scored{}, err
	}
	if document.Text == nil {
		return scored{}, errors.New("no text")
	}
	if document.ID == nil {
		document.ID = json.RawMessage(fmt.Sprint(line.number))
	}
	score, err := p.scorer.ScoreText(ctx, *document.Text)
	return scored{document.ID, score.DependencyStrength, score.DistributionUniformity}, err
}

func (p *pipeline) write(result scored) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.output.Encode(result)
}
