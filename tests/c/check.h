/* What the tests of the C library share. */

#ifndef CHECK_H
#define CHECK_H

#include <longattn.h>
#include <stdio.h>
#include <string.h>

#define QUERY_KEY "tests/data/tiny/query-key"
#define ATTENTIONS "tests/data/tiny/attentions"
/* A model of another exporter, without a tokenizer. */
#define BARE "tests/data/foreign/encoder.onnx"
/* Layers 0 and 2 of a tiny checkpoint, with all layers for the losses; made before the tests run. */
#define DEEP "target/check-c/deep"

/* A text as pointer and length. */
#define TEXT(text) (text), strlen(text)

struct test {
    const char *name;
    void (*run)(void);
};

/* Each ends with a test without a name. */
extern const struct test settings_tests[], statistics_tests[], scorer_tests[], thread_tests[], selector_tests[],
    golden_tests[], case_tests[], fork_tests[], job_tests[], layer_tests[];

/* Ends the process with what went wrong and where. */
void fail_at(const char *file, int line, const char *what, const char *why);

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) fail_at(__FILE__, __LINE__, #condition, "is false");                                         \
    } while (0)

void check_success(const char *file, int line, const char *call, longattn_status status, longattn_error *error);
void check_failure(const char *file, int line, const char *call, longattn_status expected, const char *words,
                   longattn_status status, longattn_error *error);

/* Each calls with a place for an error named `error`. */
#define SUCCEEDS(call)                                                                                                 \
    do {                                                                                                               \
        longattn_error *error = NULL;                                                                                  \
        longattn_status status = (call);                                                                               \
        check_success(__FILE__, __LINE__, #call, status, error);                                                       \
    } while (0)
#define FAILS(expected, words, call)                                                                                   \
    do {                                                                                                               \
        longattn_error *error = NULL;                                                                                  \
        longattn_status status = (call);                                                                               \
        check_failure(__FILE__, __LINE__, #call, LONGATTN_STATUS_##expected, words, status, error);                    \
    } while (0)

/* Whether a memory checker makes everything slow, and has not all of this machine's instructions: LONGATTN_BRIEF is set. */
bool brief(void);

/* A config with one setting. */
longattn_config *config_with(const char *key, const char *value);

/* An open scorer, with one setting unless `key` is NULL. */
longattn_scorer *open_scorer(const char *path, const char *key, const char *value);

/* A file with a NUL after it; to be freed. */
char *read_file(const char *path);

/* Text of `length` bytes, each a token of the tiny packages, different for each `seed`; to be freed. */
char *random_text(size_t length, unsigned seed);

/* Whether two scores have the same bits. */
bool same(longattn_score a, longattn_score b);

/* Whether two numbers differ by less than a share of the second. */
bool close_to(double found, double expected, double tolerance);

#endif
