/* Many threads on one scorer, and many scorers one after the other. */

#include "check.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>

enum { THREADS = 8, TEXTS = 20 };

static longattn_scorer *shared;
static char *texts[TEXTS];
static longattn_score alone[TEXTS];

static void *score_all(void *argument) {
    size_t first = *(size_t *)argument;
    for (size_t index = 0; index < TEXTS; index++) {
        size_t place = (first + index) % TEXTS;
        longattn_score score;
        SUCCEEDS(longattn_scorer_score_text(shared, TEXT(texts[place]), &score, &error));
        CHECK(same(score, alone[place]));
        FAILS(INVALID_UTF8, "at byte 1", longattn_scorer_score_text(shared, "a\xff", 2, &score, &error));
    }
    return NULL;
}

static void threads_share(const char *package) {
    shared = open_scorer(package, NULL, NULL);
    for (size_t index = 0; index < TEXTS; index++) {
        texts[index] = random_text(40 + 8 * index, (unsigned)index);
        SUCCEEDS(longattn_scorer_score_text(shared, TEXT(texts[index]), &alone[index], &error));
    }
    pthread_t threads[THREADS];
    size_t firsts[THREADS];
    for (size_t index = 0; index < THREADS; index++) {
        firsts[index] = 3 * index;
        CHECK(pthread_create(&threads[index], NULL, score_all, &firsts[index]) == 0);
    }
    for (size_t index = 0; index < THREADS; index++) CHECK(pthread_join(threads[index], NULL) == 0);
    for (size_t index = 0; index < TEXTS; index++) free(texts[index]);
    longattn_scorer_free(shared);
}

static void eight_threads_get_the_bits_of_one(void) {
    threads_share(QUERY_KEY);
    threads_share(ATTENTIONS);
}

/* Bytes that were allocated and not freed. What is resident moves by megabytes with what the arenas of threads keep. */
static long in_use(void) {
    struct mallinfo2 now = mallinfo2();
    return (long)(now.uordblks + now.hblkhd);
}

/* Every kind of object is made and freed. */
static void live_once(void) {
    longattn_scorer *scorer = open_scorer(QUERY_KEY, "threads", "2");
    longattn_text json;
    SUCCEEDS(longattn_scorer_describe(scorer, &json, &error));
    longattn_text_free(&json);
    longattn_windows *windows = NULL;
    SUCCEEDS(longattn_scorer_cut(scorer, TEXT("abcdefgh"), &windows, &error));
    longattn_windows_free(windows);

    longattn_score score;
    SUCCEEDS(longattn_scorer_score_text(scorer, TEXT("abcdefgh"), &score, &error));
    FAILS(TOO_SHORT, "1 tokens", longattn_scorer_score_text(scorer, TEXT("a"), &score, &error));
    longattn_input inputs[2] = {{.text = "abcd", .text_length = 4}, {.text = NULL}};
    longattn_result results[2];
    SUCCEEDS(longattn_scorer_score_many(scorer, inputs, 2, NULL, NULL, NULL, results, &error));
    longattn_results_free(results, 2);

    longattn_selector *selector = longattn_selector_new();
    SUCCEEDS(longattn_selector_add(selector, TEXT("a"), TEXT("b"), &score, &error));
    longattn_selection *selection = NULL;
    SUCCEEDS(longattn_selector_finish(selector, NULL, &selection, &error));
    longattn_selection_free(selection);
    longattn_selector_free(selector);
    longattn_scorer_free(scorer);
}

static void lives_leave_no_memory_behind(void) {
    int lives = brief() ? 2 : 10000;
    long early = 0;
    for (int life = 1; life <= lives; life++) {
        live_once();
        if (life == lives / 5) early = in_use();
    }
    long grown = in_use() - early;
    printf("  %d lives; the last four fifths kept %ld kB\n", lives, grown / 1000);
    /* ONNX Runtime and the tokenizers library keep some bytes of all that they ever opened: about 130 a life. */
    CHECK(brief() || grown < 400L * lives);
}

const struct test thread_tests[] = {
    {"eight threads get the bits of one", eight_threads_get_the_bits_of_one},
    {"lives leave no memory behind", lives_leave_no_memory_behind},
    {NULL, NULL},
};
