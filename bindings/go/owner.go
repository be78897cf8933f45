package longattn

import (
	"log/slog"
	"runtime"
	"sync"
)

// An owner holds an object of C's, which is freed once: when it is closed and no call uses it any more. Nil is the owner of
// what was never opened.
type owner[Pointer any] struct {
	object Pointer
	free   func(Pointer)

	mutex  sync.Mutex
	users  int
	closed bool
}

// own makes an owner for a Go object that holds it. Where that is forgotten without having been closed, the object of
// C's is freed all the same, and the log says so.
func own[Holder, Pointer any](holder *Holder, name string, object Pointer, free func(Pointer)) *owner[Pointer] {
	owned := &owner[Pointer]{object: object, free: free}
	runtime.AddCleanup(holder, func(owned *owner[Pointer]) {
		if owned.close() == nil {
			slog.Warn("longattn: freed by the garbage collector, because nobody called Close", "what", name)
		}
	}, owned)
	return owned
}

// use calls a function with the object, which lives until that returns.
func (o *owner[Pointer]) use(call func(Pointer) error) error {
	if err := o.enter(); err != nil {
		return err
	}
	defer o.leave()
	return call(o.object)
}

func (o *owner[Pointer]) enter() error {
	if o == nil {
		return errNotOpened
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.closed {
		return ErrClosed
	}
	o.users++
	return nil
}

func (o *owner[Pointer]) leave() {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	o.users--
	o.freeIfUnused()
}

func (o *owner[Pointer]) close() error {
	if o == nil {
		return errNotOpened
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if o.closed {
		return ErrClosed
	}
	o.closed = true
	o.freeIfUnused()
	return nil
}

func (o *owner[Pointer]) freeIfUnused() {
	if o.closed && o.users == 0 {
		o.free(o.object)
	}
}
