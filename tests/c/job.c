/* The whole job on a corpus. */

#include "check.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A directory of its own for each test, with what is in it. */
static char root[64];

static const char *in_root(const char *name) {
    static char paths[4][512];
    static int next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", root, name);
    return path;
}

static void remove_all(const char *path) {
    DIR *directory = opendir(path);
    if (directory == NULL) {
        unlink(path);
        return;
    }
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char inner[1024];
        snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
        remove_all(inner);
    }
    closedir(directory);
    rmdir(path);
}

static void begin(void) {
    strcpy(root, "/tmp/longattn-job-XXXXXX");
    CHECK(mkdtemp(root) != NULL);
}

static void end(void) { remove_all(root); }

/* Documents of `length` letters, and two records that cannot be used. */
static void write_corpus(const char *name, int documents, size_t length) {
    FILE *file = fopen(in_root(name), "w");
    CHECK(file != NULL);
    for (int number = 0; number < documents; number++) {
        char *text = random_text(length, (unsigned)number);
        fprintf(file, "{\"id\": \"d%d\", \"text\": \"%s\"}\n", number, text);
        free(text);
    }
    fprintf(file, "no object\n{\"id\": \"empty\"}\n");
    CHECK(fclose(file) == 0);
}

static longattn_config *settings(const char *earlier_results) {
    longattn_config *config = config_with("window", "50");
    SUCCEEDS(longattn_config_set(config, TEXT("earlier_results"), TEXT(earlier_results), &error));
    return config;
}

static longattn_scorer *small_scorer(void) { return open_scorer(QUERY_KEY, "window", "50"); }

static longattn_status open_job(longattn_scorer *scorer, const char *input, const longattn_config *config,
                                longattn_job **job, longattn_error **error) {
    longattn_path path = {TEXT(in_root(input))};
    return longattn_job_open(scorer, &path, 1, TEXT(in_root("result")), config, job, error);
}

static longattn_job *opened(longattn_scorer *scorer, const char *input, const char *earlier_results) {
    longattn_job *job = NULL;
    longattn_config *config = settings(earlier_results);
    SUCCEEDS(open_job(scorer, input, config, &job, &error));
    longattn_config_free(config);
    return job;
}

/* What the callbacks were told. */
struct told {
    int progress, rejects, notices;
    uint64_t windows;
    char last_reject[256];
    longattn_cancel *cancel_at_progress;
};

static void on_progress(const longattn_job_progress *progress, void *user_data) {
    struct told *told = user_data;
    told->progress++;
    told->windows = progress->windows;
    CHECK(progress->stage >= LONGATTN_STAGE_READING && progress->stage <= LONGATTN_STAGE_WRITING);
    CHECK(!progress->has_total || progress->done <= progress->total);
    if (progress->windows > 3000) longattn_cancel_request(told->cancel_at_progress);
}

static void on_reject(const longattn_reject *reject, void *user_data) {
    struct told *told = user_data;
    told->rejects++;
    snprintf(told->last_reject, sizeof told->last_reject, "%.*s:%d:%.*s:%.*s", (int)reject->file_length, reject->file,
             (int)reject->line, (int)reject->id_length, reject->id == NULL ? "" : reject->id,
             (int)reject->reason_length, reject->reason);
    CHECK(reject->record_length > 0 && reject->record != NULL);
}

static void on_notice(const char *notice, size_t length, void *user_data) {
    ((struct told *)user_data)->notices++;
    CHECK(notice != NULL && length > 0);
}

static longattn_observer observer_of(struct told *told) {
    return (longattn_observer){
        .progress = on_progress, .reject = on_reject, .notice = on_notice, .user_data = told};
}

static int lines_of(const char *name) {
    char *text = read_file(in_root(name));
    int lines = 0;
    for (const char *at = text; *at != '\0'; at++) lines += *at == '\n';
    free(text);
    return lines;
}

static void a_job_writes_scores_and_selection(void) {
    begin();
    write_corpus("corpus.jsonl", 12, 120);
    longattn_scorer *scorer = small_scorer();
    longattn_job *job = opened(scorer, "corpus.jsonl", "refuse");
    /* The job keeps what it needs. */
    longattn_scorer_free(scorer);
    longattn_summary summary;
    SUCCEEDS(longattn_job_summary(job, &summary, &error));
    CHECK(summary.windows == 0 && longattn_job_category_count(job) == 0);

    struct told told = {0};
    longattn_observer observer = observer_of(&told);
    SUCCEEDS(longattn_job_run(job, &observer, NULL, &summary, &error));
    /* 120 tokens by 50 are a window from the front, the middle and the back. */
    CHECK(summary.documents_windowed == 12 && summary.windows == 36 && summary.windows_selected == 9);
    CHECK(summary.records_rejected == 2 && summary.windows_rejected == 0 && summary.files_rejected == 0);
    CHECK(summary.tokens_selected == 9 * 50 && summary.tokens_scored == 36 * 50 && summary.longest_document == 120);
    CHECK(summary.calls == 1 && summary.seconds > 0 && summary.windows_known == 0);
    CHECK(lines_of("result/scores.jsonl") == 36 && lines_of("result/selected.jsonl") == 9);
    CHECK(lines_of("result/rejects.jsonl") == 2);
    CHECK(told.rejects == 2 && told.progress > 0);
    CHECK(strstr(told.last_reject, "corpus.jsonl:14:empty:") != NULL && strstr(told.last_reject, "text") != NULL);

    longattn_job_category category;
    CHECK(longattn_job_category_count(job) == 1);
    SUCCEEDS(longattn_job_category_get(job, 0, &category, &error));
    CHECK(category.name_length == 6 && memcmp(category.name, "corpus", 6) == 0);
    CHECK(category.windows == 36 && category.selected == 9);
    FAILS(INVALID_ARGUMENT, "there is no category 1", longattn_job_category_get(job, 1, &category, &error));

    longattn_summary again;
    SUCCEEDS(longattn_job_summary(job, &again, &error));
    CHECK(again.windows_selected == 9);
    longattn_job_free(job);
    end();
}

static void another_selection_scores_nothing(void) {
    begin();
    write_corpus("corpus.jsonl", 12, 120);
    longattn_scorer *scorer = small_scorer();
    longattn_job *job = opened(scorer, "corpus.jsonl", "refuse");
    longattn_summary first, second;
    SUCCEEDS(longattn_job_score(job, NULL, NULL, &first, &error));
    CHECK(first.windows == 36 && first.windows_selected == 0 && access(in_root("result/selected.jsonl"), F_OK) != 0);
    SUCCEEDS(longattn_job_select(job, NULL, NULL, NULL, NULL, &error));
    CHECK(lines_of("result/selected.jsonl") == 9);
    longattn_config *config = config_with("count", "4");
    SUCCEEDS(longattn_job_select(job, config, NULL, NULL, &second, &error));
    CHECK(second.windows_selected == 4 && second.tokens_scored == first.tokens_scored);
    CHECK(lines_of("result/selected.jsonl") == 4);
    SUCCEEDS(longattn_config_set(config, TEXT("ratio"), TEXT("0.5"), &error));
    FAILS(INVALID_SETTING, "only one of", longattn_job_select(job, config, NULL, NULL, &second, &error));
    longattn_config_free(config);
    longattn_job_free(job);
    longattn_scorer_free(scorer);
    end();
}

static void shards_give_what_one_job_gives(void) {
    begin();
    write_corpus("corpus.jsonl", 12, 120);
    longattn_scorer *scorer = small_scorer();
    longattn_job *job = opened(scorer, "corpus.jsonl", "refuse");
    longattn_summary one, merged;
    SUCCEEDS(longattn_job_run(job, NULL, NULL, &one, &error));
    longattn_job_free(job);
    char directories[2][512];
    longattn_path shards[2];
    for (int number = 0; number < 2; number++) {
        snprintf(directories[number], sizeof directories[number], "%s/shard-%d", root, number);
        shards[number] = (longattn_path){TEXT(directories[number])};
        longattn_config *config = settings("refuse");
        SUCCEEDS(longattn_config_set(config, TEXT("shard"), TEXT(number == 0 ? "1/2" : "2/2"), &error));
        longattn_path input = {TEXT(in_root("corpus.jsonl"))};
        SUCCEEDS(longattn_job_open(scorer, &input, 1, TEXT(directories[number]), config, &job, &error));
        SUCCEEDS(longattn_job_run(job, NULL, NULL, NULL, &error));
        longattn_job_free(job);
        longattn_config_free(config);
    }
    const char *output = in_root("selection");
    FAILS(INVALID_ARGUMENT, "shard 2/2 is missing",
          longattn_results_select(shards, 1, TEXT(output), NULL, NULL, NULL, &merged, &error));
    SUCCEEDS(longattn_results_select(shards, 2, TEXT(output), NULL, NULL, NULL, &merged, &error));
    CHECK(merged.windows == one.windows && merged.windows_selected == one.windows_selected);
    CHECK(lines_of("selection/selected.jsonl") == 9 && lines_of("selection/rejects.jsonl") == 2);
    longattn_config *config = config_with("filter", "token_count < 50");
    SUCCEEDS(longattn_results_select(shards, 2, TEXT(output), config, NULL, NULL, &merged, &error));
    CHECK(merged.windows_filtered == 36 && merged.windows_selected == 0);
    longattn_config_free(config);
    longattn_scorer_free(scorer);
    end();
}

static void a_cancelled_job_goes_on(void) {
    begin();
    write_corpus("corpus.jsonl", 4000, 120);
    longattn_scorer *scorer = small_scorer();
    longattn_job *job = opened(scorer, "corpus.jsonl", "refuse");
    struct told told = {.cancel_at_progress = longattn_cancel_new()};
    longattn_observer observer = observer_of(&told);
    longattn_summary summary = {.windows = 77};
    FAILS(CANCELLED, "cancelled", longattn_job_run(job, &observer, told.cancel_at_progress, &summary, &error));
    CHECK(summary.windows == 77 && access(in_root("result/selected.jsonl"), F_OK) != 0);
    longattn_job_free(job);
    longattn_cancel_free(told.cancel_at_progress);

    longattn_config *config = settings("refuse");
    longattn_job *refused = NULL;
    FAILS(INVALID_ARGUMENT, "has results already", open_job(scorer, "corpus.jsonl", config, &refused, &error));
    longattn_config_free(config);
    job = opened(scorer, "corpus.jsonl", "resume");
    SUCCEEDS(longattn_job_run(job, NULL, NULL, &summary, &error));
    CHECK(summary.windows == 12000 && summary.windows_known > 0 && summary.windows_known < 12000);
    CHECK(summary.tokens_scored >= (12000 - summary.windows_known) * 50);
    longattn_job_free(job);

    /* The same bytes as without the interruption. */
    char *interrupted = read_file(in_root("result/selected.jsonl"));
    job = opened(scorer, "corpus.jsonl", "overwrite");
    SUCCEEDS(longattn_job_run(job, NULL, NULL, &summary, &error));
    char *whole = read_file(in_root("result/selected.jsonl"));
    CHECK(summary.windows_known == 0 && strcmp(interrupted, whole) == 0);
    free(interrupted);
    free(whole);
    longattn_job_free(job);
    longattn_scorer_free(scorer);
    end();
}

static void asked_before_it_begins_a_job_does_nothing(void) {
    begin();
    write_corpus("corpus.jsonl", 12, 120);
    longattn_scorer *scorer = small_scorer();
    longattn_job *job = opened(scorer, "corpus.jsonl", "refuse");
    longattn_cancel *cancel = longattn_cancel_new();
    longattn_cancel_request(cancel);
    FAILS(CANCELLED, "cancelled", longattn_job_run(job, NULL, cancel, NULL, &error));
    CHECK(access(in_root("result/scores.jsonl"), F_OK) != 0);
    longattn_cancel_free(cancel);
    SUCCEEDS(longattn_job_run(job, NULL, NULL, NULL, &error));
    CHECK(lines_of("result/scores.jsonl") == 36);
    longattn_job_free(job);
    longattn_scorer_free(scorer);
    end();
}

static void a_directory_has_one_owner(void) {
    begin();
    write_corpus("corpus.jsonl", 12, 120);
    longattn_scorer *scorer = small_scorer();
    longattn_job *job = opened(scorer, "corpus.jsonl", "refuse"), *other = NULL;
    longattn_config *config = settings("overwrite");
    FAILS(IO, "at work in", open_job(scorer, "corpus.jsonl", config, &other, &error));
    SUCCEEDS(longattn_job_run(job, NULL, NULL, NULL, &error));
    FAILS(IO, "at work in", open_job(scorer, "corpus.jsonl", config, &other, &error));
    CHECK(other == NULL && lines_of("result/scores.jsonl") == 36);
    longattn_job_free(job);
    SUCCEEDS(open_job(scorer, "corpus.jsonl", config, &other, &error));
    longattn_job_free(other);
    longattn_config_free(config);
    longattn_scorer_free(scorer);
    end();
}

/* What a child does with what it inherited does not touch its parent's. */
static void a_child_leaves_its_parents_job_alone(void) {
    if (brief()) return;
    begin();
    write_corpus("corpus.jsonl", 12, 120);
    longattn_scorer *scorer = small_scorer();
    longattn_job *job = opened(scorer, "corpus.jsonl", "refuse"), *other = NULL;
    longattn_config *config = settings("overwrite");
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(30);
        longattn_error *error = NULL;
        bool refused = longattn_job_run(job, NULL, NULL, NULL, &error) != LONGATTN_STATUS_OK;
        longattn_error_free(error);
        longattn_job_free(job);
        _exit(refused ? 0 : 1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    FAILS(IO, "at work in", open_job(scorer, "corpus.jsonl", config, &other, &error));
    SUCCEEDS(longattn_job_run(job, NULL, NULL, NULL, &error));
    longattn_job_free(job);
    longattn_config_free(config);
    longattn_scorer_free(scorer);
    end();
}

static void what_changed_is_refused(void) {
    begin();
    write_corpus("corpus.jsonl", 12, 120);
    longattn_scorer *scorer = small_scorer();
    longattn_job *job = opened(scorer, "corpus.jsonl", "refuse");
    SUCCEEDS(longattn_job_run(job, NULL, NULL, NULL, &error));
    longattn_job_free(job);
    longattn_scorer *wider = open_scorer(QUERY_KEY, "window", "60");
    longattn_config *config = settings("resume");
    FAILS(INVALID_ARGUMENT, "window was 50 and is 60", open_job(wider, "corpus.jsonl", config, &job, &error));
    longattn_config_free(config);
    longattn_scorer_free(wider);
    longattn_scorer_free(scorer);
    end();
}

static void wrong_jobs_are_refused(void) {
    begin();
    write_corpus("corpus.jsonl", 2, 120);
    longattn_scorer *scorer = small_scorer();
    longattn_job *job = NULL;
    longattn_path inputs[1] = {{TEXT(in_root("corpus.jsonl"))}}, nowhere[1] = {{TEXT("/no/such/file")}};
    const char *result = in_root("result");
    FAILS(INVALID_ARGUMENT, "scorer is NULL", longattn_job_open(NULL, inputs, 1, TEXT(result), NULL, &job, &error));
    FAILS(INVALID_ARGUMENT, "inputs is NULL", longattn_job_open(scorer, NULL, 1, TEXT(result), NULL, &job, &error));
    FAILS(INVALID_ARGUMENT, "no input", longattn_job_open(scorer, NULL, 0, TEXT(result), NULL, &job, &error));
    FAILS(INVALID_ARGUMENT, "directory is NULL", longattn_job_open(scorer, inputs, 1, NULL, 1, NULL, &job, &error));
    FAILS(INVALID_ARGUMENT, "job is NULL", longattn_job_open(scorer, inputs, 1, TEXT(result), NULL, NULL, &error));
    FAILS(IO, "/no/such/file", longattn_job_open(scorer, nowhere, 1, TEXT(result), NULL, &job, &error));
    CHECK(job == NULL && access(result, F_OK) != 0);

    longattn_summary summary;
    FAILS(INVALID_ARGUMENT, "job is NULL", longattn_job_run(NULL, NULL, NULL, NULL, &error));
    FAILS(INVALID_ARGUMENT, "job is NULL", longattn_job_score(NULL, NULL, NULL, NULL, &error));
    FAILS(INVALID_ARGUMENT, "job is NULL", longattn_job_select(NULL, NULL, NULL, NULL, NULL, &error));
    FAILS(INVALID_ARGUMENT, "job is NULL", longattn_job_summary(NULL, &summary, &error));
    CHECK(longattn_job_category_count(NULL) == 0);
    SUCCEEDS(longattn_job_open(scorer, inputs, 1, TEXT(result), NULL, &job, &error));
    FAILS(INVALID_ARGUMENT, "summary is NULL", longattn_job_summary(job, NULL, &error));
    longattn_observer unknown = {.reserved = {job}};
    FAILS(INVALID_ARGUMENT, "reserved", longattn_job_run(job, &unknown, NULL, NULL, &error));
    longattn_job_free(job);
    longattn_job_free(NULL);

    /* One bad record is enough where on_error is fail. */
    longattn_config *config = settings("overwrite");
    SUCCEEDS(longattn_config_set(config, TEXT("on_error"), TEXT("fail"), &error));
    SUCCEEDS(longattn_job_open(scorer, inputs, 1, TEXT(result), config, &job, &error));
    FAILS(INVALID_RECORD, "corpus.jsonl:3", longattn_job_run(job, NULL, NULL, NULL, &error));
    longattn_job_free(job);
    longattn_config_free(config);
    longattn_scorer_free(scorer);
    end();
}

/* An adaptive job's own rounds, done by hand: the scores that are still in doubt are computed on all rows. */
static void rounds_by_hand_end_without_doubt(void) {
    enum { WINDOWS = 12, LENGTH = 4096 };
    int length = brief() ? 1024 : LENGTH;
    char window[16];
    snprintf(window, sizeof window, "%d", length);
    longattn_config *config = config_with("window", window);
    SUCCEEDS(longattn_config_set(config, TEXT("rows"), TEXT("320"), &error));
    longattn_scorer *sampled = NULL;
    SUCCEEDS(longattn_scorer_open(TEXT(QUERY_KEY), config, &sampled, &error));
    SUCCEEDS(longattn_config_set(config, TEXT("rows"), TEXT("all"), &error));
    longattn_scorer *exact = NULL;
    SUCCEEDS(longattn_scorer_open(TEXT(QUERY_KEY), config, &exact, &error));

    longattn_selector *selector = longattn_selector_new();
    longattn_score scores[WINDOWS];
    char *texts[WINDOWS];
    for (size_t index = 0; index < WINDOWS; index++) {
        texts[index] = random_text((size_t)length, (unsigned)index);
        SUCCEEDS(longattn_scorer_score_text(sampled, TEXT(texts[index]), &scores[index], &error));
        CHECK(scores[index].dependency_strength_error > 0);
        char id[8];
        snprintf(id, sizeof id, "w%zu", index);
        SUCCEEDS(longattn_selector_add(selector, TEXT(id), TEXT("books"), &scores[index], &error));
    }
    size_t doubted[WINDOWS], count = 0, rounds = 0;
    for (;; rounds++) {
        SUCCEEDS(longattn_selector_in_doubt(selector, scores, NULL, NULL, doubted, &count, &error));
        if (count == 0) break;
        for (size_t place = 0; place < count; place++) {
            size_t ordinal = doubted[place];
            CHECK(ordinal < WINDOWS && scores[ordinal].dependency_strength_error > 0);
            SUCCEEDS(longattn_scorer_score_text(exact, TEXT(texts[ordinal]), &scores[ordinal], &error));
            SUCCEEDS(longattn_selector_rescore(selector, ordinal, &scores[ordinal], &error));
        }
    }
    CHECK(rounds > 0);

    FAILS(INVALID_ARGUMENT, "there is no window 12", longattn_selector_rescore(selector, 12, &scores[0], &error));
    FAILS(INVALID_ARGUMENT, "scores is NULL",
          longattn_selector_in_doubt(selector, NULL, NULL, NULL, doubted, &count, &error));
    longattn_cancel *cancel = longattn_cancel_new();
    longattn_cancel_request(cancel);
    scores[0].dependency_strength_error = 1;
    FAILS(CANCELLED, "cancelled", longattn_selector_in_doubt(selector, scores, NULL, cancel, doubted, &count, &error));
    longattn_cancel_free(cancel);
    for (size_t index = 0; index < WINDOWS; index++) free(texts[index]);
    longattn_selector_free(selector);
    longattn_scorer_free(sampled);
    longattn_scorer_free(exact);
    longattn_config_free(config);
}

/* Documents of `length` words, which the tokenizer of the deeper package knows, and a record that cannot be used. */
static void write_words(const char *name, int documents, int length) {
    FILE *file = fopen(in_root(name), "w");
    CHECK(file != NULL);
    unsigned seed = 1;
    for (int number = 0; number < documents; number++) {
        fprintf(file, "{\"id\": \"d%d\", \"text\": \"", number);
        for (int word = 0; word < length; word++) {
            seed = seed * 1664525u + 1013904223u;
            fprintf(file, "w%u ", (seed >> 16) % 40);
        }
        fprintf(file, "\"}\n");
    }
    fprintf(file, "no object\n");
    CHECK(fclose(file) == 0);
}

static void a_calibration_names_a_layer(void) {
    begin();
    write_words("corpus.jsonl", 40, 300);
    longattn_config *config = config_with("window", "64");
    longattn_scorer *scorer = NULL;
    SUCCEEDS(longattn_scorer_open(TEXT(DEEP), config, &scorer, &error));
    SUCCEEDS(longattn_config_set(config, TEXT("calibration_windows"), TEXT("20"), &error));
    longattn_path input = {TEXT(in_root("corpus.jsonl"))};
    const char *result = in_root("result");
    longattn_calibration *calibration = NULL;
    SUCCEEDS(longattn_calibration_open(scorer, &input, 1, TEXT(result), config, &calibration, &error));
    longattn_scorer_free(scorer);
    struct told told = {0};
    longattn_observer observer = observer_of(&told);
    longattn_text json;
    SUCCEEDS(longattn_calibration_run(calibration, &observer, NULL, &json, &error));
    CHECK(strstr(json.data, "\"verdict\"") != NULL && told.rejects == 1 && told.progress > 0);
    longattn_text_free(&json);
    longattn_cancel *cancel = longattn_cancel_new();
    longattn_cancel_request(cancel);
    FAILS(CANCELLED, "", longattn_calibration_run(calibration, NULL, cancel, NULL, &error));
    longattn_cancel_free(cancel);
    CHECK(access(in_root("result/calibration.json"), F_OK) == 0);
    longattn_calibration_free(calibration);
    longattn_calibration_free(NULL);
    longattn_config_free(config);
    end();
}

static void names_follow_the_rules_of_a_job(void) {
    longattn_text text;
    SUCCEEDS(longattn_window_id(TEXT("books.jsonl:3"), 12, &text, &error));
    CHECK(strcmp(text.data, "books.jsonl:3#12") == 0);
    longattn_text_free(&text);
    SUCCEEDS(longattn_category_of(TEXT("/corpus/books.v2.jsonl.gz"), &text, &error));
    CHECK(strcmp(text.data, "books.v2") == 0);
    longattn_text_free(&text);
    SUCCEEDS(longattn_category_of(TEXT("/corpus/books.v2/"), &text, &error));
    CHECK(strcmp(text.data, "books.v2") == 0);
    longattn_text_free(&text);
    FAILS(INVALID_UTF8, "document", longattn_window_id("\xff", 1, 0, &text, &error));
    FAILS(INVALID_ARGUMENT, "category is NULL", longattn_category_of(TEXT("a"), NULL, &error));
}

const struct test job_tests[] = {
    {"a job writes scores and selection", a_job_writes_scores_and_selection},
    {"another selection scores nothing", another_selection_scores_nothing},
    {"shards give what one job gives", shards_give_what_one_job_gives},
    {"a cancelled job goes on", a_cancelled_job_goes_on},
    {"asked before it begins a job does nothing", asked_before_it_begins_a_job_does_nothing},
    {"a directory has one owner", a_directory_has_one_owner},
    {"a child leaves its parent's job alone", a_child_leaves_its_parents_job_alone},
    {"what changed is refused", what_changed_is_refused},
    {"wrong jobs are refused", wrong_jobs_are_refused},
    {"rounds by hand end without doubt", rounds_by_hand_end_without_doubt},
    {"a calibration names a layer", a_calibration_names_a_layer},
    {"names follow the rules of a job", names_follow_the_rules_of_a_job},
    {NULL, NULL},
};
