/* The cases that the tests of every language read, and agree with to the bit. */

#include "check.h"

#include <stdlib.h>

enum { MOST_ROWS = 200, MOST_FIELDS = 14, MOST_IDS = 64 };

struct table {
    char *text;
    size_t count;
    char *rows[MOST_ROWS][MOST_FIELDS];
};

/* Reads a file of lines of fields; what begins with # is a comment. */
static void read_table(struct table *table, const char *path, int fields) {
    table->text = read_file(path);
    table->count = 0;
    char *rest = table->text;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && rest != NULL;) {
        if (*line == '#') continue;
        CHECK(table->count < MOST_ROWS);
        char **row = table->rows[table->count++];
        for (int field = 0; field < fields; field++) CHECK((row[field] = strsep(&line, "\t")) != NULL);
        CHECK(line == NULL);
    }
    CHECK(table->count > 0);
}

static size_t integer(const char *text) { return strtoull(text, NULL, 10); }

static bool equal(double found, const char *expected) { return found == strtod(expected, NULL); }

/* Whether a score is that of the case: to the bit, or but for rounding where a memory checker plays a lesser processor. */
static bool scored(double found, const char *expected) {
    return brief() ? close_to(found, strtod(expected, NULL), 1e-5) : equal(found, expected);
}

static size_t ids_of(const char *text, uint32_t *ids) {
    size_t count = 0;
    char *end;
    for (unsigned long id = strtoul(text, &end, 10); end != text; id = strtoul(text = end, &end, 10)) {
        CHECK(count < MOST_IDS);
        ids[count++] = (uint32_t)id;
    }
    return count;
}

static size_t bytes_of(const char *hexadecimal, char *bytes) {
    size_t count = 0;
    for (unsigned byte; sscanf(hexadecimal + 2 * count, "%2x", &byte) == 1; count++) bytes[count] = (char)byte;
    return count;
}

/* Sets settings such as "window=60 alpha=0". */
static longattn_status set_all(longattn_config *config, const char *settings, longattn_error **error) {
    longattn_status status = LONGATTN_STATUS_OK;
    while (status == LONGATTN_STATUS_OK && *settings != '\0') {
        size_t length = strcspn(settings, " "), key = strcspn(settings, "=");
        status = longattn_config_set(config, settings, key, settings + key + 1, length - key - 1, error);
        settings += length + strspn(settings + length, " ");
    }
    return status;
}

static longattn_status open_with(const char *package, const char *settings, longattn_scorer **scorer,
                                 longattn_error **error) {
    longattn_config *config = longattn_config_new();
    longattn_status status = set_all(config, settings, error);
    if (status == LONGATTN_STATUS_OK) status = longattn_scorer_open(TEXT(package), config, scorer, error);
    longattn_config_free(config);
    return status;
}

/* The profile of a row, and the score that comes with it. */
static void check_profile(const longattn_scorer *scorer, char **row, longattn_score expected) {
    uint32_t ids[MOST_IDS];
    longattn_input input;
    longattn_distance_profile profile;
    longattn_score score;
    if (strcmp(row[2], "text") == 0) {
        input = (longattn_input){.text = row[3], .text_length = strlen(row[3])};
    } else {
        input = (longattn_input){.ids = ids, .id_count = ids_of(row[3], ids)};
    }
    SUCCEEDS(longattn_scorer_score_profile(scorer, &input, NULL, &profile, &score, &error));
    CHECK(same(score, expected));
    size_t bucket = 0;
    for (char *rest = row[13], *share; (share = strsep(&rest, " ")) != NULL; bucket++) {
        CHECK(bucket < LONGATTN_DISTANCE_BUCKETS && scored(profile.shares[bucket], share));
    }
    CHECK(profile.bucket_count == bucket);
    while (bucket < LONGATTN_DISTANCE_BUCKETS) CHECK(profile.shares[bucket++] == 0);
}

static void scores_are_those_of_the_cases(void) {
    static struct table table;
    read_table(&table, "target/cases/scores.tsv", 14);
    for (size_t index = 0; index < table.count; index++) {
        char **row = table.rows[index];
        longattn_scorer *scorer = NULL;
        longattn_score score;
        uint32_t ids[MOST_IDS];
        SUCCEEDS(open_with(row[0], row[1], &scorer, &error));
        if (strcmp(row[2], "text") == 0) {
            SUCCEEDS(longattn_scorer_score_text(scorer, TEXT(row[3]), &score, &error));
        } else {
            SUCCEEDS(longattn_scorer_score_tokens(scorer, ids, ids_of(row[3], ids), &score, &error));
        }
        CHECK(score.token_count == integer(row[4]) && score.min_distance == integer(row[5]));
        CHECK(score.sink_tokens == integer(row[6]) && score.head_count == integer(row[7]));
        CHECK(score.rows == integer(row[8]));
        CHECK(scored(score.dependency_strength, row[9]) && scored(score.distribution_uniformity, row[10]));
        CHECK(scored(score.dependency_strength_error, row[11]) && scored(score.distribution_uniformity_error, row[12]));
        if (*row[13] != '\0') check_profile(scorer, row, score);
        longattn_scorer_free(scorer);
    }
    free(table.text);
}

static void windows_are_those_of_the_cases(void) {
    static struct table table;
    read_table(&table, "tests/data/cases/windows.tsv", 3);
    longattn_scorer *scorer = open_scorer(QUERY_KEY, NULL, NULL);
    for (size_t index = 0; index < table.count; index++) {
        char **row = table.rows[index];
        uint32_t starts[MOST_IDS];
        size_t length = integer(row[0]), count = ids_of(row[2], starts);
        char *text = random_text(integer(row[1]), 1);
        longattn_tokens *tokens = NULL;
        longattn_windows *windows = NULL;
        SUCCEEDS(longattn_scorer_tokenize(scorer, TEXT(text), &tokens, &error));
        SUCCEEDS(longattn_windows_cut(tokens, length, &windows, &error));
        CHECK(longattn_windows_count(windows) == count);
        for (size_t number = 0; number < count; number++) {
            longattn_window window;
            SUCCEEDS(longattn_windows_get(windows, number, &window, &error));
            CHECK(window.token_start == starts[number] && window.token_count == length);
            CHECK(window.byte_start == starts[number] && window.byte_end == starts[number] + length);
        }
        longattn_windows_free(windows);
        longattn_tokens_free(tokens);
        free(text);
    }
    longattn_scorer_free(scorer);
    free(table.text);
}

static longattn_status add(longattn_selector *selector, const char *id, const char *category, const char *tokens,
                           const char *ds, const char *du, longattn_error **error) {
    longattn_score score = {.token_count = integer(tokens)};
    score.dependency_strength = strtod(ds, NULL);
    score.distribution_uniformity = strtod(du, NULL);
    return longattn_selector_add(selector, TEXT(id), TEXT(category), &score, error);
}

static longattn_status select_by(const char *settings, const longattn_selector *selector, longattn_selection **selection,
                                 longattn_error **error) {
    longattn_config *config = longattn_config_new();
    longattn_status status = set_all(config, settings, error);
    if (status == LONGATTN_STATUS_OK) status = longattn_selector_finish(selector, config, selection, error);
    longattn_config_free(config);
    return status;
}

static bool is_text(const char *text, size_t length, const char *expected) {
    return length == strlen(expected) && memcmp(text, expected, length) == 0;
}

/* One selection: `count` rows of one name. */
static void check_selection(char *(*rows)[MOST_FIELDS], size_t count) {
    longattn_selector *selector = longattn_selector_new();
    longattn_selection *selection = NULL;
    for (size_t index = count; index-- > 0;) {
        char **row = rows[index];
        SUCCEEDS(add(selector, row[3], row[2], row[4], row[5], row[6], &error));
    }
    SUCCEEDS(select_by(rows[0][1], selector, &selection, &error));
    CHECK(longattn_selection_count(selection) == count);
    for (size_t index = 0; index < count; index++) {
        char **row = rows[index];
        longattn_ranked ranked;
        SUCCEEDS(longattn_selection_get(selection, index, &ranked, &error));
        CHECK(is_text(ranked.category, ranked.category_length, row[2]) && is_text(ranked.id, ranked.id_length, row[3]));
        CHECK(ranked.token_count == integer(row[4]) && ranked.rank == integer(row[7]));
        CHECK(equal(ranked.dependency_strength, row[5]) && equal(ranked.distribution_uniformity, row[6]));
        CHECK(equal(ranked.long_distance_dependency_score, row[8]));
        CHECK(ranked.selected == (strcmp(row[9], "true") == 0));
    }
    longattn_selection_free(selection);
    longattn_selector_free(selector);
}

static void selections_are_those_of_the_cases(void) {
    static struct table table;
    read_table(&table, "tests/data/cases/selection.tsv", 10);
    for (size_t first = 0, end; first < table.count; first = end) {
        for (end = first + 1; end < table.count && strcmp(table.rows[end][0], table.rows[first][0]) == 0;) end++;
        check_selection(table.rows + first, end - first);
    }
    free(table.text);
}

static longattn_status score_with(const char *call, const longattn_scorer *scorer, const char *argument,
                                  longattn_error **error) {
    longattn_score score;
    uint32_t ids[MOST_IDS];
    char bytes[MOST_IDS];
    if (strcmp(call, "score_text") == 0) return longattn_scorer_score_text(scorer, TEXT(argument), &score, error);
    if (strcmp(call, "score_bytes") == 0)
        return longattn_scorer_score_text(scorer, bytes, bytes_of(argument, bytes), &score, error);
    if (strcmp(call, "score_tokens") == 0)
        return longattn_scorer_score_tokens(scorer, ids, ids_of(argument, ids), &score, error);
    CHECK(strcmp(call, "score_cancelled") == 0);
    longattn_input input = {.text = argument, .text_length = strlen(argument)};
    longattn_cancel *cancel = longattn_cancel_new();
    longattn_cancel_request(cancel);
    longattn_status status = longattn_scorer_score(scorer, &input, cancel, NULL, 0, &score, error);
    longattn_cancel_free(cancel);
    return status;
}

static longattn_status finish(const char *settings, const char *ids, longattn_error **error) {
    longattn_selector *selector = longattn_selector_new();
    for (; *ids != '\0'; ids += strspn(ids, " ")) {
        char id[2] = {*ids++, '\0'};
        SUCCEEDS(add(selector, id, "books", "100", "0.1", "-0.1", &error));
    }
    longattn_selection *selection = NULL;
    longattn_status status = select_by(settings, selector, &selection, error);
    longattn_selector_free(selector);
    return status;
}

static longattn_status call_of(char **row, longattn_error **error) {
    const char *call = row[1], *package = row[2], *settings = row[3], *argument = row[4];
    longattn_status status;
    if (strcmp(call, "set") == 0) {
        longattn_config *config = longattn_config_new();
        status = set_all(config, settings, error);
        longattn_config_free(config);
    } else if (strcmp(call, "add") == 0) {
        longattn_selector *selector = longattn_selector_new();
        status = add(selector, "a", "books", "100", argument, strchr(argument, ' ') + 1, error);
        longattn_selector_free(selector);
    } else if (strcmp(call, "from_json") == 0) {
        longattn_selector *selector = NULL;
        status = longattn_selector_from_json(TEXT(argument), &selector, error);
    } else if (strcmp(call, "finish") == 0) {
        status = finish(settings, argument, error);
    } else {
        longattn_scorer *scorer = NULL;
        status = open_with(package, settings, &scorer, error);
        if (strcmp(call, "open") != 0) {
            CHECK(status == LONGATTN_STATUS_OK);
            status = score_with(call, scorer, argument, error);
        }
        longattn_scorer_free(scorer);
    }
    return status;
}

static void calls_fail_as_in_the_cases(void) {
    static struct table table;
    read_table(&table, "tests/data/cases/errors.tsv", 6);
    for (size_t index = 0; index < table.count; index++) {
        char **row = table.rows[index];
        longattn_error *error = NULL;
        longattn_status status = call_of(row, &error);
        check_failure(__FILE__, __LINE__, row[1], (longattn_status)integer(row[0]), row[5], status, error);
    }
    free(table.text);
}

const struct test case_tests[] = {
    {"scores are those of the cases", scores_are_those_of_the_cases},
    {"windows are those of the cases", windows_are_those_of_the_cases},
    {"selections are those of the cases", selections_are_those_of_the_cases},
    {"calls fail as in the cases", calls_fail_as_in_the_cases},
    {NULL, NULL},
};
