package longattn_test

import (
	"bytes"
	"context"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"longattn"
)

// lines is a log that several goroutines write and read.
type lines struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *lines) Write(line []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(line)
}

func (l *lines) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

func setLogger(t *testing.T, logger *slog.Logger) {
	t.Helper()
	if err := longattn.SetLogger(logger); err != nil {
		t.Fatal(err)
	}
}

// warn makes the library say that a window is too long for its model.
func warn(t *testing.T) {
	t.Helper()
	succeed(open(t, queryKey).ScoreText(background(), randomText(100, 1)))(t)
}

func TestWarningsAreLogged(t *testing.T) {
	defer setLogger(t, nil)
	var warnings, errors lines
	setLogger(t, slog.New(slog.NewTextHandler(&warnings, nil)))
	warn(t)
	if !strings.Contains(warnings.String(), "level=WARN") || !strings.Contains(warnings.String(), "100 tokens") {
		t.Error(warnings.String())
	}
	setLogger(t, slog.New(slog.NewTextHandler(&errors, &slog.HandlerOptions{Level: slog.LevelError})))
	warn(t)
	setLogger(t, nil)
	warn(t)
	if errors.String() != "" || strings.Count(warnings.String(), "\n") != 1 {
		t.Error(errors.String(), warnings.String())
	}
}

type panicking struct{ slog.Handler }

func (panicking) Handle(context.Context, slog.Record) error { panic("a log that fails") }

func TestALogThatPanicsHarmsNothing(t *testing.T) {
	defer setLogger(t, nil)
	setLogger(t, slog.New(panicking{slog.NewTextHandler(new(lines), nil)}))
	warn(t)
}

func TestWhatIsForgottenIsFreedAndLogged(t *testing.T) {
	var logged lines
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	func() {
		_ = succeed(longattn.Open(queryKey))(t)
		_ = longattn.NewSelector()
		_ = longattn.NewSelector().Close()
	}()
	for deadline := time.Now().Add(time.Minute); strings.Count(logged.String(), "\n") < 2; {
		if time.Now().After(deadline) {
			t.Fatal(logged.String())
		}
		runtime.GC()
		time.Sleep(time.Millisecond)
	}
	text := logged.String()
	if !strings.Contains(text, "scorer of "+queryKey) || strings.Count(text, "what=selector") != 1 {
		t.Error(text)
	}
}
