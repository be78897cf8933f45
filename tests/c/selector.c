/* Selecting windows. */

#include "check.h"

#include <math.h>

static longattn_score scored(double dependency_strength, double distribution_uniformity) {
    longattn_score score = {.token_count = 100};
    score.dependency_strength = dependency_strength;
    score.distribution_uniformity = distribution_uniformity;
    return score;
}

static void add(longattn_selector *selector, const char *id, const char *category, double ds, double du) {
    longattn_score score = scored(ds, du);
    SUCCEEDS(longattn_selector_add(selector, TEXT(id), TEXT(category), &score, &error));
}

/* Ids in order, those that made the cut in brackets: "books [b] a code [x]". */
static void check_selection(const longattn_selector *selector, const longattn_config *config, const char *expected) {
    longattn_selection *selection = NULL;
    SUCCEEDS(longattn_selector_finish(selector, config, &selection, &error));
    char found[256] = "";
    for (size_t index = 0; index < longattn_selection_count(selection); index++) {
        longattn_ranked ranked;
        SUCCEEDS(longattn_selection_get(selection, index, &ranked, &error));
        CHECK(ranked.token_count == 100);
        char entry[64];
        if (ranked.rank == 0) {
            snprintf(entry, sizeof entry, " %.*s", (int)ranked.category_length, ranked.category);
            strcat(found, entry);
        }
        snprintf(entry, sizeof entry, ranked.selected ? " [%.*s]" : " %.*s", (int)ranked.id_length, ranked.id);
        strcat(found, entry);
    }
    if (strcmp(found + (*found == ' '), expected) != 0) fail_at(__FILE__, __LINE__, found, expected);
    longattn_selection_free(selection);
}

static longattn_selector *example(void) {
    longattn_selector *selector = longattn_selector_new();
    add(selector, "x", "code", 0.5, -1);
    add(selector, "a", "books", 0.1, -4);
    add(selector, "b", "books", 0.3, -2);
    add(selector, "c", "books", 0.2, -3);
    add(selector, "d", "books", 0.4, -9);
    return selector;
}

static void the_best_are_selected(void) {
    longattn_selector *selector = example();
    CHECK(longattn_selector_count(selector) == 5);
    check_selection(selector, NULL, "books [b] d c a code x");
    longattn_config *config = config_with("count", "2");
    check_selection(selector, config, "books [b] [d] c a code [x]");
    SUCCEEDS(longattn_config_set(config, TEXT("alpha"), TEXT("0"), &error));
    check_selection(selector, config, "books [d] [b] c a code [x]");
    longattn_config_free(config);
    longattn_selector_free(selector);

    selector = longattn_selector_new();
    check_selection(selector, NULL, "");
    longattn_selector_free(selector);
}

static void scores_follow_the_formula(void) {
    longattn_selector *selector = example();
    longattn_selection *selection = NULL;
    SUCCEEDS(longattn_selector_finish(selector, NULL, &selection, &error));
    longattn_ranked ranked;
    SUCCEEDS(longattn_selection_get(selection, 1, &ranked, &error));
    longattn_selector_free(selector);
    CHECK(ranked.rank == 1 && ranked.dependency_strength == 0.4 && ranked.distribution_uniformity == -9);
    CHECK(close_to(ranked.long_distance_dependency_score, 0.15 / sqrt(0.0125) + 0.5 * -4.5 / sqrt(7.25), 1e-12));
    CHECK(memcmp(ranked.id, "d", 1) == 0 && memcmp(ranked.category, "books", 5) == 0);
    FAILS(INVALID_ARGUMENT, "there is no window 5", longattn_selection_get(selection, 5, &ranked, &error));
    FAILS(INVALID_ARGUMENT, "ranked is NULL", longattn_selection_get(selection, 0, NULL, &error));
    FAILS(INVALID_ARGUMENT, "selection is NULL", longattn_selection_get(NULL, 0, &ranked, &error));
    longattn_selection_free(selection);
    longattn_selection_free(NULL);
    CHECK(longattn_selection_count(NULL) == 0);
}

static void parts_merge_to_the_whole(void) {
    longattn_selector *parts[2] = {longattn_selector_new(), longattn_selector_new()};
    add(parts[1], "d", "books", 0.4, -9);
    add(parts[0], "c", "books", 0.2, -3);
    add(parts[1], "x", "code", 0.5, -1);
    add(parts[0], "b", "books", 0.3, -2);
    add(parts[1], "a", "books", 0.1, -4);

    longattn_text json;
    SUCCEEDS(longattn_selector_to_json(parts[1], &json, &error));
    longattn_selector *moved = NULL;
    SUCCEEDS(longattn_selector_from_json(json.data, json.length, &moved, &error));
    longattn_text_free(&json);
    SUCCEEDS(longattn_selector_merge(parts[0], moved, &error));
    CHECK(longattn_selector_count(moved) == 0 && longattn_selector_count(parts[0]) == 5);
    check_selection(parts[0], NULL, "books [b] d c a code x");
    add(moved, "z", "books", 0, 0);
    longattn_selector_free(moved);

    FAILS(INVALID_ARGUMENT, "with itself", longattn_selector_merge(parts[0], parts[0], &error));
    FAILS(INVALID_ARGUMENT, "selector is NULL", longattn_selector_merge(NULL, parts[0], &error));
    FAILS(INVALID_ARGUMENT, "selector is NULL", longattn_selector_merge(NULL, NULL, &error));
    FAILS(INVALID_ARGUMENT, "other is NULL", longattn_selector_merge(parts[0], NULL, &error));
    CHECK(longattn_selector_count(parts[0]) == 5);
    longattn_selector_free(parts[0]);
    longattn_selector_free(parts[1]);
}

static void names_may_be_empty_or_hold_nul(void) {
    longattn_selector *selector = longattn_selector_new();
    longattn_score score = scored(0.5, -1);
    SUCCEEDS(longattn_selector_add(selector, NULL, 0, NULL, 0, &score, &error));
    SUCCEEDS(longattn_selector_add(selector, "a\0b", 3, "", 0, &score, &error));
    longattn_selection *selection = NULL;
    SUCCEEDS(longattn_selector_finish(selector, NULL, &selection, &error));
    longattn_ranked ranked;
    SUCCEEDS(longattn_selection_get(selection, 1, &ranked, &error));
    CHECK(ranked.category_length == 0 && ranked.id_length == 3 && memcmp(ranked.id, "a\0b", 3) == 0);
    longattn_selection_free(selection);
    longattn_selector_free(selector);
}

static void wrong_windows_are_refused(void) {
    longattn_selector *selector = longattn_selector_new();
    longattn_score score = scored(0.5, -1), infinite = scored(INFINITY, 0), nan = scored(0, NAN);
    FAILS(INVALID_ARGUMENT, "selector is NULL", longattn_selector_add(NULL, "a", 1, "b", 1, &score, &error));
    FAILS(INVALID_ARGUMENT, "id is NULL", longattn_selector_add(selector, NULL, 1, "b", 1, &score, &error));
    FAILS(INVALID_ARGUMENT, "category is NULL", longattn_selector_add(selector, "a", 1, NULL, 1, &score, &error));
    FAILS(INVALID_ARGUMENT, "score is NULL", longattn_selector_add(selector, "a", 1, "b", 1, NULL, &error));
    FAILS(INVALID_ARGUMENT, "id cannot have a length",
          longattn_selector_add(selector, "a", SIZE_MAX, "b", 1, &score, &error));
    FAILS(INVALID_UTF8, "id is not valid", longattn_selector_add(selector, "\xff", 1, "b", 1, &score, &error));
    FAILS(INVALID_UTF8, "category is not valid", longattn_selector_add(selector, "a", 1, "\xff", 1, &score, &error));
    FAILS(NON_FINITE, "window a", longattn_selector_add(selector, "a", 1, "b", 1, &infinite, &error));
    FAILS(NON_FINITE, "window a", longattn_selector_add(selector, "a", 1, "b", 1, &nan, &error));
    CHECK(longattn_selector_count(selector) == 0 && longattn_selector_count(NULL) == 0);

    longattn_selection *selection = NULL;
    add(selector, "a", "b", 0.5, -1);
    FAILS(INVALID_ARGUMENT, "selector is NULL", longattn_selector_finish(NULL, NULL, &selection, &error));
    FAILS(INVALID_ARGUMENT, "selection is NULL", longattn_selector_finish(selector, NULL, NULL, &error));
    longattn_config *config = config_with("count", "1");
    SUCCEEDS(longattn_config_set(config, TEXT("threshold"), TEXT("1"), &error));
    FAILS(INVALID_SETTING, "only one of", longattn_selector_finish(selector, config, &selection, &error));
    longattn_config_free(config);
    add(selector, "a", "b", 0.6, -1);
    FAILS(INVALID_ARGUMENT, "given twice", longattn_selector_finish(selector, NULL, &selection, &error));
    CHECK(selection == NULL && longattn_selector_count(selector) == 2);
    longattn_selector_free(selector);
    longattn_selector_free(NULL);
}

static void wrong_json_is_refused(void) {
    longattn_selector *selector = NULL;
    FAILS(INVALID_ARGUMENT, "json is NULL", longattn_selector_from_json(NULL, 1, &selector, &error));
    FAILS(INVALID_ARGUMENT, "selector is NULL", longattn_selector_from_json("{}", 2, NULL, &error));
    FAILS(INVALID_UTF8, "json", longattn_selector_from_json("\xff", 1, &selector, &error));
    FAILS(INVALID_RECORD, "no selector", longattn_selector_from_json(NULL, 0, &selector, &error));
    FAILS(INVALID_RECORD, "no selector", longattn_selector_from_json("{}", 2, &selector, &error));
    FAILS(UNSUPPORTED, "form 77",
          longattn_selector_from_json(TEXT("{\"version\":77,\"candidates\":[]}"), &selector, &error));
    CHECK(selector == NULL);

    longattn_text json;
    selector = longattn_selector_new();
    FAILS(INVALID_ARGUMENT, "selector is NULL", longattn_selector_to_json(NULL, &json, &error));
    FAILS(INVALID_ARGUMENT, "json is NULL", longattn_selector_to_json(selector, NULL, &error));
    longattn_selector_free(selector);
}

const struct test selector_tests[] = {
    {"the best are selected", the_best_are_selected},
    {"scores follow the formula", scores_follow_the_formula},
    {"parts merge to the whole", parts_merge_to_the_whole},
    {"names may be empty or hold NUL", names_may_be_empty_or_hold_nul},
    {"wrong windows are refused", wrong_windows_are_refused},
    {"wrong JSON is refused", wrong_json_is_refused},
    {NULL, NULL},
};
