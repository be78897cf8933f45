/*
 * longattn.h: scores long documents by how far and how evenly a language model's attention reaches back, and selects
 * the best for long-context training, by the method LongAttn (arXiv 2502.16860).
 *
 * The whole job, from documents and a model on disk to the best windows of each category:
 *
 *     #include <longattn.h>
 *     #include <stdio.h>
 *     #include <string.h>
 *
 *     static int fail(longattn_error *error) {
 *         fprintf(stderr, "%s\n", longattn_error_message(error, NULL));
 *         longattn_error_free(error);
 *         return 1;
 *     }
 *
 *     int main(int argc, char **argv) {
 *         if (argc != 4) return 2;
 *         longattn_error *error = NULL;
 *         longattn_config *config = longattn_config_new();
 *         if (longattn_config_set(config, "window", 6, "1024", 4, &error)) return fail(error);
 *
 *         longattn_scorer *scorer = NULL;
 *         if (longattn_scorer_open(argv[1], strlen(argv[1]), config, &scorer, &error)) return fail(error);
 *         longattn_config_free(config);
 *
 *         longattn_path input = {argv[2], strlen(argv[2])};
 *         longattn_job *job = NULL;
 *         if (longattn_job_open(scorer, &input, 1, argv[3], strlen(argv[3]), NULL, &job, &error)) return fail(error);
 *         longattn_summary summary;
 *         if (longattn_job_run(job, NULL, NULL, &summary, &error)) return fail(error);
 *         printf("%d of %d windows selected\n", (int)summary.windows_selected, (int)summary.windows);
 *
 *         longattn_job_free(job);
 *         longattn_scorer_free(scorer);
 *         return 0;
 *     }
 *
 * It is built with cc example.c $(pkg-config --cflags --libs longattn). ONNX Runtime, which runs the model, is loaded when
 * the first scorer is opened: from the setting onnxruntime, the variable ORT_DYLIB_PATH, the directory of
 * liblongattn.so, the system's loader, or the package onnxruntime of the Python on the PATH, in this order.
 *
 * What it computes. A window is a run of tokens of one document. A token's attention goes far where it goes to a
 * token at least min_distance places back that is not among the first sink_tokens of the window. The dependency
 * strength DS of a window is the mean share of attention that goes far, the distribution uniformity DU is minus the
 * variance of that attention, and the long-distance dependency score LDS weighs both against the other windows of a
 * category, which must be of one length to compare. All counts of length are in tokens, or in bytes where the name
 * says so.
 *
 * Errors. Every function that can fail returns a longattn_status, LONGATTN_STATUS_OK (0) on success, and takes as last
 * argument a place for a longattn_error, which may be NULL. The place is written to on failure only, and what it held
 * before is not freed. Other outputs are written to on success only: a failed call changes nothing. There is no state
 * of the thread or the process, so the caller may change threads between calls. Every function gives
 * LONGATTN_STATUS_INVALID_ARGUMENT for NULL where its description does not allow it, for a typed pointer that is not
 * aligned, and for a length that no memory can have; LONGATTN_STATUS_INVALID_UTF8 for text that is not UTF-8; and
 * LONGATTN_STATUS_INTERNAL for a bug in the library, which it survives. When the system refuses memory, the process ends.
 *
 * Text and arrays are a pointer and a length, in bytes for text, and elements for arrays. Text need not be NUL-terminated
 * and may hold NULs. NULL with a length of 0 is the empty one. The library reads them during the call and keeps no
 * pointer to them. Inputs of one call may overlap each other.
 *
 * Ownership. What a function gives through a pointer to a pointer, or returns as a pointer that is not const, is the
 * caller's, who gives it to the function named _free for its type, once, from any thread, when no other call uses it.
 * Freeing NULL does nothing. What is returned as a const pointer belongs to the object that was asked, and lives as
 * long, or for ever where that is said. No object needs another that it was made from: they may be freed in any order.
 *
 * Threads. An object may be moved from thread to thread. Any threads may call functions that take a const pointer to it
 * at once; a function that takes another pointer to it needs it alone while it runs. Breaking this rule, or using an
 * object that was freed, is undefined: the library cannot see it. After fork() the child must not use what was made
 * before it, because the threads of a scorer stay with the parent. Functions with callbacks say where these run; a
 * callback must not be left by a C++ exception or longjmp().
 *
 * Versions. Structs never change size and functions never change meaning while LONGATTN_ABI_VERSION stays; new
 * functions, settings and statuses may come. New settings need no new function.
 */

#ifndef LONGATTN_H
#define LONGATTN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * The version of the ABI that this header describes: the minor number of the library's version before 1.0, and 100 times the
 * major number from then on. It changes, and the library's SONAME with it, when a program that was built with this header would
 * have to be built again.
 */
#define LONGATTN_ABI_VERSION 1

/**
 * Buckets that a distance profile has room for. They are enough for windows of any length: the last holds whatever is
 * farther than those before it reach.
 */
#define LONGATTN_DISTANCE_BUCKETS 32

/**
 * Reading the corpus and scoring its windows; the amount is bytes of the input files as they are on disk.
 */
#define LONGATTN_STAGE_READING 0

/**
 * Scoring windows in doubt on more rows; the amount is tokens.
 */
#define LONGATTN_STAGE_REFINING 1

/**
 * Scoring the windows of a calibration; the amount is tokens.
 */
#define LONGATTN_STAGE_SCORING 2

/**
 * Looking up the texts of what was selected; the amount is windows.
 */
#define LONGATTN_STAGE_WRITING 3

/**
 * Log nothing.
 */
#define LONGATTN_LOG_OFF 0

/**
 * Something failed.
 */
#define LONGATTN_LOG_ERROR 1

/**
 * Something is not as it should be, such as windows longer than the model was trained for.
 */
#define LONGATTN_LOG_WARN 2

/**
 * What the library does.
 */
#define LONGATTN_LOG_INFO 3

/**
 * For those who look for a fault.
 */
#define LONGATTN_LOG_DEBUG 4

/**
 * Everything.
 */
#define LONGATTN_LOG_TRACE 5

/**
 * What went wrong, for a program to act on. The numbers are part of the C ABI and never change.
 */
enum longattn_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  /**
   * The call did all that it should.
   */
  LONGATTN_STATUS_OK = 0,
  /**
   * An argument is outside its documented range, or two arguments contradict each other.
   */
  LONGATTN_STATUS_INVALID_ARGUMENT = 1,
  /**
   * Text is not valid UTF-8.
   */
  LONGATTN_STATUS_INVALID_UTF8 = 2,
  /**
   * A setting's key or value is not one of the valid ones.
   */
  LONGATTN_STATUS_INVALID_SETTING = 3,
  /**
   * A file could not be read or written.
   */
  LONGATTN_STATUS_IO = 4,
  /**
   * A record of a corpus, a score file or a journal is malformed.
   */
  LONGATTN_STATUS_INVALID_RECORD = 5,
  /**
   * A checkpoint or scorer package is missing, truncated, or contradicts itself.
   */
  LONGATTN_STATUS_INVALID_MODEL = 6,
  /**
   * A well-formed checkpoint, model or tokenizer of a kind that this version cannot use.
   */
  LONGATTN_STATUS_UNSUPPORTED = 7,
  /**
   * ONNX Runtime could not be found, loaded or started.
   */
  LONGATTN_STATUS_RUNTIME = 8,
  /**
   * The work would take more memory than the setting `memory_limit` allows.
   */
  LONGATTN_STATUS_MEMORY_LIMIT = 9,
  /**
   * The model gave NaN or infinite numbers.
   */
  LONGATTN_STATUS_NON_FINITE = 10,
  /**
   * The text has too few tokens to be scored.
   */
  LONGATTN_STATUS_TOO_SHORT = 11,
  /**
   * The caller asked for the work to stop.
   */
  LONGATTN_STATUS_CANCELLED = 12,
  /**
   * A bug in this library.
   */
  LONGATTN_STATUS_INTERNAL = 13,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum longattn_status longattn_status;
#else
typedef int32_t longattn_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * Finds out which of a model's layers to trust on a corpus, as `longattn calibrate` does: windows of every category are
 * drawn, scored by all layers of the package, and compared with a truth that needs no labels.
 *
 * Made by longattn_calibration_open(); the caller's, to be freed with longattn_calibration_free(). As a job it owns its
 * directory, keeps its scorer alive, is used by one thread at a time, and goes on where it was stopped.
 */
typedef struct longattn_calibration longattn_calibration;

/**
 * Asks running work to stop. Once asked, it stays asked: use a new one for the next work.
 *
 * The caller's, to be freed with longattn_cancel_free() when no call uses it any more. Any threads may use it at once.
 */
typedef struct longattn_cancel longattn_cancel;

/**
 * Settings: keys and values, both text. docs/settings.md lists them, and so does longattn_setting_get().
 *
 * The caller's, to be freed with longattn_config_free(). A call that takes a config reads it and keeps nothing of it:
 * what is set afterwards has no effect on a scorer that is open. Threads may read a config at once; none may use it
 * while another sets something.
 */
typedef struct longattn_config longattn_config;

/**
 * Why a call failed: a status and a message for a person, which says what happened, where, and what to do about it.
 *
 * Made by calls that fail; the caller's, to be freed with longattn_error_free(). It never changes, so any threads may
 * read it at once.
 */
typedef struct longattn_error longattn_error;

/**
 * The whole work on a corpus: documents are read, cut into windows, scored and selected, and the results are written into a
 * directory, as `longattn run` does it and with the same bytes. It may be killed at any moment, and goes on where it was.
 * docs/c.md lists the files.
 *
 * Made by longattn_job_open(); the caller's, to be freed with longattn_job_free(). Until then it owns its directory,
 * which no other job, of this process or another, can open; and it keeps its scorer alive, which may be freed before. One
 * thread at a time may use it, and it computes on many of its own. After fork() the child may free it, and must open one
 * of its own.
 */
typedef struct longattn_job longattn_job;

/**
 * An open scorer package: a model, its tokenizer, and a pool of threads.
 *
 * Made by longattn_scorer_open(); the caller's, to be freed with longattn_scorer_free() when no call uses it any more.
 * Any threads may use one scorer at once, and get the same bits as one thread alone. Open it once and keep it: it needs its
 * files no more, but they must not be cut or written to in their places. A child made by fork() has none of its threads: there
 * its calls give LONGATTN_STATUS_RUNTIME, and it may be freed.
 */
typedef struct longattn_scorer longattn_scorer;

/**
 * A finished selection: every window with its long-distance dependency score.
 *
 * Made by longattn_selector_finish(); the caller's, to be freed with longattn_selection_free(). It never changes, so any
 * threads may read it at once.
 */
typedef struct longattn_selection longattn_selection;

/**
 * Collects scored windows, and selects the best of each category. The selection depends on the set of windows alone, not
 * on the order in which they were added or merged.
 *
 * The caller's, to be freed with longattn_selector_free(). Threads may read a selector at once; none may use it while
 * another adds or merges. Give each thread its own, and merge them at the end.
 */
typedef struct longattn_selector longattn_selector;

/**
 * The tokens of a text, without special ones.
 *
 * Made by longattn_scorer_tokenize(); the caller's, to be freed with longattn_tokens_free(). It never changes, so any
 * threads may read it at once. It needs neither the text nor the scorer any more.
 */
typedef struct longattn_tokens longattn_tokens;

/**
 * The windows that a document is cut into by Algorithm 1 of the paper. A document shorter than one window gives none;
 * windows may overlap.
 *
 * Made by longattn_windows_cut() or longattn_scorer_cut(); the caller's, to be freed with longattn_windows_free(). It
 * never changes, so any threads may read it at once. It needs nothing that it was made of any more.
 */
typedef struct longattn_windows longattn_windows;

/**
 * A text that was made for the caller: `length` bytes of UTF-8 at `data`, and a NUL after them that `length` does not
 * count. It may hold further NULs where it repeats what the caller gave.
 *
 * The caller's, to be freed with longattn_text_free(). Plain memory: any threads may read it at once.
 */
typedef struct {
  /**
   * The first byte; NULL only after longattn_text_free().
   */
  const char *data;
  /**
   * Bytes, without the NUL.
   */
  size_t length;
} longattn_text;

/**
 * One row of the table of settings. All texts are in UTF-8, NUL-terminated, and there for ever.
 */
typedef struct {
  /**
   * The key, such as "min_distance".
   */
  const char *key;
  /**
   * What a value stands for, in capitals, such as "TOKENS".
   */
  const char *placeholder;
  /**
   * Which values are valid, in words.
   */
  const char *valid;
  /**
   * The value that a new config has.
   */
  const char *default_value;
  /**
   * One line of help.
   */
  const char *help;
} longattn_setting;

/**
 * One window of a document: which tokens and bytes of it, both without special tokens.
 */
typedef struct {
  /**
   * The first token, as an index into the document's.
   */
  size_t token_start;
  /**
   * The number of tokens.
   */
  size_t token_count;
  /**
   * The first byte of the text, as an offset into the document, at a character boundary.
   */
  size_t byte_start;
  /**
   * The byte after the last.
   */
  size_t byte_end;
  /**
   * The token ids, `token_count` of them, for longattn_scorer_score_tokens(). They live as long as the windows.
   */
  const uint32_t *ids;
} longattn_window;

/**
 * What one head says of a window.
 */
typedef struct {
  /**
   * Mean share of a token's attention that reaches far back, from 0 to 1.
   */
  double proportion;
  /**
   * Variance of the far weights by the setting `variance_domain`, at least 0; smaller is more even. Unless set, it is that of
   * all `L²` entries of the map, those that are not far being 0, divided by `L² − 1`.
   */
  double variance;
} longattn_head_score;

/**
 * The score of one window. Its size never changes.
 */
typedef struct {
  /**
   * Tokens scored, special ones included.
   */
  uint64_t token_count;
  /**
   * Shortest distance that counted as far, in tokens.
   */
  uint64_t min_distance;
  /**
   * First positions that never counted as far.
   */
  uint64_t sink_tokens;
  /**
   * Heads that were scored.
   */
  uint64_t head_count;
  /**
   * Dependency strength DS, Eq. 5: the mean of the heads' proportions; from 0 to 1, larger reaches farther.
   */
  double dependency_strength;
  /**
   * Distribution uniformity DU, Eq. 7: minus the mean of the heads' variances; at most 0, larger is more even.
   */
  double distribution_uniformity;
  /**
   * Rows of attention that are known: `token_count`, or fewer where the setting rows asked for an estimate.
   */
  uint64_t rows;
  /**
   * Standard error of DS; 0 where all rows are known.
   */
  double dependency_strength_error;
  /**
   * Standard error of DU; 0 where all rows are known.
   */
  double distribution_uniformity_error;
  /**
   * Tokens at the end of the window past the positions that the model was trained for, whose attention is a guess; 0 where
   * there are none, and where the model does not tell.
   */
  uint64_t untrained_tokens;
  /**
   * Far square mass: the mean over heads of the squares of far weights, summed over a token's and averaged over tokens; from
   * 0 to `dependency_strength`, larger is more concentrated. 0 by a library before it had this name.
   */
  double far_square_mass;
  /**
   * 0 until a later version gives it a meaning.
   */
  uint64_t reserved[2];
} longattn_score;

/**
 * One window to score: a text, or token ids without special ones. Exactly one of `text` and `ids` may be other than NULL;
 * both NULL is the empty text. What is longer than the setting window is cut there.
 */
typedef struct {
  /**
   * UTF-8, or NULL.
   */
  const char *text;
  /**
   * Bytes of `text`.
   */
  size_t text_length;
  /**
   * Token ids, or NULL.
   */
  const uint32_t *ids;
  /**
   * The number of `ids`.
   */
  size_t id_count;
} longattn_input;

/**
 * How far back attention reaches in one window: the mean share of a token's attention by distance, in buckets that begin
 * at powers of two. Bucket 0 is the distance 0, a token's attention to itself, and bucket `b` the distances from
 * `2^(b-1)` to `2^b - 1`: 1, 2 to 3, 4 to 7 and so on. Its size never changes.
 *
 * The sum from a bucket on is DS for the min_distance at which the bucket begins; min_distance itself plays no part.
 * The first sink_tokens of the window are in no bucket, so what the buckets lack of 1 is their share.
 */
typedef struct {
  /**
   * Buckets up to the one that holds the window's longest distance, `token_count - 1`; from 2 to
   * LONGATTN_DISTANCE_BUCKETS.
   */
  uint64_t bucket_count;
  /**
   * The share of each bucket, from 0 to 1, averaged over heads; 0 from `bucket_count` on.
   */
  double shares[LONGATTN_DISTANCE_BUCKETS];
} longattn_distance_profile;

/**
 * Is told how far longattn_scorer_score_many() has come: `windows` that are scored or have failed, and `tokens` of those
 * that are scored. It is called on threads of the scorer, one call at a time, after each window; it must be quick, must
 * not use the scorer, and must return: no C++ exception and no longjmp may leave it.
 */
typedef void (*longattn_progress)(uint64_t windows, uint64_t tokens, void *user_data);

/**
 * What became of one of many windows.
 */
typedef struct {
  /**
   * LONGATTN_STATUS_OK, or why this window has no score.
   */
  longattn_status status;
  /**
   * The error, NULL where there is none; the caller's, to be freed with longattn_results_free() or one by one.
   */
  longattn_error *error;
  /**
   * The score; all 0 where there is none.
   */
  longattn_score score;
} longattn_result;

/**
 * What one of several layers that are scored together says of a window. Its size never changes.
 */
typedef struct {
  /**
   * The layer of the model, 0 for the first.
   */
  uint64_t layer;
  /**
   * DS of this layer alone.
   */
  double dependency_strength;
  /**
   * DU of this layer alone.
   */
  double distribution_uniformity;
  /**
   * Far square mass of this layer alone, as longattn_score has it; 0 by a library before it had this name.
   */
  double far_square_mass;
  /**
   * 0 until a later version gives it a meaning.
   */
  uint64_t reserved[2];
} longattn_layer_score;

/**
 * On how many rows longattn_scorer_score_many_details() scores windows, and what it tells beside the scores. Begin with all
 * zeros: what is NULL is not told. The buffers are the caller's. Of a window without a score, and past what a window has,
 * they are set to 0. The struct is read during the call, and not kept. Its size never changes.
 */
typedef struct {
  /**
   * Whether `rows` counts, and not the setting.
   */
  bool has_rows;
  /**
   * About how many rows of attention to compute, at least 320; 0 for all. Only a package of the contract query-key takes less
   * time for fewer rows; the others compute all.
   */
  size_t rows;
  /**
   * Unless NULL, a buffer of `head_capacity` heads for each window, one after the other, in the model's order.
   */
  longattn_head_score *heads;
  /**
   * At least longattn_scorer_head_count(), or more where the model does not tell that.
   */
  size_t head_capacity;
  /**
   * Unless NULL, a buffer of `layer_capacity` layers for each window, in the order of the package.
   */
  longattn_layer_score *layers;
  /**
   * At least longattn_scorer_layer_count().
   */
  size_t layer_capacity;
  /**
   * Unless NULL, a buffer of a profile for each window. The scorer must have been opened with the setting profile at true.
   */
  longattn_distance_profile *profiles;
  /**
   * NULL: for what later versions tell.
   */
  void *reserved[4];
} longattn_details;

/**
 * One window of a selection. Its texts are in UTF-8, not NUL-terminated, and live as long as the selection.
 */
typedef struct {
  /**
   * The id that the window was added with.
   */
  const char *id;
  /**
   * Bytes of `id`.
   */
  size_t id_length;
  /**
   * The category that it was added with.
   */
  const char *category;
  /**
   * Bytes of `category`.
   */
  size_t category_length;
  /**
   * Place in the category, 0 for the best.
   */
  uint64_t rank;
  /**
   * Tokens of the window.
   */
  uint64_t token_count;
  /**
   * DS of the window.
   */
  double dependency_strength;
  /**
   * DU of the window.
   */
  double distribution_uniformity;
  /**
   * LDS = Std(DS) + alpha * Std(DU), Eq. 8, relative to the category; larger is better.
   */
  double long_distance_dependency_score;
  /**
   * Whether the window made the cut.
   */
  bool selected;
} longattn_ranked;

/**
 * A path of a file or folder: the bytes that the operating system knows it by, which need be UTF-8 on Windows alone.
 */
typedef struct {
  /**
   * The first byte.
   */
  const char *data;
  /**
   * Bytes.
   */
  size_t length;
} longattn_path;

/**
 * How far a job has come. Its size never changes.
 */
typedef struct {
  /**
   * LONGATTN_STAGE_READING, LONGATTN_STAGE_REFINING, LONGATTN_STAGE_SCORING or LONGATTN_STAGE_WRITING; later versions
   * may add some.
   */
  int32_t stage;
  /**
   * Whether `total` is known.
   */
  bool has_total;
  /**
   * How much of the stage is done, in its amount.
   */
  uint64_t done;
  /**
   * The whole of the stage, in its amount.
   */
  uint64_t total;
  /**
   * Windows scored in this call.
   */
  uint64_t windows;
  /**
   * Tokens scored in this call.
   */
  uint64_t tokens;
  /**
   * 0 until a later version gives it a meaning.
   */
  uint64_t reserved[4];
} longattn_job_progress;

/**
 * Is told how far a job has come, several times a second.
 */
typedef void (*longattn_progress_callback)(const longattn_job_progress *progress, void *user_data);

/**
 * A record, a file or a window that could not be used. Its texts are in UTF-8, not NUL-terminated, and live only for the
 * call that tells of it. Its size never changes.
 */
typedef struct {
  /**
   * The input file, `-` for standard input.
   */
  const char *file;
  /**
   * Bytes of `file`.
   */
  size_t file_length;
  /**
   * The line or row, from 1; 0 where the whole file is meant.
   */
  uint64_t line;
  /**
   * The id of the record or window; NULL where it is not known.
   */
  const char *id;
  /**
   * Bytes of `id`.
   */
  size_t id_length;
  /**
   * Why it could not be used, and what to do about it.
   */
  const char *reason;
  /**
   * Bytes of `reason`.
   */
  size_t reason_length;
  /**
   * The record as it was read, or its beginning; NULL where there is none to show.
   */
  const char *record;
  /**
   * Bytes of `record`.
   */
  size_t record_length;
  /**
   * 0 until a later version gives it a meaning.
   */
  uint64_t reserved[4];
} longattn_reject;

/**
 * Is told of each reject when it has been written to rejects.jsonl.
 */
typedef void (*longattn_reject_callback)(const longattn_reject *reject, void *user_data);

/**
 * Is told, in a sentence of `length` bytes of UTF-8, what a user should know while the work goes on. It is not
 * NUL-terminated, and lives only for the call.
 */
typedef void (*longattn_notice_callback)(const char *notice, size_t length, void *user_data);

/**
 * Who watches a job or a calibration. Begin with all zeros; any callback may be NULL. The struct is read during the call that is given it,
 * and not kept. Its size never changes.
 *
 * Callbacks run on threads of the job, one call at a time, and work waits for them: they must be quick, must not use the
 * job, and must return: no C++ exception and no longjmp may leave them. They may call longattn_cancel_request().
 */
typedef struct {
  /**
   * Unless NULL, is told how far the job has come.
   */
  longattn_progress_callback progress;
  /**
   * Unless NULL, is told of each reject.
   */
  longattn_reject_callback reject;
  /**
   * Unless NULL, is told what a user should know.
   */
  longattn_notice_callback notice;
  /**
   * Is passed to the callbacks.
   */
  void *user_data;
  /**
   * NULL: for callbacks of later versions.
   */
  void *reserved[4];
} longattn_observer;

/**
 * What a job has found, of all its calls together, those of earlier processes included, where nothing else is said. Its
 * size never changes.
 */
typedef struct {
  /**
   * Documents that gave at least one window.
   */
  uint64_t documents_windowed;
  /**
   * Documents with fewer tokens than a window.
   */
  uint64_t documents_too_short;
  /**
   * Records that could not be used.
   */
  uint64_t records_rejected;
  /**
   * Of those, the records whose id was another document's.
   */
  uint64_t duplicates;
  /**
   * Files that could not be read to their end, of which nothing counts.
   */
  uint64_t files_rejected;
  /**
   * Windows that could not be scored.
   */
  uint64_t windows_rejected;
  /**
   * Tokens of the longest document.
   */
  uint64_t longest_document;
  /**
   * Windows that have scores.
   */
  uint64_t windows;
  /**
   * Of those, the windows whose scores are of an earlier call.
   */
  uint64_t windows_known;
  /**
   * Of those, the windows whose scores are exact; of an adaptive job alone.
   */
  uint64_t windows_exact;
  /**
   * Windows that made the cut.
   */
  uint64_t windows_selected;
  /**
   * Tokens of the windows that made the cut.
   */
  uint64_t tokens_selected;
  /**
   * Tokens that went through the model.
   */
  uint64_t tokens_scored;
  /**
   * Rows of attention that were computed, of an adaptive job.
   */
  uint64_t rows_computed;
  /**
   * Rows of attention that exact scores of all windows take, of an adaptive job.
   */
  uint64_t rows_of_exact_scores;
  /**
   * The calls that scored.
   */
  uint64_t calls;
  /**
   * Time that the calls took, in seconds.
   */
  double seconds;
  /**
   * Of the windows that have scores, those that the setting filter left out of the selection.
   */
  uint64_t windows_filtered;
  /**
   * 0 until a later version gives it a meaning.
   */
  uint64_t reserved[14];
} longattn_summary;

/**
 * What was selected of one category. Its size never changes.
 */
typedef struct {
  /**
   * In UTF-8, not NUL-terminated; the job's, and lives until the next call that changes it.
   */
  const char *name;
  /**
   * Bytes of `name`.
   */
  size_t name_length;
  /**
   * Windows with scores.
   */
  uint64_t windows;
  /**
   * Those that made the cut.
   */
  uint64_t selected;
  /**
   * 0 until a later version gives it a meaning.
   */
  uint64_t reserved[4];
} longattn_job_category;

/**
 * Is given each log message: its level, LONGATTN_LOG_ERROR to LONGATTN_LOG_TRACE, and `length` bytes of UTF-8, not
 * NUL-terminated, which live only for the call. It is called on whatever thread has something to say, from several at
 * once; it must not call the library, and must return: no C++ exception and no longjmp may leave it.
 */
typedef void (*longattn_log_callback)(int32_t level, const char *message, size_t length, void *user_data);

/**
 * The kinds of what befalls every window of one length alike, so that a job stops instead of rejecting a window.
 */
#define FATAL { longattn_status_Runtime, longattn_status_Cancelled, longattn_status_Internal, longattn_status_InvalidSetting, longattn_status_MemoryLimit, }

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The library's version, such as "0.1.0": NUL-terminated, and there for ever. Any thread may call it.
 */
const char *longattn_version(void);

/**
 * The ABI version of the library that was loaded. Who loads it by hand compares it with LONGATTN_ABI_VERSION; the
 * linker does so by the SONAME. Any thread may call it.
 */
uint32_t longattn_abi_version(void);

/**
 * The name of a status, such as "ok" or "invalid_argument": NUL-terminated, and there for ever. "unknown" for a number that is
 * none of this version's. Any thread may call it.
 */
const char *longattn_status_name(longattn_status status);

/**
 * Whether what failed one window, with this status, would fail all others of the same length too, such as a runtime that is
 * missing. By this rule a job stops, and rejects the window alone otherwise. Any thread may call it.
 */
bool longattn_status_is_fatal(longattn_status status);

/**
 * The status that the failed call returned. For NULL, LONGATTN_STATUS_OK.
 */
longattn_status longattn_error_status(const longattn_error *error);

/**
 * The message, in UTF-8 and NUL-terminated; `length`, unless NULL, is set to its bytes without the NUL. It is the
 * error's and lives as long. For NULL, NULL and a length of 0.
 */
const char *longattn_error_message(const longattn_error *error,
                                   size_t *length);

/**
 * Frees an error. NULL is left alone.
 */
void longattn_error_free(longattn_error *error);

/**
 * Frees a text and sets it to NULL and 0, so that freeing it again does nothing. NULL is left alone.
 */
void longattn_text_free(longattn_text *text);

/**
 * Makes a config in which every setting has its default. Never NULL.
 */
longattn_config *longattn_config_new(void);

/**
 * Makes a config with the same settings, independent of the first. For NULL, NULL.
 */
longattn_config *longattn_config_clone(const longattn_config *config);

/**
 * Sets one setting, such as "window" to "8192".
 *
 * LONGATTN_STATUS_INVALID_SETTING for a key or value that is not valid: the message lists what is, and the config is as
 * before.
 */
longattn_status longattn_config_set(longattn_config *config,
                                    const char *key,
                                    size_t key_length,
                                    const char *value,
                                    size_t value_length,
                                    longattn_error **error);

/**
 * Gives the value of one setting, as longattn_config_set() takes it. `value` is the caller's to free.
 *
 * LONGATTN_STATUS_INVALID_SETTING for an unknown key: the message lists the known ones.
 */
longattn_status longattn_config_get(const longattn_config *config,
                                    const char *key,
                                    size_t key_length,
                                    longattn_text *value,
                                    longattn_error **error);

/**
 * Frees a config. NULL is left alone.
 */
void longattn_config_free(longattn_config *config);

/**
 * The number of settings that this version of the library knows. Any thread may call it.
 */
size_t longattn_setting_count(void);

/**
 * Gives one row of the table of settings. Any thread may call it.
 *
 * LONGATTN_STATUS_INVALID_ARGUMENT where `index` is not below longattn_setting_count().
 */
longattn_status longattn_setting_get(size_t index, longattn_setting *setting, longattn_error **error);

/**
 * The number of tokens. For NULL, 0.
 */
size_t longattn_tokens_count(const longattn_tokens *tokens);

/**
 * The token ids, longattn_tokens_count() of them; NULL where there are none. They are the tokens' and live as long.
 */
const uint32_t *longattn_tokens_ids(const longattn_tokens *tokens);

/**
 * Where the tokens begin and end in the text, in bytes: token `i` stands for the bytes from `boundaries[i]` up to, not
 * including, `boundaries[i + 1]`. There are longattn_tokens_count() + 1 of them; they do not fall, and lie at character
 * boundaries. They are the tokens' and live as long. For NULL, NULL.
 */
const size_t *longattn_tokens_boundaries(const longattn_tokens *tokens);

/**
 * Frees tokens. NULL is left alone.
 */
void longattn_tokens_free(longattn_tokens *tokens);

/**
 * Cuts a document into windows of `window` tokens. `*windows` is the caller's to free.
 *
 * LONGATTN_STATUS_INVALID_ARGUMENT where `window` is 0.
 */
longattn_status longattn_windows_cut(const longattn_tokens *tokens,
                                     size_t window,
                                     longattn_windows **windows,
                                     longattn_error **error);

/**
 * The number of windows. For NULL, 0.
 */
size_t longattn_windows_count(const longattn_windows *windows);

/**
 * Gives one window, in the order of Algorithm 1: from the front and the back in turn, and then what is left between them
 * from front to back.
 *
 * LONGATTN_STATUS_INVALID_ARGUMENT where `index` is not below longattn_windows_count().
 */
longattn_status longattn_windows_get(const longattn_windows *windows,
                                     size_t index,
                                     longattn_window *window,
                                     longattn_error **error);

/**
 * Frees windows. NULL is left alone.
 */
void longattn_windows_free(longattn_windows *windows);

/**
 * Makes a token that has not been asked to stop. Never NULL.
 */
longattn_cancel *longattn_cancel_new(void);

/**
 * Asks every call that was given this token to stop. Those calls give LONGATTN_STATUS_CANCELLED within a second, also while
 * the model runs; this one does not wait for them. Safe from any thread and from a signal handler. NULL is left alone.
 */
void longattn_cancel_request(const longattn_cancel *cancel);

/**
 * Asks every call that was given this token to stop `milliseconds` from now, in the place of an earlier such moment. Those
 * calls then give LONGATTN_STATUS_CANCELLED within a second. Safe from any thread. NULL is left alone.
 */
void longattn_cancel_set_deadline(const longattn_cancel *cancel,
                                  uint64_t milliseconds);

/**
 * Whether longattn_cancel_request() was called, or the moment of longattn_cancel_set_deadline() has come. For NULL, false.
 */
bool longattn_cancel_is_requested(const longattn_cancel *cancel);

/**
 * Frees a token. NULL is left alone.
 */
void longattn_cancel_free(longattn_cancel *cancel);

/**
 * Scores a window from the attention map of your own inference: `map` is `[heads, length, length]` in row-major order,
 * softmax weights, row `n` holding what token `n` gives. Entries above the diagonal are not read.
 *
 * `config`, or the defaults for NULL, gives the settings min_distance (auto is a quarter of `length`), sink_tokens (auto
 * is 0) and variance_domain. `heads_out` is as in longattn_scorer_score(). Any threads may call it at once; it
 * computes on a pool of one thread for each core that all calls share.
 *
 * LONGATTN_STATUS_TOO_SHORT for a `length` below 2, LONGATTN_STATUS_NON_FINITE for NaN or infinity up to the diagonal,
 * LONGATTN_STATUS_INVALID_ARGUMENT for no heads, for rows whose weights are negative or do not sum to 1, within 0.02, and for
 * sizes that no memory can have.
 */
longattn_status longattn_score_map(const float *map,
                                   size_t heads,
                                   size_t length,
                                   const longattn_config *config,
                                   longattn_head_score *heads_out,
                                   size_t head_capacity,
                                   longattn_score *score,
                                   longattn_error **error);

/**
 * Scores a window from the queries and keys of your own inference, in memory linear in `length`: `queries` is
 * `[heads, length, head_size]` and `keys` `[key_value_heads, length, head_size]`, both in row-major order with the rotary
 * embedding applied. Query heads that share a key head are neighbours. Logits are `scale` times the product of query and
 * key, usually `1 / sqrt(head_size)`.
 *
 * `config`, or the defaults for NULL, gives the settings min_distance (auto is a quarter of `length`), sink_tokens (auto
 * is 0), variance_domain, instruction_set and precision (auto is float32). `heads_out` is as in longattn_scorer_score().
 * Any threads may call it at once; it computes on a pool of one thread for each core that all calls share.
 *
 * LONGATTN_STATUS_TOO_SHORT for a `length` below 2, LONGATTN_STATUS_NON_FINITE for NaN or infinity in what was given,
 * LONGATTN_STATUS_INVALID_ARGUMENT for dimensions that contradict each other or that no memory can have,
 * LONGATTN_STATUS_INVALID_SETTING where this machine lacks the instruction set.
 */
longattn_status longattn_score_query_key(const float *queries,
                                         size_t heads,
                                         const float *keys,
                                         size_t key_value_heads,
                                         size_t length,
                                         size_t head_size,
                                         double scale,
                                         const longattn_config *config,
                                         longattn_head_score *heads_out,
                                         size_t head_capacity,
                                         longattn_score *score,
                                         longattn_error **error);

/**
 * Opens a scorer package: a directory with model.onnx and tokenizer.json, as `longattn export` makes it, or a bare
 * model.onnx, which scores token ids alone unless a tokenizer.json lies beside it. `path` is in UTF-8; `config` is read
 * once, NULL stands for the defaults. `*scorer` is the caller's to free. Any threads may call it at once.
 *
 * The path `none` opens a scorer without a model or ONNX Runtime, for jobs whose windows have the setting columns alone, cut by
 * the setting tokenizer.
 *
 * LONGATTN_STATUS_RUNTIME where ONNX Runtime cannot be found or loaded: the message says what was tried.
 * LONGATTN_STATUS_INVALID_SETTING for settings that contradict each other or the package, such as a layer that it lacks.
 * LONGATTN_STATUS_IO, LONGATTN_STATUS_INVALID_MODEL or LONGATTN_STATUS_UNSUPPORTED for a package that is missing,
 * damaged, or of a kind that this version cannot use.
 */
longattn_status longattn_scorer_open(const char *path,
                                     size_t path_length,
                                     const longattn_config *config,
                                     longattn_scorer **scorer,
                                     longattn_error **error);

/**
 * Frees a scorer and stops its threads, which a job on it keeps until it is freed too. NULL is left alone.
 */
void longattn_scorer_free(longattn_scorer *scorer);

/**
 * Describes the package as one JSON object: contract, heads, inputs and outputs, files, and what the model says of itself.
 * Later versions may add keys. `*json` is the caller's to free.
 */
longattn_status longattn_scorer_describe(const longattn_scorer *scorer,
                                         longattn_text *json,
                                         longattn_error **error);

/**
 * Tells what scores depend on beside their inputs, as one JSON object: the digest of the package, the versions of the library
 * and of ONNX Runtime, the instruction set, and every setting that a score depends on. Scorers whose texts are equal give
 * the same bits, so it serves as the key of a cache. `*json` is the caller's to free. The package is read for it once.
 *
 * LONGATTN_STATUS_INVALID_MODEL where a file of the package has changed since it was opened, LONGATTN_STATUS_IO where one
 * cannot be read.
 */
longattn_status longattn_scorer_identity(const longattn_scorer *scorer,
                                         longattn_text *json,
                                         longattn_error **error);

/**
 * A copy of the settings that the scorer was opened with; the caller's to free. For NULL, NULL.
 */
longattn_config *longattn_scorer_config(const longattn_scorer *scorer);

/**
 * The number of heads that each window is scored by; 0 where the model does not tell before it is run, and for NULL.
 */
size_t longattn_scorer_head_count(const longattn_scorer *scorer);

/**
 * Scores a text as one window: its first tokens, up to the setting window, special ones included.
 *
 * The errors are those of longattn_scorer_score().
 */
longattn_status longattn_scorer_score_text(const longattn_scorer *scorer,
                                           const char *text,
                                           size_t text_length,
                                           longattn_score *score,
                                           longattn_error **error);

/**
 * Scores token ids as one window. They are framed by the special tokens that the tokenizer adds, and cut to the setting
 * window in all.
 *
 * The errors are those of longattn_scorer_score().
 */
longattn_status longattn_scorer_score_tokens(const longattn_scorer *scorer,
                                             const uint32_t *ids,
                                             size_t id_count,
                                             longattn_score *score,
                                             longattn_error **error);

/**
 * Scores one window, until `cancel`, unless NULL, is asked to stop; and tells what each head says.
 *
 * `heads` is a buffer of the caller's for `head_capacity` heads, set to the first `score->head_count` of them in the
 * model's order; NULL and 0 where they are not wanted. longattn_scorer_head_count() says how many to expect.
 *
 * LONGATTN_STATUS_UNSUPPORTED for a text where the package has no tokenizer, LONGATTN_STATUS_INVALID_UTF8 for a text that
 * is not valid, LONGATTN_STATUS_TOO_SHORT below 2 tokens, LONGATTN_STATUS_INVALID_ARGUMENT for an id outside the model's
 * vocabulary or a buffer that is too small, LONGATTN_STATUS_MEMORY_LIMIT for attention maps larger than the setting
 * memory_limit, LONGATTN_STATUS_NON_FINITE for damaged weights, LONGATTN_STATUS_RUNTIME where ONNX Runtime fails,
 * LONGATTN_STATUS_INVALID_RECORD for a text on which the tokenizer gives up, LONGATTN_STATUS_CANCELLED.
 */
longattn_status longattn_scorer_score(const longattn_scorer *scorer,
                                      const longattn_input *input,
                                      const longattn_cancel *cancel,
                                      longattn_head_score *heads,
                                      size_t head_capacity,
                                      longattn_score *score,
                                      longattn_error **error);

/**
 * Scores one window, until `cancel`, unless NULL, is asked to stop; and tells how far back its attention reaches. The
 * scorer must have been opened with the setting profile at true.
 *
 * `profile` is set. So is `score`, unless it is NULL, to the same bits as by longattn_scorer_score(). Both are the
 * caller's memory, and hold nothing to be freed.
 *
 * LONGATTN_STATUS_INVALID_SETTING where profile was false, and the errors of longattn_scorer_score().
 */
longattn_status longattn_scorer_score_profile(const longattn_scorer *scorer,
                                              const longattn_input *input,
                                              const longattn_cancel *cancel,
                                              longattn_distance_profile *profile,
                                              longattn_score *score,
                                              longattn_error **error);

/**
 * Scores many windows on all threads of the scorer, each with its own result. `results` is an array of the caller's for
 * as many results as there are inputs, in their order; give them back with longattn_results_free(). A score has the same
 * bits as that of longattn_scorer_score().
 *
 * `progress` is called with `user_data` as windows finish, unless it is NULL. After `cancel`, unless NULL, is asked to
 * stop, the windows that are not finished give LONGATTN_STATUS_CANCELLED.
 *
 * A window that cannot be scored is no failure of the call: its own status says why, with the values that
 * longattn_scorer_score() gives. Unless this call itself returns LONGATTN_STATUS_OK, `results` is as before.
 */
longattn_status longattn_scorer_score_many(const longattn_scorer *scorer,
                                           const longattn_input *inputs,
                                           size_t count,
                                           const longattn_cancel *cancel,
                                           longattn_progress progress,
                                           void *user_data,
                                           longattn_result *results,
                                           longattn_error **error);

/**
 * Scores many windows as longattn_scorer_score_many() does, but on about `rows` rows of attention, at least 320, or on all
 * for 0, whatever the setting rows says: for rounds on more rows of what longattn_selector_in_doubt() names. Only a package of
 * the contract query-key takes less time for fewer rows; the others compute all.
 */
longattn_status longattn_scorer_score_many_on(const longattn_scorer *scorer,
                                              size_t rows,
                                              const longattn_input *inputs,
                                              size_t count,
                                              const longattn_cancel *cancel,
                                              longattn_progress progress,
                                              void *user_data,
                                              longattn_result *results,
                                              longattn_error **error);

/**
 * Scores many windows as longattn_scorer_score_many() does, on as many rows as `details` says, and tells what it asks for
 * beside their scores.
 *
 * LONGATTN_STATUS_INVALID_ARGUMENT where a buffer is too small, LONGATTN_STATUS_UNSUPPORTED for layers of a model that does not
 * tell them, LONGATTN_STATUS_INVALID_SETTING for profiles where the setting profile was false.
 */
longattn_status longattn_scorer_score_many_details(const longattn_scorer *scorer,
                                                   const longattn_details *details,
                                                   const longattn_input *inputs,
                                                   size_t count,
                                                   const longattn_cancel *cancel,
                                                   longattn_progress progress,
                                                   void *user_data,
                                                   longattn_result *results,
                                                   longattn_error **error);

/**
 * Frees the errors of results and sets them to NULL; the array stays the caller's. NULL is left alone.
 */
void longattn_results_free(longattn_result *results, size_t count);

/**
 * Splits a text into tokens, without special ones, in pieces that share the cores where it is long. `*tokens` is the caller's
 * to free.
 *
 * LONGATTN_STATUS_UNSUPPORTED where the package has no tokenizer, LONGATTN_STATUS_INVALID_UTF8 for a text that is not
 * valid, LONGATTN_STATUS_INVALID_RECORD for one on which the tokenizer gives up.
 */
longattn_status longattn_scorer_tokenize(const longattn_scorer *scorer,
                                         const char *text,
                                         size_t text_length,
                                         longattn_tokens **tokens,
                                         longattn_error **error);

/**
 * Splits a document into tokens and cuts it into windows of as many tokens as the setting window says. `*windows` is the
 * caller's to free. The errors are those of longattn_scorer_tokenize().
 */
longattn_status longattn_scorer_cut(const longattn_scorer *scorer,
                                    const char *text,
                                    size_t text_length,
                                    longattn_windows **windows,
                                    longattn_error **error);

/**
 * The number of layers that each window is scored by; 0 where the model does not tell which they are, and for NULL.
 */
size_t longattn_scorer_layer_count(const longattn_scorer *scorer);

/**
 * Scores one window by several layers in one pass, until `cancel`, unless NULL, is asked to stop.
 *
 * `layers` is a buffer of the caller's for `layer_capacity` layers, at least longattn_scorer_layer_count() of them, and
 * set in the order of the package. `score`, unless NULL, is set to the mean over all of them, with the bits of
 * longattn_scorer_score().
 *
 * LONGATTN_STATUS_UNSUPPORTED where the model does not tell its layers, LONGATTN_STATUS_INVALID_ARGUMENT where the buffer
 * is too small, and the errors of longattn_scorer_score().
 */
longattn_status longattn_scorer_score_layers(const longattn_scorer *scorer,
                                             const longattn_input *input,
                                             const longattn_cancel *cancel,
                                             longattn_layer_score *layers,
                                             size_t layer_capacity,
                                             longattn_score *score,
                                             longattn_error **error);

/**
 * Gives the losses of the tokens of one window, framed and cut as longattn_scorer_score_tokens() does: the negative
 * log-likelihood in nats of each token but the first, given those before it, by all layers of the model.
 *
 * `losses` is a buffer of the caller's for `capacity` numbers; the setting window less 1 are enough in any case. `*count`
 * is set to how many there are.
 *
 * LONGATTN_STATUS_UNSUPPORTED where the package tells no losses (`longattn export --gain` makes one that does),
 * LONGATTN_STATUS_INVALID_ARGUMENT where the buffer is too small, and the errors of longattn_scorer_score().
 */
longattn_status longattn_scorer_losses(const longattn_scorer *scorer,
                                       const uint32_t *ids,
                                       size_t id_count,
                                       const longattn_cancel *cancel,
                                       float *losses,
                                       size_t capacity,
                                       size_t *count,
                                       longattn_error **error);

/**
 * Gives the information gain of one window, framed and cut as longattn_scorer_score_tokens() does, in nats a token: how
 * much lower the loss of a token is when the model sees the whole window before it than when it sees only the last 128 to
 * 255 tokens. It is the mean over the tokens from the 256th on, counted from 0, and may be negative.
 *
 * LONGATTN_STATUS_UNSUPPORTED where the package tells no losses (`longattn export --gain` makes one that does),
 * LONGATTN_STATUS_TOO_SHORT below 257 tokens, and the errors of longattn_scorer_score().
 */
longattn_status longattn_scorer_information_gain(const longattn_scorer *scorer,
                                                 const uint32_t *ids,
                                                 size_t id_count,
                                                 const longattn_cancel *cancel,
                                                 double *gain,
                                                 longattn_error **error);

/**
 * Makes a selector without windows. Never NULL.
 */
longattn_selector *longattn_selector_new(void);

/**
 * Adds a window. `id` names it, and must be unique within `category`, whose windows compete with each other. Of `score`
 * its token_count, min_distance, sink_tokens, dependency_strength and distribution_uniformity are read. Everything is copied.
 *
 * LONGATTN_STATUS_NON_FINITE where a score is NaN or infinite; LONGATTN_STATUS_INVALID_UTF8 for a text that is not valid.
 */
longattn_status longattn_selector_add(longattn_selector *selector,
                                      const char *id,
                                      size_t id_length,
                                      const char *category,
                                      size_t category_length,
                                      const longattn_score *score,
                                      longattn_error **error);

/**
 * The number of windows in all categories. For NULL, 0.
 */
size_t longattn_selector_count(const longattn_selector *selector);

/**
 * Gives a window other scores, such as those on more rows of attention. `ordinal` is the number of windows that were added
 * before it; those that were merged count in their order.
 *
 * LONGATTN_STATUS_INVALID_ARGUMENT where `ordinal` is not below longattn_selector_count(), LONGATTN_STATUS_NON_FINITE where
 * a score is NaN or infinite.
 */
longattn_status longattn_selector_rescore(longattn_selector *selector,
                                          size_t ordinal,
                                          const longattn_score *score,
                                          longattn_error **error);

/**
 * Tells which windows to score on more rows, until the selection equals that by exact scores with the probability of the
 * setting confidence. `scores` are those that the windows were added or last rescored with, in their order, as many as
 * longattn_selector_count(); their standard errors are read.
 *
 * `ordinals` is a buffer of the caller's for as many, set to the windows in doubt, in ascending order; `*count` is set to
 * how many there are, 0 where the selection can be trusted. Exact scores are never in doubt. `config`, or the defaults for
 * NULL, gives the settings of longattn_selector_finish() and confidence. `cancel` may be NULL.
 *
 * LONGATTN_STATUS_CANCELLED, and the errors of longattn_selector_finish().
 */
longattn_status longattn_selector_in_doubt(const longattn_selector *selector,
                                           const longattn_score *scores,
                                           const longattn_config *config,
                                           const longattn_cancel *cancel,
                                           size_t *ordinals,
                                           size_t *count,
                                           longattn_error **error);

/**
 * Moves all windows of `other` into `selector`. `other` is empty afterwards, and still the caller's to free.
 *
 * LONGATTN_STATUS_INVALID_ARGUMENT where both are the same selector.
 */
longattn_status longattn_selector_merge(longattn_selector *selector,
                                        longattn_selector *other,
                                        longattn_error **error);

/**
 * Gives the windows as versioned JSON, to be merged on another machine. Every number keeps its bits. `*json` is the
 * caller's to free.
 */
longattn_status longattn_selector_to_json(const longattn_selector *selector,
                                          longattn_text *json,
                                          longattn_error **error);

/**
 * Makes a selector from what longattn_selector_to_json() gave. `*selector` is the caller's to free.
 *
 * LONGATTN_STATUS_INVALID_RECORD for malformed JSON, LONGATTN_STATUS_UNSUPPORTED for the form of a later version.
 */
longattn_status longattn_selector_from_json(const char *json,
                                            size_t json_length,
                                            longattn_selector **selector,
                                            longattn_error **error);

/**
 * Ranks the windows of each category by their long-distance dependency score, and cuts. The selector is as before: more
 * windows may be added, and it may be finished again. `*selection` is the caller's to free.
 *
 * `config`, or the defaults for NULL, gives the settings alpha, standardize, mixed_lengths, category_cuts, max_per_document,
 * filter (whose columns are those of longattn_selector_add(); windows that it leaves out are not in the selection),
 * category_weights, and one of ratio, count, token_budget, total_token_budget and threshold.
 *
 * LONGATTN_STATUS_INVALID_SETTING where more than one cut is set, a cut or weight is of a category that is not there, or
 * the filter asks for a column that is not there; LONGATTN_STATUS_INVALID_ARGUMENT where two windows of one
 * category have the same id, or were measured on different lengths or distances while mixed_lengths is refuse.
 */
longattn_status longattn_selector_finish(const longattn_selector *selector,
                                         const longattn_config *config,
                                         longattn_selection **selection,
                                         longattn_error **error);

/**
 * Frees a selector. NULL is left alone.
 */
void longattn_selector_free(longattn_selector *selector);

/**
 * The number of windows in a selection, whether they made the cut or not. For NULL, 0.
 */
size_t longattn_selection_count(const longattn_selection *selection);

/**
 * Gives one window: by category in the order of their bytes, and within a category the best first. Equal scores go to the
 * smaller id.
 *
 * LONGATTN_STATUS_INVALID_ARGUMENT where `index` is not below longattn_selection_count().
 */
longattn_status longattn_selection_get(const longattn_selection *selection,
                                       size_t index,
                                       longattn_ranked *ranked,
                                       longattn_error **error);

/**
 * Frees a selection. NULL is left alone.
 */
void longattn_selection_free(longattn_selection *selection);

/**
 * Opens a job on files and folders, or `-` for standard input, and on a directory for its results, which is made where it
 * is missing. Nothing is scored yet. `*job` is the caller's to free.
 *
 * `config` is read once; NULL stands for the settings that the scorer was opened with. What scores depend on are the
 * scorer's settings in any case; of `config` the job takes adaptive, confidence, per_head, columns, text_field, id_field,
 * category_field, document_limit, on_error, earlier_results and threads, and for longattn_job_run() by, alpha, standardize,
 * mixed_lengths and one of ratio, count, token_budget and threshold.
 *
 * LONGATTN_STATUS_IO where an input is missing, the directory cannot be written to, or another job is at work in it;
 * LONGATTN_STATUS_INVALID_ARGUMENT without inputs, where the directory has results and earlier_results is refuse, or where
 * it is resume and the results depend on something that has changed; LONGATTN_STATUS_INVALID_SETTING where more than
 * one cut is set; LONGATTN_STATUS_UNSUPPORTED for an adaptive job on a model that computes all rows in any case.
 */
longattn_status longattn_job_open(const longattn_scorer *scorer,
                                  const longattn_path *inputs,
                                  size_t input_count,
                                  const char *directory,
                                  size_t directory_length,
                                  const longattn_config *config,
                                  longattn_job **job,
                                  longattn_error **error);

/**
 * Does everything: scores what has no score yet, selects by the settings that the job was opened with, and writes the
 * results. With the setting shard it only scores: longattn_results_select() selects from all shards. `observer`, `cancel`
 * and `summary` may be NULL; `summary` is set at the end.
 *
 * The errors are those of longattn_job_score() and longattn_job_select(). Whatever they are, finished windows are kept, but
 * for two seconds of work at most: the job may be run again, or opened again with earlier_results at resume.
 */
longattn_status longattn_job_run(longattn_job *job,
                                 const longattn_observer *observer,
                                 const longattn_cancel *cancel,
                                 longattn_summary *summary,
                                 longattn_error **error);

/**
 * Scores what has no score yet, and writes no result but rejects.jsonl. `observer`, `cancel` and `summary` may be NULL;
 * `summary` is set at the end.
 *
 * A record, file or window that cannot be used is a reject, and the rest goes on; LONGATTN_STATUS_INVALID_RECORD where
 * on_error is fail, and where there were nothing but rejects. LONGATTN_STATUS_CANCELLED within a second after `cancel` was
 * asked, LONGATTN_STATUS_IO where the directory cannot be written to, and what would befall every window:
 * LONGATTN_STATUS_RUNTIME, LONGATTN_STATUS_MEMORY_LIMIT, LONGATTN_STATUS_INVALID_SETTING.
 */
longattn_status longattn_job_score(longattn_job *job,
                                   const longattn_observer *observer,
                                   const longattn_cancel *cancel,
                                   longattn_summary *summary,
                                   longattn_error **error);

/**
 * Selects, and writes selected.jsonl, scores.jsonl and the report; scores first what has no score yet, and of an
 * adaptive job what is in doubt. May be called again with other settings: nothing is scored twice.
 *
 * `config` gives the settings by, alpha, standardize, mixed_lengths, confidence, category_cuts, max_per_document, filter, explain
 * (told as a notice), category_weights, and one of ratio, count, token_budget, total_token_budget and threshold; NULL stands
 * for those that the job was opened with. `observer`, `cancel` and `summary` may be NULL; `summary` is set at the end.
 *
 * LONGATTN_STATUS_INVALID_SETTING where more than one cut is set, LONGATTN_STATUS_INVALID_RECORD where an input has changed
 * since it was scored, LONGATTN_STATUS_INVALID_ARGUMENT for windows that cannot be compared, and the errors of
 * longattn_job_score().
 */
longattn_status longattn_job_select(longattn_job *job,
                                    const longattn_config *config,
                                    const longattn_observer *observer,
                                    const longattn_cancel *cancel,
                                    longattn_summary *summary,
                                    longattn_error **error);

/**
 * What became of everything so far; all 0 before the first call that scored.
 */
longattn_status longattn_job_summary(const longattn_job *job,
                                     longattn_summary *summary,
                                     longattn_error **error);

/**
 * The number of categories of the last selection; 0 before the first, and for NULL.
 */
size_t longattn_job_category_count(const longattn_job *job);

/**
 * Gives one category of the last selection, in the order of the bytes of their names.
 *
 * LONGATTN_STATUS_INVALID_ARGUMENT where `index` is not below longattn_job_category_count().
 */
longattn_status longattn_job_category_get(const longattn_job *job,
                                          size_t index,
                                          longattn_job_category *category,
                                          longattn_error **error);

/**
 * Frees a job, and lets others have its directory. Results and what was scored stay there. NULL is left alone.
 */
void longattn_job_free(longattn_job *job);

/**
 * Selects from the results of one job that has ended, or of the jobs on all shards of one corpus (the setting shard), in any
 * order, as if one job had scored them: no model is needed. `output` is the directory for what longattn_job_run() would have
 * written into its own, with the same bytes; it is made where it is missing, and may hold an earlier selection. The inputs
 * must be where they were.
 *
 * `config`, or the defaults for NULL, gives the settings of longattn_job_select(), output_format, output_shard_size,
 * attributes, upload, keep_fields and metrics. `observer`, `cancel` and `summary` may be NULL; `summary` is set at the end.
 *
 * LONGATTN_STATUS_INVALID_ARGUMENT, with all of them named, for shards that are missing, were given twice, did not end, or
 * were scored with other settings, packages or inputs than the rest; where `output` holds something else; and for windows that
 * cannot be compared. LONGATTN_STATUS_INVALID_SETTING where more than one cut is set, LONGATTN_STATUS_INVALID_RECORD where an
 * input has changed since it was scored, LONGATTN_STATUS_IO, LONGATTN_STATUS_CANCELLED.
 */
longattn_status longattn_results_select(const longattn_path *directories,
                                        size_t directory_count,
                                        const char *output,
                                        size_t output_length,
                                        const longattn_config *config,
                                        const longattn_observer *observer,
                                        const longattn_cancel *cancel,
                                        longattn_summary *summary,
                                        longattn_error **error);

/**
 * Opens a calibration on files and folders, or `-` for standard input, and on a directory for its results, which is made
 * where it is missing. Nothing is scored yet. `*calibration` is the caller's to free.
 *
 * `config` is read once; NULL stands for the settings that the scorer was opened with. What scores depend on are the
 * scorer's settings in any case; docs/calibrate.md tells of the others.
 *
 * LONGATTN_STATUS_UNSUPPORTED for a package that does not tell its layers, or not what the setting truth asks for, and the
 * errors of longattn_job_open().
 */
longattn_status longattn_calibration_open(const longattn_scorer *scorer,
                                          const longattn_path *inputs,
                                          size_t input_count,
                                          const char *directory,
                                          size_t directory_length,
                                          const longattn_config *config,
                                          longattn_calibration **calibration,
                                          longattn_error **error);

/**
 * Scores what has no score yet, compares, and writes calibration.json and its chart. `observer` and `cancel` may be NULL.
 *
 * `*json` is set to what calibration.json holds, of which the key `verdict` has the layer and the settings to use; it is
 * the caller's to free. NULL where it is not wanted.
 *
 * LONGATTN_STATUS_INVALID_ARGUMENT for a corpus that gives too few windows, and the errors of longattn_job_score().
 */
longattn_status longattn_calibration_run(longattn_calibration *calibration,
                                         const longattn_observer *observer,
                                         const longattn_cancel *cancel,
                                         longattn_text *json,
                                         longattn_error **error);

/**
 * Frees a calibration, and lets others have its directory. Results stay there. NULL is left alone.
 */
void longattn_calibration_free(longattn_calibration *calibration);

/**
 * Gives the id of a window: its document's, `#`, and its number among the document's windows, from 0. `*id` is the
 * caller's to free. Any thread may call it.
 */
longattn_status longattn_window_id(const char *document,
                                   size_t document_length,
                                   size_t number,
                                   longattn_text *id,
                                   longattn_error **error);

/**
 * Gives the category of an input whose documents name none: the name of a folder, whose path ends in a slash, or that of
 * a file without its extension and a suffix of compression. Files found in a folder have the folder's. `*category` is the
 * caller's to free. The input need not be there. Any thread may call it.
 */
longattn_status longattn_category_of(const char *input,
                                     size_t input_length,
                                     longattn_text *category,
                                     longattn_error **error);

/**
 * Sends the log messages of this process, up to `max_level`, to a callback. Without one nothing is logged. The callback
 * replaces the one before; NULL ends logging. When this returns, the callback before is running nowhere and is never
 * called again, so what its `user_data` pointed to may be freed. Any thread may call it.
 *
 * LONGATTN_STATUS_INVALID_ARGUMENT for a level that is not one of LONGATTN_LOG_OFF to LONGATTN_LOG_TRACE;
 * LONGATTN_STATUS_UNSUPPORTED where the library is linked into a Rust program that has a logger of its own.
 */
longattn_status longattn_log_set(longattn_log_callback callback,
                                 void *user_data,
                                 int32_t max_level,
                                 longattn_error **error);

/**
 * Is the command `longattn`, for a package that carries the library alone: takes the arguments of main(), the program's name
 * first, reads and writes the standard streams, and returns the exit status: 0 for success, 1 for a failure, 2 for a wrong
 * command line, 130 for an interrupt.
 *
 * It is for a program that does nothing else. It handles SIGINT from then on: the first one stops the work, a second one ends
 * the process. A library that was built without the feature `cli` lacks it.
 */
int longattn_main(int argc,
                  char **argv);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* LONGATTN_H */
