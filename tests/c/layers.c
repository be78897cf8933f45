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
    CHECK(layers[0].far_square_mass > 0 && layers[0].far_square_mass < layers[0].dependency_strength);
    CHECK(close_to((layers[0].far_square_mass + layers[1].far_square_mass) / 2, score.far_square_mass, 1e-12));
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

static void many_windows_tell_their_details(void) {
    enum { WINDOWS = 3, ROOM = 9 };
    longattn_scorer *scorer = open_scorer(DEEP, "profile", "true");
    size_t heads = longattn_scorer_head_count(scorer);
    CHECK(heads > 0 && heads <= ROOM);
    uint32_t ids[IDS];
    fill(ids);
    longattn_input inputs[WINDOWS] = {
        {.ids = ids, .id_count = IDS}, {.ids = ids, .id_count = 1}, {.ids = ids, .id_count = 40}};
    longattn_result results[WINDOWS];
    longattn_head_score of_heads[WINDOWS * ROOM], one[ROOM];
    longattn_layer_score of_layers[WINDOWS * 3];
    longattn_distance_profile profiles[WINDOWS], profile;
    longattn_details details = {.heads = of_heads, .head_capacity = ROOM, .layers = of_layers, .layer_capacity = 3};
    details.profiles = profiles;
    SUCCEEDS(longattn_scorer_score_many_details(scorer, &details, inputs, WINDOWS, NULL, NULL, NULL, results, &error));
    CHECK(results[1].status == LONGATTN_STATUS_TOO_SHORT);
    CHECK(of_heads[ROOM].proportion == 0 && profiles[1].bucket_count == 0);
    for (size_t index = 0; index < WINDOWS; index += 2) {
        longattn_score score;
        SUCCEEDS(longattn_scorer_score(scorer, &inputs[index], NULL, one, ROOM, &score, &error));
        SUCCEEDS(longattn_scorer_score_profile(scorer, &inputs[index], NULL, &profile, NULL, &error));
        CHECK(same(score, results[index].score));
        CHECK(memcmp(one, of_heads + index * ROOM, heads * sizeof *one) == 0);
        CHECK(memcmp(&profile, &profiles[index], sizeof profile) == 0);
        CHECK(close_to((of_layers[index * 3].far_square_mass + of_layers[index * 3 + 1].far_square_mass) / 2,
                       score.far_square_mass, 1e-12));
        CHECK(of_layers[index * 3 + 1].layer == 2 && of_layers[index * 3 + 2].dependency_strength == 0);
    }
    longattn_results_free(results, WINDOWS);

    longattn_details none = {0}, small = {.heads = of_heads, .head_capacity = 1}, later = {.reserved = {of_heads}};
    SUCCEEDS(longattn_scorer_score_many_details(scorer, &none, inputs, 1, NULL, NULL, NULL, results, &error));
    FAILS(INVALID_ARGUMENT, "details is NULL",
          longattn_scorer_score_many_details(scorer, NULL, inputs, 1, NULL, NULL, NULL, results, &error));
    FAILS(INVALID_ARGUMENT, "head_capacity is 1",
          longattn_scorer_score_many_details(scorer, &small, inputs, 1, NULL, NULL, NULL, results, &error));
    FAILS(INVALID_ARGUMENT, "reserved",
          longattn_scorer_score_many_details(scorer, &later, inputs, 1, NULL, NULL, NULL, results, &error));
    longattn_scorer_free(scorer);

    scorer = open_scorer(BARE, NULL, NULL);
    longattn_details layers = {.layers = of_layers, .layer_capacity = 3}, shares = {.profiles = profiles};
    FAILS(UNSUPPORTED, "does not tell",
          longattn_scorer_score_many_details(scorer, &layers, inputs, 1, NULL, NULL, NULL, results, &error));
    FAILS(INVALID_SETTING, "profile",
          longattn_scorer_score_many_details(scorer, &shares, inputs, 1, NULL, NULL, NULL, results, &error));
    longattn_scorer_free(scorer);
}

static void the_command_gives_its_status(void) {
    char name[] = "longattn", version[] = "--version", wrong[] = "--no-such-flag";
    char inspect[] = "inspect", nowhere[] = "nowhere";
    CHECK(longattn_main(2, (char *[]){name, version, NULL}) == 0);
    CHECK(longattn_main(2, (char *[]){name, wrong, NULL}) == 2);
    CHECK(longattn_main(3, (char *[]){name, inspect, nowhere, NULL}) == 1);
    CHECK(longattn_main(0, NULL) == 2);
}

const struct test layer_tests[] = {
    {"each layer has a score", each_layer_has_a_score},
    {"the gain is a drop of losses", the_gain_is_a_drop_of_losses},
    {"many windows are scored on other rows", many_windows_are_scored_on_other_rows},
    {"many windows tell their details", many_windows_tell_their_details},
    {"the command gives its status", the_command_gives_its_status},
    {NULL, NULL},
};
