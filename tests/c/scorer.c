/* Opening packages and scoring with them. */

#include "check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static void packages_are_described(void) {
    longattn_scorer *scorer = open_scorer(QUERY_KEY, NULL, NULL);
    longattn_text json;
    SUCCEEDS(longattn_scorer_describe(scorer, &json, &error));
    CHECK(json.data[json.length] == '\0');
    const char *facts[] = {"\"contract\":\"query-key\"", "\"heads\":4", "\"tokenizer_vocabulary\":256",
                           "\"max_positions\":64", "\"name\":\"key_ids\"", "libonnxruntime.so"};
    for (size_t index = 0; index < sizeof facts / sizeof *facts; index++)
        if (strstr(json.data, facts[index]) == NULL) fail_at(__FILE__, __LINE__, facts[index], json.data);
    longattn_text_free(&json);
    CHECK(longattn_scorer_head_count(scorer) == 4);
    FAILS(INVALID_ARGUMENT, "scorer is NULL", longattn_scorer_describe(NULL, &json, &error));
    FAILS(INVALID_ARGUMENT, "json is NULL", longattn_scorer_describe(scorer, NULL, &error));
    longattn_scorer_free(scorer);
    longattn_scorer_free(NULL);
    CHECK(longattn_scorer_head_count(NULL) == 0);
}

static void what_scores_depend_on_is_told(void) {
    longattn_scorer *scorers[] = {open_scorer(QUERY_KEY, "window", "60"), open_scorer(QUERY_KEY, "window", "60"),
                                  open_scorer(QUERY_KEY, "window", "59"), open_scorer(ATTENTIONS, "window", "60")};
    longattn_text texts[4];
    for (int index = 0; index < 4; index++) SUCCEEDS(longattn_scorer_identity(scorers[index], &texts[index], &error));
    CHECK(strcmp(texts[0].data, texts[1].data) == 0);
    CHECK(strcmp(texts[0].data, texts[2].data) != 0 && strcmp(texts[0].data, texts[3].data) != 0);
    FAILS(INVALID_ARGUMENT, "scorer is NULL", longattn_scorer_identity(NULL, &texts[0], &error));
    FAILS(INVALID_ARGUMENT, "json is NULL", longattn_scorer_identity(scorers[0], NULL, &error));
    for (int index = 0; index < 4; index++) {
        longattn_text_free(&texts[index]);
        longattn_scorer_free(scorers[index]);
    }
}

static void what_is_no_package_does_not_open(void) {
    longattn_scorer *scorer = NULL;
    FAILS(INVALID_MODEL, "longattn export", longattn_scorer_open(TEXT("no/such/package"), NULL, &scorer, &error));
    FAILS(INVALID_MODEL, "no scorer package", longattn_scorer_open(NULL, 0, NULL, &scorer, &error));
    FAILS(INVALID_MODEL, "no scorer package", longattn_scorer_open("a\0b", 3, NULL, &scorer, &error));
    FAILS(INVALID_MODEL, "cannot be loaded", longattn_scorer_open(TEXT("tests/c/check.h"), NULL, &scorer, &error));
    FAILS(INVALID_ARGUMENT, "path is NULL", longattn_scorer_open(NULL, 1, NULL, &scorer, &error));
    FAILS(INVALID_ARGUMENT, "path cannot have", longattn_scorer_open("a", SIZE_MAX, NULL, &scorer, &error));
    FAILS(INVALID_UTF8, "path is not", longattn_scorer_open("\xff", 1, NULL, &scorer, &error));
    FAILS(INVALID_ARGUMENT, "scorer is NULL", longattn_scorer_open(TEXT(QUERY_KEY), NULL, NULL, &error));
    longattn_config *config = config_with("layer", "9");
    FAILS(INVALID_SETTING, "no layer", longattn_scorer_open(TEXT(BARE), config, &scorer, &error));
    longattn_config_free(config);
    config = config_with("onnxruntime", "/no/such/libonnxruntime.so");
    FAILS(RUNTIME, "libonnxruntime", longattn_scorer_open(TEXT(BARE), config, &scorer, &error));
    longattn_config_free(config);
    CHECK(scorer == NULL);
}

static void all_ways_to_score_agree(void) {
    longattn_scorer *scorer = open_scorer(QUERY_KEY, "window", "60");
    char *text = random_text(90, 1);
    longattn_tokens *tokens = NULL;
    SUCCEEDS(longattn_scorer_tokenize(scorer, TEXT(text), &tokens, &error));
    const uint32_t *ids = longattn_tokens_ids(tokens);
    CHECK(longattn_tokens_count(tokens) == 90);

    longattn_score score, again;
    SUCCEEDS(longattn_scorer_score_text(scorer, TEXT(text), &score, &error));
    CHECK(score.token_count == 60 && score.min_distance == 15 && score.sink_tokens == 0 && score.head_count == 4);
    CHECK(score.dependency_strength > 0 && score.distribution_uniformity < 0);
    SUCCEEDS(longattn_scorer_score_tokens(scorer, ids, 60, &again, &error));
    CHECK(same(score, again));

    longattn_input input = {.ids = ids, .id_count = 90};
    longattn_cancel *cancel = longattn_cancel_new();
    longattn_head_score heads[5];
    SUCCEEDS(longattn_scorer_score(scorer, &input, cancel, heads, 5, &again, &error));
    CHECK(same(score, again));
    double proportion = 0, variance = 0;
    for (int head = 0; head < 4; head++) {
        proportion += heads[head].proportion / 4;
        variance += heads[head].variance / 4;
    }
    CHECK(close_to(score.dependency_strength, proportion, 1e-12));
    CHECK(close_to(score.distribution_uniformity, -variance, 1e-12));

    input = (longattn_input){.text = text, .text_length = 90};
    SUCCEEDS(longattn_scorer_score(scorer, &input, NULL, NULL, 0, &again, &error));
    CHECK(same(score, again));
    longattn_cancel_free(cancel);
    longattn_tokens_free(tokens);
    free(text);
    longattn_scorer_free(scorer);
}

static void windows_that_cannot_be_scored_are_refused(void) {
    longattn_scorer *scorer = open_scorer(QUERY_KEY, NULL, NULL);
    longattn_scorer *bare = open_scorer(BARE, NULL, NULL);
    const uint32_t ids[5] = {1, 2, 3, 4, 256};
    const uint32_t *misaligned = (const uint32_t *)(const void *)((const char *)ids + 1);
    longattn_score score, untouched;
    memset(&score, 7, sizeof score);
    untouched = score;
    FAILS(INVALID_ARGUMENT, "scorer is NULL", longattn_scorer_score_text(NULL, "abc", 3, &score, &error));
    FAILS(INVALID_ARGUMENT, "text is NULL", longattn_scorer_score_text(scorer, NULL, 3, &score, &error));
    FAILS(INVALID_ARGUMENT, "score is NULL", longattn_scorer_score_text(scorer, "abc", 3, NULL, &error));
    FAILS(INVALID_ARGUMENT, "text cannot have", longattn_scorer_score_text(scorer, "abc", SIZE_MAX, &score, &error));
    FAILS(INVALID_UTF8, "at byte 2", longattn_scorer_score_text(scorer, "ab\xe2\x82", 4, &score, &error));
    FAILS(TOO_SHORT, "0 tokens", longattn_scorer_score_text(scorer, NULL, 0, &score, &error));
    FAILS(TOO_SHORT, "1 tokens", longattn_scorer_score_text(scorer, "a", 1, &score, &error));
    FAILS(UNSUPPORTED, "tokenizer.json", longattn_scorer_score_text(bare, "abc", 3, &score, &error));

    FAILS(INVALID_ARGUMENT, "scorer is NULL", longattn_scorer_score_tokens(NULL, ids, 4, &score, &error));
    FAILS(INVALID_ARGUMENT, "ids is NULL", longattn_scorer_score_tokens(scorer, NULL, 4, &score, &error));
    FAILS(INVALID_ARGUMENT, "ids is not aligned", longattn_scorer_score_tokens(scorer, misaligned, 4, &score, &error));
    FAILS(INVALID_ARGUMENT, "ids cannot have", longattn_scorer_score_tokens(scorer, ids, SIZE_MAX / 4, &score, &error));
    FAILS(INVALID_ARGUMENT, "score is NULL", longattn_scorer_score_tokens(scorer, ids, 4, NULL, &error));
    FAILS(INVALID_ARGUMENT, "token 4 has id 256", longattn_scorer_score_tokens(scorer, ids, 5, &score, &error));
    FAILS(TOO_SHORT, "0 tokens", longattn_scorer_score_tokens(scorer, NULL, 0, &score, &error));

    longattn_input input = {.ids = ids, .id_count = 4};
    longattn_input both = {.ids = ids, .id_count = 4, .text = "a", .text_length = 1};
    longattn_input null_ids = {.id_count = 4};
    longattn_head_score heads[4];
    FAILS(INVALID_ARGUMENT, "scorer is NULL", longattn_scorer_score(NULL, &input, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "input is NULL", longattn_scorer_score(scorer, NULL, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "both set", longattn_scorer_score(scorer, &both, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "ids is NULL", longattn_scorer_score(scorer, &null_ids, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "heads is NULL", longattn_scorer_score(scorer, &input, NULL, NULL, 4, &score, &error));
    FAILS(INVALID_ARGUMENT, "head_capacity is 3", longattn_scorer_score(scorer, &input, NULL, heads, 3, &score, &error));
    FAILS(INVALID_ARGUMENT, "score is NULL", longattn_scorer_score(scorer, &input, NULL, heads, 4, NULL, &error));

    longattn_cancel *cancel = longattn_cancel_new();
    CHECK(!longattn_cancel_is_requested(cancel) && !longattn_cancel_is_requested(NULL));
    longattn_cancel_request(NULL);
    longattn_cancel_request(cancel);
    CHECK(longattn_cancel_is_requested(cancel));
    FAILS(CANCELLED, "cancelled", longattn_scorer_score(scorer, &input, cancel, NULL, 0, &score, &error));
    longattn_cancel_free(cancel);
    longattn_cancel_free(NULL);

    longattn_cancel *deadline = longattn_cancel_new();
    longattn_cancel_set_deadline(NULL, 0);
    longattn_cancel_set_deadline(deadline, UINT64_MAX);
    CHECK(!longattn_cancel_is_requested(deadline));
    longattn_cancel_set_deadline(deadline, 0);
    CHECK(longattn_cancel_is_requested(deadline));
    FAILS(CANCELLED, "deadline", longattn_scorer_score(scorer, &input, deadline, NULL, 0, &score, &error));
    longattn_cancel_free(deadline);
    CHECK(same(score, untouched));
    longattn_scorer_free(bare);
    longattn_scorer_free(scorer);
}

static void a_profile_tells_how_far_attention_reaches(void) {
    longattn_scorer *scorer = open_scorer(QUERY_KEY, "profile", "true");
    char *text = random_text(64, 1);
    longattn_input input = {.text = text, .text_length = 64};
    longattn_cancel *cancel = longattn_cancel_new();
    longattn_distance_profile profile, again;
    longattn_score score, expected;
    SUCCEEDS(longattn_scorer_score(scorer, &input, NULL, NULL, 0, &expected, &error));
    SUCCEEDS(longattn_scorer_score_profile(scorer, &input, cancel, &profile, &score, &error));
    CHECK(same(score, expected) && score.min_distance == 16);
    double all = 0, far = 0;
    for (int bucket = 0; bucket < LONGATTN_DISTANCE_BUCKETS; bucket++) {
        all += profile.shares[bucket];
        /* Bucket 5 begins at a distance of 16. */
        if (bucket >= 5) far += profile.shares[bucket];
    }
    CHECK(profile.bucket_count == 7 && profile.shares[6] > 0 && profile.shares[7] == 0);
    CHECK(close_to(all, 1, 1e-5) && close_to(far, score.dependency_strength, 1e-5));
    SUCCEEDS(longattn_scorer_score_profile(scorer, &input, NULL, &again, NULL, &error));
    CHECK(memcmp(&again, &profile, sizeof profile) == 0);
    longattn_cancel_free(cancel);
    free(text);
    longattn_scorer_free(scorer);
}

static void profiles_that_cannot_be_given_are_refused(void) {
    longattn_scorer *scorer = open_scorer(QUERY_KEY, "profile", "true"), *without = open_scorer(QUERY_KEY, NULL, NULL);
    longattn_input input = {.text = "abcd", .text_length = 4}, invalid = {.text = "ab\xe2\x82", .text_length = 4};
    longattn_input both = {.text = "a", .text_length = 1, .ids = (const uint32_t[]){1}, .id_count = 1};
    longattn_input short_text = {.text = "a", .text_length = 1};
    longattn_distance_profile profile, untouched_profile;
    longattn_score score, untouched;
    memset(&profile, 7, sizeof profile);
    memset(&score, 7, sizeof score);
    untouched_profile = profile;
    untouched = score;
    longattn_distance_profile *misaligned = (longattn_distance_profile *)(void *)((char *)&profile + 1);
    longattn_score *misaligned_score = (longattn_score *)(void *)((char *)&score + 1);
    longattn_cancel *cancel = longattn_cancel_new();
    longattn_cancel_request(cancel);
    FAILS(INVALID_ARGUMENT, "scorer is NULL",
          longattn_scorer_score_profile(NULL, &input, NULL, &profile, &score, &error));
    FAILS(INVALID_ARGUMENT, "input is NULL",
          longattn_scorer_score_profile(scorer, NULL, NULL, &profile, &score, &error));
    FAILS(INVALID_ARGUMENT, "profile is NULL",
          longattn_scorer_score_profile(scorer, &input, NULL, NULL, &score, &error));
    FAILS(INVALID_ARGUMENT, "profile is not aligned",
          longattn_scorer_score_profile(scorer, &input, NULL, misaligned, &score, &error));
    FAILS(INVALID_ARGUMENT, "score is not aligned",
          longattn_scorer_score_profile(scorer, &input, NULL, &profile, misaligned_score, &error));
    FAILS(INVALID_ARGUMENT, "both set",
          longattn_scorer_score_profile(scorer, &both, NULL, &profile, &score, &error));
    FAILS(INVALID_UTF8, "at byte 2",
          longattn_scorer_score_profile(scorer, &invalid, NULL, &profile, &score, &error));
    FAILS(TOO_SHORT, "1 tokens",
          longattn_scorer_score_profile(scorer, &short_text, NULL, &profile, &score, &error));
    FAILS(CANCELLED, "cancelled",
          longattn_scorer_score_profile(scorer, &input, cancel, &profile, &score, &error));
    FAILS(INVALID_SETTING, "profile at true",
          longattn_scorer_score_profile(without, &input, NULL, &profile, &score, &error));
    CHECK(longattn_scorer_score_profile(without, &input, NULL, &profile, NULL, NULL) == LONGATTN_STATUS_INVALID_SETTING);
    CHECK(same(score, untouched) && memcmp(&profile, &untouched_profile, sizeof profile) == 0);
    longattn_cancel_free(cancel);
    longattn_scorer_free(without);
    longattn_scorer_free(scorer);
}

static void maps_beyond_the_memory_limit_are_refused(void) {
    longattn_config *config = config_with("memory_limit", "1MB");
    SUCCEEDS(longattn_config_set(config, TEXT("window"), TEXT("100000"), &error));
    longattn_scorer *scorer = NULL;
    SUCCEEDS(longattn_scorer_open(TEXT(ATTENTIONS), config, &scorer, &error));
    longattn_config_free(config);
    char *text = random_text(100000, 1);
    longattn_score score;
    FAILS(MEMORY_LIMIT, "", longattn_scorer_score_text(scorer, TEXT(text), &score, &error));
    SUCCEEDS(longattn_scorer_score_text(scorer, text, 64, &score, &error));
    free(text);
    longattn_scorer_free(scorer);
}

static void an_open_scorer_keeps_its_settings(void) {
    longattn_config *config = config_with("window", "50");
    longattn_scorer *scorer = NULL;
    SUCCEEDS(longattn_scorer_open(TEXT(QUERY_KEY), config, &scorer, &error));
    SUCCEEDS(longattn_config_set(config, TEXT("window"), TEXT("20"), &error));
    longattn_config_free(config);

    char *text = random_text(100, 1);
    longattn_score score;
    SUCCEEDS(longattn_scorer_score_text(scorer, TEXT(text), &score, &error));
    CHECK(score.token_count == 50);
    config = longattn_scorer_config(scorer);
    SUCCEEDS(longattn_config_set(config, TEXT("window"), TEXT("30"), &error));
    longattn_config_free(config);
    SUCCEEDS(longattn_scorer_score_text(scorer, TEXT(text), &score, &error));
    CHECK(score.token_count == 50);
    CHECK(longattn_scorer_config(NULL) == NULL);
    free(text);
    longattn_scorer_free(scorer);
}

static void a_package_may_disappear_after_it_was_opened(void) {
    char *text = random_text(60, 1);
    const char *packages[] = {QUERY_KEY, ATTENTIONS};
    for (int index = 0; index < 2; index++) {
        char directory[] = "target/check-c-XXXXXX", command[256];
        CHECK(mkdtemp(directory) != NULL);
        snprintf(command, sizeof command, "cp -r %s/. %s", packages[index], directory);
        CHECK(system(command) == 0);
        longattn_scorer *kept = open_scorer(packages[index], NULL, NULL), *gone = open_scorer(directory, NULL, NULL);
        snprintf(command, sizeof command, "rm -r %s", directory);
        CHECK(system(command) == 0);
        longattn_score expected, score;
        SUCCEEDS(longattn_scorer_score_text(kept, TEXT(text), &expected, &error));
        SUCCEEDS(longattn_scorer_score_text(gone, TEXT(text), &score, &error));
        CHECK(same(score, expected));
        longattn_scorer_free(kept);
        longattn_scorer_free(gone);
    }
    free(text);
}

static void one_program_scores_with_different_packages(void) {
    longattn_scorer *streamed = open_scorer(QUERY_KEY, NULL, NULL), *whole = open_scorer(ATTENTIONS, NULL, NULL);
    longattn_scorer *other = open_scorer(BARE, NULL, NULL);
    char *text = random_text(64, 1);
    longattn_score scores[2], bare;
    SUCCEEDS(longattn_scorer_score_text(streamed, TEXT(text), &scores[0], &error));
    SUCCEEDS(longattn_scorer_score_text(whole, TEXT(text), &scores[1], &error));
    CHECK(close_to(scores[0].dependency_strength, scores[1].dependency_strength, 1e-5));
    CHECK(close_to(scores[0].distribution_uniformity, scores[1].distribution_uniformity, 1e-4));
    const uint32_t ids[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    SUCCEEDS(longattn_scorer_score_tokens(other, ids, 8, &bare, &error));
    CHECK(bare.head_count == 3);
    free(text);
    longattn_scorer_free(streamed);
    longattn_scorer_free(whole);
    longattn_scorer_free(other);
}

static void tokens_tile_the_text(void) {
    longattn_scorer *scorer = open_scorer(QUERY_KEY, NULL, NULL);
    const char *text = "a\xe2\x82\xacz";
    longattn_tokens *tokens = NULL;
    SUCCEEDS(longattn_scorer_tokenize(scorer, TEXT(text), &tokens, &error));
    const size_t *boundaries = longattn_tokens_boundaries(tokens);
    CHECK(longattn_tokens_count(tokens) == 5 && longattn_tokens_ids(tokens) != NULL);
    CHECK(boundaries[0] == 0 && boundaries[1] == 1 && boundaries[4] == 4 && boundaries[5] == 5);
    for (int index = 0; index < 5; index++) CHECK(boundaries[index] <= boundaries[index + 1]);
    longattn_tokens_free(tokens);

    SUCCEEDS(longattn_scorer_tokenize(scorer, NULL, 0, &tokens, &error));
    CHECK(longattn_tokens_count(tokens) == 0 && longattn_tokens_ids(tokens) == NULL);
    CHECK(longattn_tokens_boundaries(tokens)[0] == 0);
    longattn_tokens_free(tokens);

    tokens = NULL;
    FAILS(INVALID_ARGUMENT, "scorer is NULL", longattn_scorer_tokenize(NULL, "a", 1, &tokens, &error));
    FAILS(INVALID_ARGUMENT, "text is NULL", longattn_scorer_tokenize(scorer, NULL, 1, &tokens, &error));
    FAILS(INVALID_ARGUMENT, "tokens is NULL", longattn_scorer_tokenize(scorer, "a", 1, NULL, &error));
    FAILS(INVALID_UTF8, "text is not", longattn_scorer_tokenize(scorer, "\xff", 1, &tokens, &error));
    CHECK(tokens == NULL && longattn_tokens_count(NULL) == 0);
    CHECK(longattn_tokens_ids(NULL) == NULL && longattn_tokens_boundaries(NULL) == NULL);
    longattn_tokens_free(NULL);
    longattn_scorer_free(scorer);
}

static void documents_are_cut_into_windows(void) {
    longattn_scorer *scorer = open_scorer(QUERY_KEY, "window", "4");
    longattn_windows *windows = NULL;
    const char *document = "abcdefghijklmno";
    SUCCEEDS(longattn_scorer_cut(scorer, TEXT(document), &windows, &error));
    const size_t starts[4] = {0, 11, 4, 7};
    CHECK(longattn_windows_count(windows) == 4);
    longattn_window window;
    longattn_score score, expected;
    for (size_t index = 0; index < 4; index++) {
        SUCCEEDS(longattn_windows_get(windows, index, &window, &error));
        CHECK(window.token_start == starts[index] && window.token_count == 4);
        CHECK(window.byte_start == starts[index] && window.byte_end == starts[index] + 4);
        SUCCEEDS(longattn_scorer_score_text(scorer, document + window.byte_start, 4, &expected, &error));
        SUCCEEDS(longattn_scorer_score_tokens(scorer, window.ids, window.token_count, &score, &error));
        CHECK(same(score, expected));
    }
    FAILS(INVALID_ARGUMENT, "there is no window 4", longattn_windows_get(windows, 4, &window, &error));
    FAILS(INVALID_ARGUMENT, "windows is NULL", longattn_windows_get(NULL, 0, &window, &error));
    FAILS(INVALID_ARGUMENT, "window is NULL", longattn_windows_get(windows, 0, NULL, &error));
    longattn_windows_free(windows);

    windows = NULL;
    FAILS(INVALID_ARGUMENT, "scorer is NULL", longattn_scorer_cut(NULL, "a", 1, &windows, &error));
    FAILS(INVALID_ARGUMENT, "text is NULL", longattn_scorer_cut(scorer, NULL, 1, &windows, &error));
    FAILS(INVALID_ARGUMENT, "windows is NULL", longattn_scorer_cut(scorer, "a", 1, NULL, &error));
    FAILS(INVALID_UTF8, "text is not", longattn_scorer_cut(scorer, "\xff", 1, &windows, &error));
    CHECK(windows == NULL && longattn_windows_count(NULL) == 0);
    SUCCEEDS(longattn_scorer_cut(scorer, "abc", 3, &windows, &error));
    CHECK(longattn_windows_count(windows) == 0);
    longattn_windows_free(windows);
    longattn_windows_free(NULL);
    longattn_scorer_free(scorer);
}

static void windows_need_nothing_that_they_were_made_of(void) {
    longattn_scorer *scorer = open_scorer(QUERY_KEY, NULL, NULL);
    longattn_tokens *tokens = NULL;
    longattn_windows *windows = NULL;
    SUCCEEDS(longattn_scorer_tokenize(scorer, TEXT("abcdefg"), &tokens, &error));
    uint32_t last = longattn_tokens_ids(tokens)[6];
    FAILS(INVALID_ARGUMENT, "window is 0", longattn_windows_cut(tokens, 0, &windows, &error));
    FAILS(INVALID_ARGUMENT, "tokens is NULL", longattn_windows_cut(NULL, 4, &windows, &error));
    FAILS(INVALID_ARGUMENT, "windows is NULL", longattn_windows_cut(tokens, 4, NULL, &error));
    SUCCEEDS(longattn_windows_cut(tokens, SIZE_MAX, &windows, &error));
    CHECK(longattn_windows_count(windows) == 0);
    longattn_windows_free(windows);
    SUCCEEDS(longattn_windows_cut(tokens, 4, &windows, &error));
    longattn_tokens_free(tokens);
    longattn_scorer_free(scorer);
    longattn_window window;
    SUCCEEDS(longattn_windows_get(windows, 1, &window, &error));
    CHECK(window.token_start == 3 && window.ids[3] == last);
    longattn_windows_free(windows);
}

enum { MANY = 2000 };

struct progress {
    longattn_cancel *cancel;
    atomic_uint_fast64_t windows, tokens;
    int calls;
};

static void count_progress(uint64_t windows, uint64_t tokens, void *user_data) {
    struct progress *progress = user_data;
    progress->calls++;
    progress->tokens = tokens;
    progress->windows = windows;
}

static void many_windows_have_a_result_each(void) {
    longattn_scorer *scorer = open_scorer(QUERY_KEY, NULL, NULL);
    char *text = random_text(60, 1);
    const uint32_t ids[3] = {1, 2, 256};
    longattn_input inputs[] = {
        {.text = text, .text_length = 60}, {.text = "\xff", .text_length = 1},    {.ids = ids, .id_count = 2},
        {.ids = ids, .id_count = 3},       {.text = text, .text_length = SIZE_MAX}, {.text = NULL},
        {.text = "a", .ids = ids},         {.text = text + 1, .text_length = 50},
    };
    const longattn_status expected[] = {
        LONGATTN_STATUS_OK, LONGATTN_STATUS_INVALID_UTF8, LONGATTN_STATUS_OK, LONGATTN_STATUS_INVALID_ARGUMENT,
        LONGATTN_STATUS_INVALID_ARGUMENT, LONGATTN_STATUS_TOO_SHORT, LONGATTN_STATUS_INVALID_ARGUMENT,
        LONGATTN_STATUS_OK,
    };
    longattn_result results[8];
    struct progress progress = {0};
    SUCCEEDS(longattn_scorer_score_many(scorer, inputs, 8, NULL, count_progress, &progress, results, &error));
    for (int index = 0; index < 8; index++) {
        longattn_score score = {0};
        CHECK(results[index].status == expected[index]);
        CHECK(longattn_error_status(results[index].error) == expected[index]);
        if (expected[index] == LONGATTN_STATUS_OK)
            SUCCEEDS(longattn_scorer_score(scorer, &inputs[index], NULL, NULL, 0, &score, &error));
        CHECK(same(results[index].score, score));
    }
    /* The inputs that are no inputs count from the beginning. */
    CHECK(progress.windows == 8 && progress.calls == 5 && progress.tokens == 60 + 2 + 50);
    longattn_results_free(results, 8);
    CHECK(results[1].error == NULL);
    longattn_results_free(results, 8);
    longattn_results_free(NULL, 8);

    SUCCEEDS(longattn_scorer_score_many(scorer, NULL, 0, NULL, NULL, NULL, NULL, &error));
    memset(results, 7, sizeof results);
    FAILS(INVALID_ARGUMENT, "scorer is NULL",
          longattn_scorer_score_many(NULL, inputs, 8, NULL, NULL, NULL, results, &error));
    FAILS(INVALID_ARGUMENT, "inputs is NULL",
          longattn_scorer_score_many(scorer, NULL, 8, NULL, NULL, NULL, results, &error));
    FAILS(INVALID_ARGUMENT, "results is NULL",
          longattn_scorer_score_many(scorer, inputs, 8, NULL, NULL, NULL, NULL, &error));
    FAILS(INVALID_ARGUMENT, "inputs cannot have",
          longattn_scorer_score_many(scorer, inputs, SIZE_MAX, NULL, NULL, NULL, results, &error));
    CHECK(results[0].score.token_count == 0x0707070707070707);
    free(text);
    longattn_scorer_free(scorer);
}

static void *cancel_after_some(void *argument) {
    struct progress *progress = argument;
    while (progress->windows < 5) sched_yield();
    longattn_cancel_request(progress->cancel);
    return NULL;
}

static void work_is_cancelled_from_another_thread(void) {
    longattn_scorer *scorer = open_scorer(ATTENTIONS, NULL, NULL);
    char *text = random_text(300, 1);
    static longattn_input inputs[MANY];
    static longattn_result results[MANY];
    for (int index = 0; index < MANY; index++) inputs[index] = (longattn_input){.text = text, .text_length = 300};
    struct progress progress = {.cancel = longattn_cancel_new()};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, cancel_after_some, &progress) == 0);
    SUCCEEDS(longattn_scorer_score_many(scorer, inputs, MANY, progress.cancel, count_progress, &progress, results,
                                        &error));
    CHECK(pthread_join(thread, NULL) == 0);
    int scored = 0, cancelled = 0;
    for (int index = 0; index < MANY; index++) {
        scored += results[index].status == LONGATTN_STATUS_OK && results[index].score.token_count == 300;
        cancelled += results[index].status == LONGATTN_STATUS_CANCELLED && results[index].score.token_count == 0;
    }
    CHECK(scored >= 5 && cancelled > 0 && scored + cancelled == MANY);
    CHECK(progress.windows == MANY);
    longattn_results_free(results, MANY);
    longattn_cancel_free(progress.cancel);
    free(text);
    longattn_scorer_free(scorer);
}

const struct test scorer_tests[] = {
    {"packages are described", packages_are_described},
    {"what scores depend on is told", what_scores_depend_on_is_told},
    {"what is no package does not open", what_is_no_package_does_not_open},
    {"all ways to score agree", all_ways_to_score_agree},
    {"windows that cannot be scored are refused", windows_that_cannot_be_scored_are_refused},
    {"a profile tells how far attention reaches", a_profile_tells_how_far_attention_reaches},
    {"profiles that cannot be given are refused", profiles_that_cannot_be_given_are_refused},
    {"maps beyond the memory limit are refused", maps_beyond_the_memory_limit_are_refused},
    {"an open scorer keeps its settings", an_open_scorer_keeps_its_settings},
    {"a package may disappear after it was opened", a_package_may_disappear_after_it_was_opened},
    {"one program scores with different packages", one_program_scores_with_different_packages},
    {"tokens tile the text", tokens_tile_the_text},
    {"documents are cut into windows", documents_are_cut_into_windows},
    {"windows need nothing that they were made of", windows_need_nothing_that_they_were_made_of},
    {"many windows have a result each", many_windows_have_a_result_each},
    {"work is cancelled from another thread", work_is_cancelled_from_another_thread},
    {NULL, NULL},
};
