/* Does what `longattn run` does, with the same bytes as result.
 *
 *     run PACKAGE DIRECTORY [--SETTING VALUE]... INPUT...
 *
 * Inputs are files, folders, or - for standard input. Settings are those of docs/settings.md, such as --window 8192,
 * --ratio 0.1 or --earlier-results resume. Ctrl-C ends the work, which goes on from there with the last of these.
 *
 *     cc run.c -o run $(pkg-config --cflags --libs longattn)
 */

#include <longattn.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static longattn_cancel *cancel;

static void interrupted(int signal) {
    (void)signal;
    longattn_cancel_request(cancel);
}

/* Ends the program where a call failed. */
static void check(longattn_status status, longattn_error *const *error) {
    if (status == LONGATTN_STATUS_OK) return;
    fprintf(stderr, "%s\n", longattn_error_message(*error, NULL));
    exit(status == LONGATTN_STATUS_CANCELLED ? 130 : 1);
}

static void show_progress(const longattn_job_progress *progress, void *user_data) {
    static const char *const stages[] = {"reading", "refining", "scoring", "writing"};
    (void)user_data;
    double percent = progress->has_total && progress->total > 0 ? 100.0 * (double)progress->done / (double)progress->total : 0;
    fprintf(stderr, "\r%s %3.0f %%, %" PRIu64 " windows ", stages[progress->stage], percent, progress->windows);
}

static void show_reject(const longattn_reject *reject, void *user_data) {
    (void)user_data;
    fprintf(stderr, "\nrejected: %.*s:%" PRIu64 ": %.*s\n", (int)reject->file_length, reject->file, reject->line,
            (int)reject->reason_length, reject->reason);
}

static void show_notice(const char *notice, size_t length, void *user_data) {
    (void)user_data;
    fprintf(stderr, "\n%.*s\n", (int)length, notice);
}

/* Sets what a flag says, such as --min-distance 64. */
static void set(longattn_config *config, const char *flag, const char *value) {
    char key[64];
    size_t length = 0;
    for (flag += 2; *flag != '\0' && length < sizeof key; flag++) key[length++] = *flag == '-' ? '_' : *flag;
    longattn_error *error = NULL;
    check(longattn_config_set(config, key, length, value, strlen(value), &error), &error);
}

/* What became of everything, and of each category. */
static void show_result(const longattn_job *job, const longattn_summary *summary) {
    for (size_t index = 0; index < longattn_job_category_count(job); index++) {
        longattn_job_category category;
        longattn_error *error = NULL;
        check(longattn_job_category_get(job, index, &category, &error), &error);
        printf("%.*s: %" PRIu64 " of %" PRIu64 " windows\n", (int)category.name_length, category.name, category.selected,
               category.windows);
    }
    printf("%" PRIu64 " documents in windows, %" PRIu64 " too short, %" PRIu64 " rejected; %" PRIu64 " tokens selected\n",
           summary->documents_windowed, summary->documents_too_short, summary->records_rejected,
           summary->tokens_selected);
}

int main(int argc, char **argv) {
    longattn_config *config = longattn_config_new();
    longattn_path *inputs = calloc((size_t)argc, sizeof *inputs);
    size_t input_count = 0;
    for (int index = 3; index < argc; index++) {
        if (strncmp(argv[index], "--", 2) != 0) {
            inputs[input_count++] = (longattn_path){argv[index], strlen(argv[index])};
        } else if (index + 1 < argc) {
            set(config, argv[index], argv[index + 1]);
            index++;
        } else {
            input_count = 0;
        }
    }
    if (input_count == 0) {
        fprintf(stderr, "usage: run PACKAGE DIRECTORY [--SETTING VALUE]... INPUT...\n");
        return 2;
    }
    cancel = longattn_cancel_new();
    signal(SIGINT, interrupted);

    longattn_error *error = NULL;
    longattn_scorer *scorer = NULL;
    check(longattn_scorer_open(argv[1], strlen(argv[1]), config, &scorer, &error), &error);
    longattn_job *job = NULL;
    check(longattn_job_open(scorer, inputs, input_count, argv[2], strlen(argv[2]), config, &job, &error), &error);
    longattn_observer observer = {.progress = show_progress, .reject = show_reject, .notice = show_notice};
    longattn_summary summary;
    check(longattn_job_run(job, &observer, cancel, &summary, &error), &error);
    fprintf(stderr, "\n");
    show_result(job, &summary);

    longattn_job_free(job);
    longattn_scorer_free(scorer);
    longattn_cancel_free(cancel);
    longattn_config_free(config);
    free(inputs);
    return 0;
}
