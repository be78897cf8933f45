/* Packages of several layers that tell losses too. */

#include "check.h"

#include <math.h>
#include <stdlib.h>

enum { IDS = 300 };

static void fill(uint32_t *ids) {
    for (uint32_t index = 0; index < IDS; index++) ids[index] = index * 7 % 48;
}

static void each_layer_has_a_score(void) {
    longattn_scorer *scorer = open_scorer(DEEP, NULL, NULL);
    uint32_t ids[IDS];
    fill(ids);
    longattn_input input = {.ids = ids, .id_count = IDS};
    longattn_layer_score layers[3] = {{.layer = 77}, {.layer = 77}, {.layer = 77}};
    longattn_score score, whole;
    CHECK(longattn_scorer_layer_count(scorer) == 2 && longattn_scorer_layer_count(NULL) == 0);
    SUCCEEDS(longattn_scorer_score_layers(scorer, &input, NULL, layers, 3, &score, &error));
    SUCCEEDS(longattn_scorer_score_tokens(scorer, ids, IDS, &whole, &error));
    CHECK(same(score, whole) && layers[0].layer == 0 && layers[1].layer == 2 && layers[2].layer == 77);
    CHECK(layers[0].dependency_strength != layers[1].dependency_strength);
    CHECK(close_to((layers[0].dependency_strength + layers[1].dependency_strength) / 2, score.dependency_strength, 1e-12));
    CHECK(close_to((layers[0].distribution_uniformity + layers[1].distribution_uniformity) / 2,
                   score.distribution_uniformity, 1e-12));
    SUCCEEDS(longattn_scorer_score_layers(scorer, &input, NULL, layers, 2, NULL, &error));
    FAILS(INVALID_ARGUMENT, "layer_capacity is 1",
          longattn_scorer_score_layers(scorer, &input, NULL, layers, 1, &score, &error));
    longattn_scorer_free(scorer);

    scorer = open_scorer(BARE, NULL, NULL);
    CHECK(longattn_scorer_layer_count(scorer) == 0);
    FAILS(UNSUPPORTED, "does not tell", longattn_scorer_score_layers(scorer, &input, NULL, layers, 3, NULL, &error));
    longattn_scorer_free(scorer);
}

static void the_gain_is_a_drop_of_losses(void) {
    longattn_scorer *scorer = open_scorer(DEEP, "window", "300");
    uint32_t ids[IDS];
    fill(ids);
    float losses[IDS];
    size_t count = 0;
    SUCCEEDS(longattn_scorer_losses(scorer, ids, IDS, NULL, losses, IDS, &count, &error));
    CHECK(count >= IDS - 2 && count < IDS);
    for (size_t index = 0; index < count; index++) CHECK(isfinite(losses[index]) && losses[index] >= 0);
    FAILS(INVALID_ARGUMENT, "capacity is 10",
          longattn_scorer_losses(scorer, ids, IDS, NULL, losses, 10, &count, &error));
    double gain = NAN;
    SUCCEEDS(longattn_scorer_information_gain(scorer, ids, IDS, NULL, &gain, &error));
    CHECK(isfinite(gain));
    FAILS(TOO_SHORT, "", longattn_scorer_information_gain(scorer, ids, 20, NULL, &gain, &error));
    longattn_cancel *cancel = longattn_cancel_new();
    longattn_cancel_request(cancel);
    FAILS(CANCELLED, "", longattn_scorer_information_gain(scorer, ids, IDS, cancel, &gain, &error));
    FAILS(CANCELLED, "", longattn_scorer_losses(scorer, ids, IDS, cancel, losses, IDS, &count, &error));
    longattn_cancel_free(cancel);
    longattn_scorer_free(scorer);

    scorer = open_scorer(QUERY_KEY, NULL, NULL);
    FAILS(UNSUPPORTED, "--gain", longattn_scorer_information_gain(scorer, ids, IDS, NULL, &gain, &error));
    FAILS(UNSUPPORTED, "--gain", longattn_scorer_losses(scorer, ids, IDS, NULL, losses, IDS, &count, &error));
    longattn_scorer_free(scorer);
}

static void many_windows_are_scored_on_other_rows(void) {
    longattn_scorer *scorer = open_scorer(QUERY_KEY, "rows", "320");
    char *text = random_text(2048, 1);
    longattn_input input = {.text = text, .text_length = 2048};
    longattn_result few, all, more;
    SUCCEEDS(longattn_scorer_score_many(scorer, &input, 1, NULL, NULL, NULL, &few, &error));
    SUCCEEDS(longattn_scorer_score_many_on(scorer, 1000, &input, 1, NULL, NULL, NULL, &more, &error));
    SUCCEEDS(longattn_scorer_score_many_on(scorer, 0, &input, 1, NULL, NULL, NULL, &all, &error));
    CHECK(few.score.rows < more.score.rows && more.score.rows < 2048 && all.score.rows == 2048);
    CHECK(few.score.dependency_strength_error > 0 && all.score.dependency_strength_error == 0);
    free(text);
    longattn_scorer_free(scorer);
}

const struct test layer_tests[] = {
    {"each layer has a score", each_layer_has_a_score},
    {"the gain is a drop of losses", the_gain_is_a_drop_of_losses},
    {"many windows are scored on other rows", many_windows_are_scored_on_other_rows},
    {NULL, NULL},
};
