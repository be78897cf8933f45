/* What a child made by fork() may do with what it inherited. */

#include "check.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SECONDS = 20 };

static longattn_scorer *inherited;
static char *text;
static longattn_score expected;

/* Runs a test in a child, which must end soon and well. */
static void in_child(void (*run)(void)) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(SECONDS);
        run();
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void use_inherited(void) {
    longattn_score score;
    longattn_tokens *tokens;
    longattn_windows *windows;
    longattn_input input = {.text = text, .text_length = strlen(text)};
    longattn_result results[1];
    FAILS(RUNTIME, "open the package again", longattn_scorer_score_text(inherited, TEXT(text), &score, &error));
    FAILS(RUNTIME, "open the package again", longattn_scorer_score(inherited, &input, NULL, NULL, 0, &score, &error));
    FAILS(RUNTIME, "open the package again", longattn_scorer_tokenize(inherited, TEXT(text), &tokens, &error));
    FAILS(RUNTIME, "open the package again", longattn_scorer_cut(inherited, TEXT(text), &windows, &error));
    SUCCEEDS(longattn_scorer_score_many(inherited, &input, 1, NULL, NULL, NULL, results, &error));
    CHECK(results[0].status == LONGATTN_STATUS_RUNTIME);
    longattn_results_free(results, 1);
    CHECK(longattn_scorer_head_count(inherited) == 4);
}

static void free_inherited(void) { longattn_scorer_free(inherited); }

static void open_anew(void) {
    longattn_scorer *scorer = open_scorer(QUERY_KEY, NULL, NULL);
    longattn_score score;
    SUCCEEDS(longattn_scorer_score_text(scorer, TEXT(text), &score, &error));
    CHECK(same(score, expected));
    longattn_scorer_free(scorer);
}

static void score_map(void) {
    const float map[] = {1, 0, 0.5f, 0.5f};
    longattn_score score;
    SUCCEEDS(longattn_score_map(map, 1, 2, NULL, NULL, 0, &score, &error));
}

static void children_open_again(void) {
    /* A memory checker counts what a child leaves to its parent as lost. */
    if (brief()) return;
    text = random_text(60, 1);
    inherited = open_scorer(QUERY_KEY, NULL, NULL);
    SUCCEEDS(longattn_scorer_score_text(inherited, TEXT(text), &expected, &error));
    score_map();
    in_child(use_inherited);
    in_child(free_inherited);
    in_child(open_anew);
    in_child(score_map);
    longattn_score score;
    SUCCEEDS(longattn_scorer_score_text(inherited, TEXT(text), &score, &error));
    CHECK(same(score, expected));
    longattn_scorer_free(inherited);
    free(text);
}

const struct test fork_tests[] = {
    {"children open again", children_open_again},
    {NULL, NULL},
};
