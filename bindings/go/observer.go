package longattn

// #include <longattn.h>
import "C"

import (
	"context"
	"runtime/cgo"
)

// An Observer watches a [Job], a [Calibration] or [SelectResults]; any of its functions may be nil. They are called on threads
// of the job, one call at a time, and work waits for them: they must be quick, and must not use the job. Where one panics, the
// work is cancelled, and the method of the job panics with the same.
type Observer struct {
	Progress func(Progress) // how far the job has come, several times a second
	Reject   func(Reject)   // each reject, when it has been written to rejects.jsonl
	Notice   func(string)   // what a user should know while the work goes on, in a sentence
}

// A Stage is what a job is busy with.
type Stage int32

// Later versions may add stages.
const (
	Reading  Stage = C.LONGATTN_STAGE_READING  // reading and scoring; the amount is bytes of the input files on disk
	Refining Stage = C.LONGATTN_STAGE_REFINING // scoring what is in doubt on more rows; the amount is tokens
	Scoring  Stage = C.LONGATTN_STAGE_SCORING  // scoring the windows of a calibration; the amount is tokens
	Writing  Stage = C.LONGATTN_STAGE_WRITING  // looking up the texts of what was selected; the amount is windows
)

// String returns the stage in a word.
func (s Stage) String() string {
	switch s {
	case Reading:
		return "reading"
	case Refining:
		return "refining"
	case Scoring:
		return "scoring"
	case Writing:
		return "writing"
	}
	return "working"
}

// Progress is how far a job has come.
type Progress struct {
	Stage   Stage
	Done    uint64 // how much of the stage is done, in its amount
	Total   uint64 // the whole of the stage, in its amount; 0 where it is not known
	Windows uint64 // windows scored in this call
	Tokens  uint64 // tokens scored in this call
}

// A Reject is a record, a file or a window that could not be used.
type Reject struct {
	File   string // the input file, "-" for standard input
	Line   uint64 // the line or row, from 1; 0 where the whole file is meant
	ID     string // the id of the record or window; empty where it is not known
	Reason string // why it could not be used, and what to do about it
	Record string // the record as it was read, or its beginning
}

// A watcher is an observer at work.
type watcher struct {
	Observer
	stop     context.CancelCauseFunc
	panicked any
}

// watched calls a function with a watcher that can end its context, and panics with what the watcher's observer did.
func watched(ctx context.Context, call func(context.Context, *watcher) error) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	watcher := &watcher{stop: stop}
	err := inTurn(ctx, func() error { return call(ctx, watcher) })
	if watcher.panicked != nil {
		panic(watcher.panicked)
	}
	return err
}

// watch gives a call in C the watcher's name and a token that asks it to stop at the context's end.
func (w *watcher) watch(ctx context.Context, observer Observer, call func(C.uintptr_t, *C.longattn_cancel) error) error {
	w.Observer = observer
	cancel, free := cancelAtEnd(ctx)
	defer free()
	name, forget := w.handle()
	defer forget()
	return withCause(ctx, call(C.uintptr_t(name), cancel))
}

// handle names the watcher for C, until it is forgotten.
func (w *watcher) handle() (name cgo.Handle, forget func()) {
	handle := cgo.NewHandle(w)
	return handle, handle.Delete
}

// tell calls a function of the watcher that C names. A panic must not leave it, because C called it.
func tell(name C.uintptr_t, call func(*watcher)) {
	watcher := cgo.Handle(name).Value().(*watcher)
	defer func() {
		if watcher.panicked == nil {
			watcher.panicked = recover()
		}
		if watcher.panicked != nil {
			watcher.stop(nil)
		}
	}()
	if watcher.panicked == nil {
		call(watcher)
	}
}

//export longattnProgress
func longattnProgress(progress *C.longattn_job_progress, name C.uintptr_t) {
	tell(name, func(watcher *watcher) {
		if watcher.Progress != nil {
			watcher.Progress(Progress{
				Stage:   Stage(progress.stage),
				Done:    uint64(progress.done),
				Total:   uint64(progress.total),
				Windows: uint64(progress.windows),
				Tokens:  uint64(progress.tokens),
			})
		}
	})
}

//export longattnReject
func longattnReject(reject *C.longattn_reject, name C.uintptr_t) {
	tell(name, func(watcher *watcher) {
		if watcher.Reject != nil {
			watcher.Reject(Reject{
				File:   goString(reject.file, reject.file_length),
				Line:   uint64(reject.line),
				ID:     goString(reject.id, reject.id_length),
				Reason: goString(reject.reason, reject.reason_length),
				Record: goString(reject.record, reject.record_length),
			})
		}
	})
}

//export longattnNotice
func longattnNotice(notice *C.char, length C.size_t, name C.uintptr_t) {
	tell(name, func(watcher *watcher) {
		if watcher.Notice != nil {
			watcher.Notice(goString(notice, length))
		}
	})
}
