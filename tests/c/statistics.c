/* Scores straight from an attention map, or from queries and keys. */

#include "check.h"

#include <math.h>
#include <stdlib.h>

enum { HEADS = 4, KEY_VALUE_HEADS = 2, LENGTH = 50, HEAD_SIZE = 8 };

static const double SCALE = 0.3;

static float queries[HEADS][LENGTH][HEAD_SIZE];
static float keys[KEY_VALUE_HEADS][LENGTH][HEAD_SIZE];
static float map[HEADS][LENGTH][LENGTH];

static void fill(float *numbers, size_t count, unsigned seed) {
    for (size_t index = 0; index < count; index++) {
        seed = seed * 1664525u + 1013904223u;
        numbers[index] = (float)(seed >> 8) / (float)(1 << 23) - 1.0f;
    }
}

/* Softmax attention as the textbook has it. */
static void fill_all(void) {
    fill(&queries[0][0][0], HEADS * LENGTH * HEAD_SIZE, 1);
    fill(&keys[0][0][0], KEY_VALUE_HEADS * LENGTH * HEAD_SIZE, 2);
    for (int head = 0; head < HEADS; head++) {
        for (int row = 0; row < LENGTH; row++) {
            double weights[LENGTH] = {0}, total = 0;
            for (int column = 0; column <= row; column++) {
                double product = 0;
                for (int index = 0; index < HEAD_SIZE; index++)
                    product += queries[head][row][index] * keys[head / 2][column][index];
                weights[column] = exp(SCALE * product);
                total += weights[column];
            }
            for (int column = 0; column < LENGTH; column++)
                map[head][row][column] = (float)(weights[column] / total);
        }
    }
}

static longattn_status score_queries(longattn_config *config, longattn_head_score *heads, longattn_score *score,
                                     longattn_error **error) {
    return longattn_score_query_key(&queries[0][0][0], HEADS, &keys[0][0][0], KEY_VALUE_HEADS, LENGTH, HEAD_SIZE, SCALE,
                                    config, heads, heads == NULL ? 0 : HEADS, score, error);
}

static void a_map_is_scored_by_the_formulas(void) {
    const float three[3][3] = {{1, 0, 0}, {0.5f, 0.5f, 0}, {0.6f, 0.2f, 0.2f}};
    longattn_config *config = config_with("min_distance", "2");
    longattn_score score;
    longattn_head_score head[2] = {{0, 0}, {-7, -7}};
    SUCCEEDS(longattn_score_map(&three[0][0], 1, 3, config, head, 2, &score, &error));
    CHECK(score.token_count == 3 && score.min_distance == 2 && score.sink_tokens == 0 && score.head_count == 1);
    CHECK(close_to(score.dependency_strength, 0.2, 1e-6));
    CHECK(close_to(score.distribution_uniformity, -(0.36 - 0.36 / 9) / 8, 1e-6));
    CHECK(head[0].proportion == score.dependency_strength && head[0].variance == -score.distribution_uniformity);
    CHECK(head[1].proportion == -7 && head[1].variance == -7);
    CHECK(close_to(score.far_square_mass, 0.36 / 3, 1e-6));
    CHECK(score.reserved[0] == 0 && score.reserved[1] == 0);
    CHECK(score.untrained_tokens == 0);
    longattn_config_free(config);
}

static void queries_and_keys_score_as_their_map(void) {
    fill_all();
    for (int setting = 0; setting < 3; setting++) {
        const char *settings[][2] = {{"min_distance", "auto"}, {"sink_tokens", "3"}, {"variance_domain", "triangle"}};
        longattn_config *config = config_with(settings[setting][0], settings[setting][1]);
        longattn_score whole, streamed;
        longattn_head_score whole_heads[HEADS], streamed_heads[HEADS];
        SUCCEEDS(longattn_score_map(&map[0][0][0], HEADS, LENGTH, config, whole_heads, HEADS, &whole, &error));
        SUCCEEDS(score_queries(config, streamed_heads, &streamed, &error));
        CHECK(whole.min_distance == LENGTH / 4 && streamed.min_distance == LENGTH / 4);
        CHECK(close_to(streamed.dependency_strength, whole.dependency_strength, 1e-5));
        CHECK(close_to(streamed.distribution_uniformity, whole.distribution_uniformity, 1e-4));
        for (int head = 0; head < HEADS; head++) {
            CHECK(close_to(streamed_heads[head].proportion, whole_heads[head].proportion, 1e-5));
            CHECK(close_to(streamed_heads[head].variance, whole_heads[head].variance, 1e-4));
        }
        longattn_config_free(config);
    }
}

static void precision_is_a_setting_of_queries_and_keys(void) {
    fill_all();
    longattn_config *config = config_with("precision", "float32");
    longattn_score usual, floats, integers;
    SUCCEEDS(score_queries(NULL, NULL, &usual, &error));
    SUCCEEDS(score_queries(config, NULL, &floats, &error));
    SUCCEEDS(longattn_config_set(config, TEXT("precision"), TEXT("int16"), &error));
    SUCCEEDS(score_queries(config, NULL, &integers, &error));
    CHECK(same(floats, usual) && !same(integers, usual));
    CHECK(close_to(integers.dependency_strength, usual.dependency_strength, 1e-4));
    CHECK(close_to(integers.distribution_uniformity, usual.distribution_uniformity, 1e-3));
    longattn_config_free(config);
}

static void heads_are_optional(void) {
    fill_all();
    longattn_score with, without;
    longattn_head_score heads[HEADS];
    SUCCEEDS(score_queries(NULL, heads, &with, &error));
    SUCCEEDS(score_queries(NULL, NULL, &without, &error));
    CHECK(same(with, without));
}

static void wrong_maps_are_refused(void) {
    fill_all();
    const float *numbers = &map[0][0][0];
    const float *misaligned = (const float *)(const void *)((const char *)numbers + 1);
    longattn_score score, untouched;
    longattn_head_score heads[HEADS];
    memset(&score, 7, sizeof score);
    untouched = score;
    FAILS(INVALID_ARGUMENT, "map is NULL", longattn_score_map(NULL, HEADS, LENGTH, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "score is NULL", longattn_score_map(numbers, HEADS, LENGTH, NULL, NULL, 0, NULL, &error));
    FAILS(INVALID_ARGUMENT, "heads is NULL", longattn_score_map(numbers, HEADS, LENGTH, NULL, NULL, 1, &score, &error));
    FAILS(INVALID_ARGUMENT, "head_capacity is 3",
          longattn_score_map(numbers, HEADS, LENGTH, NULL, heads, 3, &score, &error));
    FAILS(INVALID_ARGUMENT, "heads cannot have a length",
          longattn_score_map(numbers, HEADS, LENGTH, NULL, heads, SIZE_MAX, &score, &error));
    FAILS(INVALID_ARGUMENT, "map is not aligned",
          longattn_score_map(misaligned, HEADS, LENGTH - 1, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "without heads", longattn_score_map(numbers, 0, LENGTH, NULL, NULL, 0, &score, &error));
    FAILS(TOO_SHORT, "0 tokens", longattn_score_map(NULL, HEADS, 0, NULL, NULL, 0, &score, &error));
    FAILS(TOO_SHORT, "1 tokens", longattn_score_map(numbers, HEADS, 1, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "no memory is that large",
          longattn_score_map(numbers, 1, (size_t)1 << 40, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "no memory is that large",
          longattn_score_map(numbers, 1, (size_t)1 << 31, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "no memory is that large",
          longattn_score_map(numbers, SIZE_MAX, SIZE_MAX, NULL, NULL, 0, &score, &error));
    map[1][LENGTH - 1][0] += 6;
    FAILS(INVALID_ARGUMENT, "of a softmax sum to 1", longattn_score_map(numbers, HEADS, LENGTH, NULL, NULL, 0, &score, &error));
    map[1][LENGTH - 1][0] = NAN;
    FAILS(NON_FINITE, "head 1", longattn_score_map(numbers, HEADS, LENGTH, NULL, NULL, 0, &score, &error));
    map[1][LENGTH - 1][0] = INFINITY;
    FAILS(NON_FINITE, "head 1", longattn_score_map(numbers, HEADS, LENGTH, NULL, NULL, 0, &score, &error));
    CHECK(same(score, untouched));
}

static void wrong_queries_and_keys_are_refused(void) {
    fill_all();
    const float *q = &queries[0][0][0], *k = &keys[0][0][0];
    const float *misaligned = (const float *)(const void *)((const char *)k + 2);
    longattn_score score, untouched;
    memset(&score, 7, sizeof score);
    untouched = score;
    FAILS(INVALID_ARGUMENT, "queries is NULL",
          longattn_score_query_key(NULL, 4, k, 2, LENGTH, 8, SCALE, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "keys is NULL",
          longattn_score_query_key(q, 4, NULL, 2, LENGTH, 8, SCALE, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "keys is not aligned",
          longattn_score_query_key(q, 4, misaligned, 1, LENGTH, 8, SCALE, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "score is NULL",
          longattn_score_query_key(q, 4, k, 2, LENGTH, 8, SCALE, NULL, NULL, 0, NULL, &error));
    FAILS(INVALID_ARGUMENT, "heads is NULL",
          longattn_score_query_key(q, 4, k, 2, LENGTH, 8, SCALE, NULL, NULL, 4, &score, &error));
    FAILS(INVALID_ARGUMENT, "cannot share",
          longattn_score_query_key(q, 3, k, 2, LENGTH, 8, SCALE, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "cannot share",
          longattn_score_query_key(q, 4, NULL, 0, LENGTH, 8, SCALE, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "head size 0",
          longattn_score_query_key(q, 4, k, 2, LENGTH, 0, SCALE, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "head size 0",
          longattn_score_query_key(q, 4, k, 2, SIZE_MAX / 16, 0, SCALE, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "cannot share",
          longattn_score_query_key(q, 0, k, 0, SIZE_MAX / 16, 8, SCALE, NULL, NULL, 0, &score, &error));
    FAILS(TOO_SHORT, "0 tokens", longattn_score_query_key(q, 4, k, 2, 0, 8, SCALE, NULL, NULL, 0, &score, &error));
    FAILS(TOO_SHORT, "1 tokens", longattn_score_query_key(q, 4, k, 2, 1, 8, SCALE, NULL, NULL, 0, &score, &error));
    FAILS(INVALID_ARGUMENT, "no memory is that large",
          longattn_score_query_key(q, 4, k, 2, SIZE_MAX, 8, SCALE, NULL, NULL, 0, &score, &error));
    FAILS(NON_FINITE, "head", longattn_score_query_key(q, 4, k, 2, LENGTH, 8, NAN, NULL, NULL, 0, &score, &error));
    queries[2][LENGTH - 1][3] = NAN;
    FAILS(NON_FINITE, "head 2", score_queries(NULL, NULL, &score, &error));
    fill_all();
    /* One row alone sees the last key, and all of its products with it are minus infinity. */
    for (int head = 0; head < HEADS; head++) queries[head][LENGTH - 1][0] = 1;
    keys[0][LENGTH - 1][0] = -INFINITY;
    FAILS(NON_FINITE, "head 0", score_queries(NULL, NULL, &score, &error));
    CHECK(same(score, untouched));
}

static void inputs_and_outputs_may_overlap(void) {
    fill_all();
    longattn_score expected;
    SUCCEEDS(longattn_score_map(&map[0][0][0], HEADS, LENGTH, NULL, NULL, 0, &expected, &error));
    float *memory = aligned_alloc(8, sizeof map);
    CHECK(memory != NULL);
    memcpy(memory, map, sizeof map);
    longattn_score *inside = (longattn_score *)(void *)memory;
    SUCCEEDS(longattn_score_map(memory, HEADS, LENGTH, NULL, NULL, 0, inside, &error));
    CHECK(same(*inside, expected));
    free(memory);

    longattn_score score;
    const float *both = &queries[0][0][0];
    SUCCEEDS(longattn_score_query_key(both, 2, both, 2, LENGTH, HEAD_SIZE, SCALE, NULL, NULL, 0, &score, &error));
}

const struct test statistics_tests[] = {
    {"a map is scored by the formulas", a_map_is_scored_by_the_formulas},
    {"queries and keys score as their map", queries_and_keys_score_as_their_map},
    {"precision is a setting of queries and keys", precision_is_a_setting_of_queries_and_keys},
    {"heads are optional", heads_are_optional},
    {"wrong maps are refused", wrong_maps_are_refused},
    {"wrong queries and keys are refused", wrong_queries_and_keys_are_refused},
    {"inputs and outputs may overlap", inputs_and_outputs_may_overlap},
    {NULL, NULL},
};
