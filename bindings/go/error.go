package longattn

// #include <longattn.h>
import "C"

import "fmt"

// A Status says what went wrong, for a program to act on. It is itself an error, which every [*Error] with this status
// is by [errors.Is].
type Status int32

// Later versions may add statuses.
const (
	ErrInvalidArgument Status = C.LONGATTN_STATUS_INVALID_ARGUMENT // an argument is outside its range
	ErrInvalidUTF8     Status = C.LONGATTN_STATUS_INVALID_UTF8     // a text is not UTF-8
	ErrInvalidSetting  Status = C.LONGATTN_STATUS_INVALID_SETTING  // a wrong key or value; the message lists the valid ones
	ErrIO              Status = C.LONGATTN_STATUS_IO               // a file or directory could not be read or written, or is another's
	ErrInvalidRecord   Status = C.LONGATTN_STATUS_INVALID_RECORD   // malformed JSON of a selector; records of a job that cannot be used
	ErrInvalidModel    Status = C.LONGATTN_STATUS_INVALID_MODEL    // a scorer package is missing or damaged
	ErrUnsupported     Status = C.LONGATTN_STATUS_UNSUPPORTED      // well formed, but of a kind that this version cannot use
	ErrRuntime         Status = C.LONGATTN_STATUS_RUNTIME          // ONNX Runtime; the message says where it was looked for
	ErrMemoryLimit     Status = C.LONGATTN_STATUS_MEMORY_LIMIT     // more memory than the setting memory_limit allows
	ErrNonFinite       Status = C.LONGATTN_STATUS_NON_FINITE       // NaN or infinity
	ErrTooShort        Status = C.LONGATTN_STATUS_TOO_SHORT        // fewer than two tokens
	ErrCancelled       Status = C.LONGATTN_STATUS_CANCELLED        // the context ended
	ErrInternal        Status = C.LONGATTN_STATUS_INTERNAL         // a bug in the library
)

func (s Status) Error() string {
	return "longattn: " + C.GoString(C.longattn_status_name(C.longattn_status(s)))
}

// An Error says why a call failed. By [errors.Is] it is its status, and where a context ended, what that context's Err and
// [context.Cause] give.
type Error struct {
	Status  Status
	Message string // what happened, where, and what to do about it
	Cause   error  // why the context ended, where Status is ErrCancelled; nil otherwise
	ended   error  // the context's Err
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return fmt.Sprintf("longattn: %s: %v", e.Message, e.Cause)
	}
	return "longattn: " + e.Message
}

// Unwrap returns the status, and how and why the context ended.
func (e *Error) Unwrap() []error {
	if e.Cause != nil {
		return []error{e.Status, e.ended, e.Cause}
	}
	return []error{e.Status}
}

// ErrClosed is what a [Scorer], [Job] or [Selector] gives after its Close.
var ErrClosed error = &Error{Status: ErrInvalidArgument, Message: "it was closed before"}

// errNotOpened is what the zero value of a type gives that has to be opened.
var errNotOpened error = &Error{Status: ErrInvalidArgument, Message: "it was never opened: use Open or OpenJob"}

// take makes an error of C's, which it frees, one of Go's; nil where there is none.
func take(failure *C.longattn_error) error {
	if failure == nil {
		return nil
	}
	defer C.longattn_error_free(failure)
	return errorOf(failure)
}

func errorOf(failure *C.longattn_error) *Error {
	var length C.size_t
	message := C.longattn_error_message(failure, &length)
	return &Error{Status: Status(C.longattn_error_status(failure)), Message: goString(message, length)}
}

func invalidArgument(format string, values ...any) error {
	return &Error{Status: ErrInvalidArgument, Message: fmt.Sprintf(format, values...)}
}
