// Command run does what `longattn run` does, with the same bytes as result.
//
//	run PACKAGE DIRECTORY [--SETTING VALUE]... INPUT...
//
// Inputs are files, folders, or - for standard input. Settings are those of docs/settings.md, such as --window 8192,
// --ratio 0.1 or --earlier-results resume. Ctrl-C ends the work, which goes on from there with the last of these.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"longattn"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// parse divides what follows the command's name into names and settings.
func parse(arguments []string) (names []string, options []longattn.Option, err error) {
	usage := errors.New("usage: run PACKAGE DIRECTORY [--SETTING VALUE]... INPUT...")
	for len(arguments) > 0 {
		flag, isFlag := strings.CutPrefix(arguments[0], "--")
		if !isFlag {
			names, arguments = append(names, arguments[0]), arguments[1:]
			continue
		}
		if len(arguments) < 2 {
			return nil, nil, usage
		}
		options = append(options, longattn.With(strings.ReplaceAll(flag, "-", "_"), arguments[1]))
		arguments = arguments[2:]
	}
	if len(names) < 3 {
		return nil, nil, usage
	}
	return names, options, nil
}

func run(ctx context.Context, arguments []string) error {
	names, options, err := parse(arguments)
	if err != nil {
		return err
	}
	scorer, err := longattn.Open(names[0], options...)
	if err != nil {
		return err
	}
	defer scorer.Close()
	job, err := longattn.OpenJob(scorer, names[2:], names[1])
	if err != nil {
		return err
	}
	defer job.Close()
	job.Observer = onStandardError
	summary, err := job.Run(ctx)
	if err != nil {
		return err
	}
	return show(job, summary)
}

var onStandardError = longattn.Observer{
	Progress: func(progress longattn.Progress) {
		percent := 100 * float64(progress.Done) / float64(max(progress.Total, 1))
		fmt.Fprintf(os.Stderr, "\r%v %3.0f %%, %d windows ", progress.Stage, percent, progress.Windows)
	},
	Reject: func(reject longattn.Reject) {
		fmt.Fprintf(os.Stderr, "\nrejected: %s:%d: %s\n", reject.File, reject.Line, reject.Reason)
	},
	Notice: func(notice string) { fmt.Fprintf(os.Stderr, "\n%s\n", notice) },
}

// show tells what became of everything, and of each category.
func show(job *longattn.Job, summary longattn.Summary) error {
	fmt.Fprintln(os.Stderr)
	categories, err := job.Categories()
	if err != nil {
		return err
	}
	for _, category := range categories {
		fmt.Printf("%s: %d of %d windows\n", category.Name, category.Selected, category.Windows)
	}
	fmt.Printf("%d documents in windows, %d too short, %d rejected; %d tokens selected\n", summary.DocumentsWindowed,
		summary.DocumentsTooShort, summary.RecordsRejected, summary.TokensSelected)
	return nil
}
