/* The default model against what the released code measured on it. */

#include "check.h"

#include <stdlib.h>

enum { HEADS = 9, MOST_TOKENS = 2048 };

/* Reads the array that follows a key, and gives how many numbers it has. */
static size_t numbers(const char *json, const char *key, double *into, size_t capacity) {
    const char *next = strstr(json, key);
    CHECK(next != NULL);
    next = strchr(next, '[');
    size_t count = 0;
    while (*next != ']') {
        char *end;
        CHECK(count < capacity);
        into[count++] = strtod(next + 1, &end);
        next = end + strspn(end, " \n");
    }
    return count;
}

static void check_case(const longattn_scorer *scorer, const char *json, size_t tokens) {
    static double read[MOST_TOKENS];
    static uint32_t ids[MOST_TOKENS];
    double proportions[HEADS], variances[HEADS];
    CHECK(json != NULL && numbers(json, "\"token_ids\"", read, MOST_TOKENS) == tokens);
    for (size_t index = 0; index < tokens; index++) ids[index] = (uint32_t)read[index];
    CHECK(numbers(json, "\"proportion\"", proportions, HEADS) == HEADS);
    CHECK(numbers(json, "\"variance\"", variances, HEADS) == HEADS);

    longattn_input input = {.ids = ids, .id_count = tokens};
    longattn_score score;
    longattn_head_score heads[HEADS];
    SUCCEEDS(longattn_scorer_score(scorer, &input, NULL, heads, HEADS, &score, &error));
    CHECK(score.token_count == tokens && score.head_count == HEADS);
    for (int head = 0; head < HEADS; head++) {
        CHECK(close_to(heads[head].proportion, proportions[head], 1e-5));
        CHECK(close_to(heads[head].variance, variances[head], 1e-4));
    }
}

static void the_default_model_gives_the_released_values(void) {
    longattn_scorer *scorer = open_scorer("target/check-c/model", NULL, NULL);
    char *json = read_file("tests/data/released_code.json");
    check_case(scorer, strstr(json, "\"gpl3_64\": {"), 64);
    if (!brief()) {
        check_case(scorer, strstr(json, "\"gpl3_2048\": {"), 2048);
        check_case(scorer, strstr(json, "\"synthetic_1024\": {"), 1024);
    }
    free(json);
    longattn_scorer_free(scorer);
}

const struct test golden_tests[] = {
    {"the default model gives the released values", the_default_model_gives_the_released_values},
    {NULL, NULL},
};
