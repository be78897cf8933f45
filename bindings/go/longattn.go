// Package longattn scores long documents by how far and how evenly a language model's attention reaches back, and
// selects the best for long-context training, by the method LongAttn (arXiv 2502.16860).
//
//	scorer, err := longattn.Open("model", longattn.With("window", 8192), longattn.With("ratio", 0.1))
//	if err != nil {
//		return err
//	}
//	defer scorer.Close()
//	job, err := longattn.OpenJob(scorer, []string{"corpus"}, "result")
//	if err != nil {
//		return err
//	}
//	defer job.Close()
//	summary, err := job.Run(ctx)
//
// It calls the C library liblongattn through cgo, and finds it by pkg-config. What the numbers mean is said in
// longattn.h, which the C library installs; all counts of length are in tokens, or in bytes where the name says so.
//
// Every failure is an [*Error], whose [Status] is one of the constants below:
//
//	if errors.Is(err, longattn.ErrTooShort) { … }
//
// One [Scorer] and one [Selector] serve any number of goroutines at once. Nothing that is passed in is kept. The zero
// [Selector] is an empty one; a zero [Scorer], [Job] or [Calibration] was never opened, and each of its methods says so by an error.
package longattn

// #cgo pkg-config: longattn
// #include <longattn.h>
import "C"

import (
	"fmt"
	"runtime"
	"unsafe"
)

// Version returns the version of the C library that was loaded, such as "0.1.0".
func Version() string { return C.GoString(C.longattn_version()) }

// An Option is a setting with a value, made by [With].
type Option struct{ key, value string }

// With sets a setting, such as "window" to 8192; the value is written as fmt.Sprint does. [Settings] lists the
// settings. A wrong key or value is an error of the call that is given the option.
func With(key string, value any) Option { return Option{key, fmt.Sprint(value)} }

// A Setting is one row of the table of settings.
type Setting struct {
	Key         string // such as "min_distance"
	Placeholder string // what a value stands for, in capitals, such as "TOKENS"
	Valid       string // which values are valid, in words
	Default     string // the value where no option sets it
	Help        string // one line
}

// Settings lists the settings that the C library knows.
func Settings() []Setting {
	settings := make([]Setting, C.longattn_setting_count())
	for index := range settings {
		var row C.longattn_setting
		C.longattn_setting_get(C.size_t(index), &row, nil)
		settings[index] = Setting{
			Key:         C.GoString(row.key),
			Placeholder: C.GoString(row.placeholder),
			Valid:       C.GoString(row.valid),
			Default:     C.GoString(row.default_value),
			Help:        C.GoString(row.help),
		}
	}
	return settings
}

// newConfig makes a config that the caller frees.
func newConfig(options []Option) (*C.longattn_config, error) {
	config := C.longattn_config_new()
	if err := set(config, options); err != nil {
		C.longattn_config_free(config)
		return nil, err
	}
	return config, nil
}

// set sets settings of a config.
func set(config *C.longattn_config, options []Option) error {
	for _, option := range options {
		key, keyLength := chars(option.key)
		value, valueLength := chars(option.value)
		var failure *C.longattn_error
		C.longattn_config_set(config, key, keyLength, value, valueLength, &failure)
		if err := take(failure); err != nil {
			return err
		}
	}
	return nil
}

// chars gives a text to C for the time of a call.
func chars(text string) (*C.char, C.size_t) {
	return (*C.char)(unsafe.Pointer(unsafe.StringData(text))), C.size_t(len(text))
}

// withPaths gives paths to C for the time of a call.
func withPaths(paths []string, call func(*C.longattn_path, C.size_t) error) error {
	// C reads them through pointers in an array, which Go allows to those that are pinned.
	var pinner runtime.Pinner
	defer pinner.Unpin()
	array := make([]C.longattn_path, len(paths)+1)
	for index, path := range paths {
		array[index].data, array[index].length = chars(path)
		if len(path) > 0 {
			pinner.Pin(array[index].data)
		}
	}
	return call(&array[0], C.size_t(len(paths)))
}

// takeText copies a text that C made, and frees it.
func takeText(text *C.longattn_text) string {
	defer C.longattn_text_free(text)
	return goString(text.data, text.length)
}

func goString(data *C.char, length C.size_t) string {
	return string(unsafe.Slice((*byte)(unsafe.Pointer(data)), length))
}
