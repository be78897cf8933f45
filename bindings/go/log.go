package longattn

/*
#include <longattn.h>

void longattnLog(int32_t level, char *message, size_t length, void *user_data);
*/
import "C"

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"unsafe"
)

// levels are slog's for the library's, from LONGATTN_LOG_OFF to LONGATTN_LOG_TRACE. Nothing is told at the first.
var levels = [...]slog.Level{0, slog.LevelError, slog.LevelWarn, slog.LevelInfo, slog.LevelDebug, slog.LevelDebug - 4}

var (
	logger  atomic.Pointer[slog.Logger]
	setting sync.Mutex // held while logger and its level change, so that they stay one another's
)

// SetLogger sends the library's messages to a logger, which replaces the one before; nil ends logging. Its handler must
// not use this package, and is asked once which levels it wants.
//
// It fails with ErrUnsupported where the library is linked into a program that has a Rust logger of its own.
func SetLogger(next *slog.Logger) error {
	setting.Lock()
	defer setting.Unlock()
	logger.Store(next)
	level := C.LONGATTN_LOG_OFF
	for next != nil && level < C.LONGATTN_LOG_TRACE && next.Enabled(context.Background(), levels[level+1]) {
		level++
	}
	var failure *C.longattn_error
	C.longattn_log_set(C.longattn_log_callback(C.longattnLog), nil, C.int32_t(level), &failure)
	return take(failure)
}

//export longattnLog
func longattnLog(level C.int32_t, message *C.char, length C.size_t, _ unsafe.Pointer) {
	// A panic must not leave it, because C called it.
	defer func() { _ = recover() }()
	if logger := logger.Load(); logger != nil {
		logger.Log(context.Background(), levels[level], goString(message, length))
	}
}
