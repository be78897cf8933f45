package longattn

// #include <longattn.h>
import "C"

import "context"

// A call in C holds a thread of the system, and the Go runtime ends a process that has too many. More calls that compute
// than this wait for their turn.
const mostCalls = 256

var turns = make(chan struct{}, mostCalls)

// inTurn calls a function that computes in C.
func inTurn(ctx context.Context, call func() error) error {
	if err := endOf(ctx); err != nil {
		return err
	}
	select {
	case turns <- struct{}{}:
		defer func() { <-turns }()
		return call()
	case <-ctx.Done():
		return endOf(ctx)
	}
}

// A turn holds something while somebody has it.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

// take calls a function when nobody else has the turn.
func (t turn) take(ctx context.Context, call func() error) error {
	select {
	case t <- struct{}{}:
		defer func() { <-t }()
		return call()
	case <-ctx.Done():
		return endOf(ctx)
	}
}

// work calls a function that computes with the scorer until the context ends.
func (s *Scorer) work(ctx context.Context, call func(*C.longattn_scorer, *C.longattn_cancel) error) error {
	return inTurn(ctx, func() error {
		return s.owned.use(func(scorer *C.longattn_scorer) error {
			cancel, free := cancelAtEnd(ctx)
			defer free()
			return withCause(ctx, call(scorer, cancel))
		})
	})
}

// cancelAtEnd makes a token that asks work to stop when the context ends; nil for a context that never does.
func cancelAtEnd(ctx context.Context) (cancel *C.longattn_cancel, free func()) {
	if ctx.Done() == nil {
		return nil, func() {}
	}
	cancel = C.longattn_cancel_new()
	requested := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(requested)
		C.longattn_cancel_request(cancel)
	})
	return cancel, func() {
		if !stop() {
			<-requested
		}
		C.longattn_cancel_free(cancel)
	}
}

// endOf is the error of a context that has ended, and nil before.
func endOf(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	return withCause(ctx, &Error{Status: ErrCancelled, Message: "cancelled"})
}

// withCause adds to an error by cancellation how and why the context ended.
func withCause(ctx context.Context, err error) error {
	if failure, ok := err.(*Error); ok && failure.Status == ErrCancelled {
		failure.ended, failure.Cause = ctx.Err(), context.Cause(ctx)
	}
	return err
}
