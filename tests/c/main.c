/* Runs the tests whose names begin with one of the arguments, or all. */

#include "check.h"

#include <math.h>
#include <stdlib.h>

void fail_at(const char *file, int line, const char *what, const char *why) {
    fprintf(stderr, "%s:%d: %s: %s\n", file, line, what, why);
    exit(1);
}

void check_success(const char *file, int line, const char *call, longattn_status status, longattn_error *error) {
    if (status != LONGATTN_STATUS_OK) fail_at(file, line, call, longattn_error_message(error, NULL));
    if (error != NULL) fail_at(file, line, call, "succeeded and set an error");
}

void check_failure(const char *file, int line, const char *call, longattn_status expected, const char *words,
                   longattn_status status, longattn_error *error) {
    if (status == LONGATTN_STATUS_OK) fail_at(file, line, call, "succeeded");
    if (error == NULL) fail_at(file, line, call, "failed and set no error");
    size_t length = 0;
    const char *message = longattn_error_message(error, &length);
    if (status != expected || longattn_error_status(error) != status) fail_at(file, line, call, message);
    if (strlen(message) != length || strstr(message, words) == NULL) fail_at(file, line, call, message);
    longattn_error_free(error);
}

bool brief(void) { return getenv("LONGATTN_BRIEF") != NULL; }

longattn_config *config_with(const char *key, const char *value) {
    longattn_config *config = longattn_config_new();
    SUCCEEDS(longattn_config_set(config, TEXT(key), TEXT(value), &error));
    return config;
}

longattn_scorer *open_scorer(const char *path, const char *key, const char *value) {
    longattn_config *config = key == NULL ? NULL : config_with(key, value);
    longattn_scorer *scorer = NULL;
    SUCCEEDS(longattn_scorer_open(TEXT(path), config, &scorer, &error));
    longattn_config_free(config);
    return scorer;
}

char *random_text(size_t length, unsigned seed) {
    char *text = malloc(length + 1);
    CHECK(text != NULL);
    for (size_t index = 0; index < length; index++) {
        seed = seed * 1664525u + 1013904223u;
        text[index] = (char)('a' + (seed >> 16) % 26);
    }
    text[length] = '\0';
    return text;
}

char *read_file(const char *path) {
    FILE *file = fopen(path, "r");
    CHECK(file != NULL && fseek(file, 0, SEEK_END) == 0);
    long size = ftell(file);
    rewind(file);
    char *text = malloc((size_t)size + 1);
    CHECK(text != NULL && fread(text, 1, (size_t)size, file) == (size_t)size);
    text[size] = '\0';
    fclose(file);
    return text;
}

bool same(longattn_score a, longattn_score b) { return memcmp(&a, &b, sizeof a) == 0; }

bool close_to(double found, double expected, double tolerance) {
    return fabs(found - expected) <= tolerance * fabs(expected);
}

static bool wanted(const char *name, int count, char **prefixes) {
    for (int index = 0; index < count; index++)
        if (strncmp(name, prefixes[index], strlen(prefixes[index])) == 0) return true;
    return count == 0;
}

int main(int argc, char **argv) {
    const struct test *groups[] = {settings_tests, statistics_tests, scorer_tests, selector_tests, thread_tests,
                                   golden_tests,   case_tests,       fork_tests,   job_tests,
                                   layer_tests};
    size_t count = sizeof groups / sizeof *groups;
    /* Under a memory checker, which runs one thread at a time, forks and jobs take too long: the last three groups. */
    if (brief()) count -= 3;
    int run = 0;
    for (size_t group = 0; group < count; group++) {
        for (const struct test *test = groups[group]; test->name != NULL; test++) {
            if (!wanted(test->name, argc - 1, argv + 1)) continue;
            printf("%s\n", test->name);
            fflush(stdout);
            test->run();
            run++;
        }
    }
    printf("%d tests of the C library passed\n", run);
    return run == 0;
}
