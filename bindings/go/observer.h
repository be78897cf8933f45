// The observer as C calls it; the functions that it calls are in observer.go.

#ifndef LONGATTN_GO_OBSERVER_H
#define LONGATTN_GO_OBSERVER_H

#include <longattn.h>

void longattnProgress(longattn_job_progress *progress, uintptr_t watcher);
void longattnReject(longattn_reject *reject, uintptr_t watcher);
void longattnNotice(char *notice, size_t length, uintptr_t watcher);

static inline void tell_progress(const longattn_job_progress *progress, void *watcher) {
    longattnProgress((longattn_job_progress *)progress, (uintptr_t)watcher);
}

static inline void tell_reject(const longattn_reject *reject, void *watcher) {
    longattnReject((longattn_reject *)reject, (uintptr_t)watcher);
}

static inline void tell_notice(const char *notice, size_t length, void *watcher) {
    longattnNotice((char *)notice, length, (uintptr_t)watcher);
}

// Makes the observer, so that no Go pointer has to be stored for C; `watcher` is a cgo.Handle.
static inline longattn_observer observer_of(uintptr_t watcher) {
    longattn_observer observer = {tell_progress, tell_reject, tell_notice, (void *)watcher, {NULL}};
    return observer;
}

#endif
