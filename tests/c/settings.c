/* Version, config, errors and the log. */

#include "check.h"

#include <stdlib.h>

/* A pointer one byte off its alignment. */
#define MISALIGNED(type, memory) ((type *)(void *)((char *)(memory) + 1))

static void versions(void) {
    CHECK(strchr(longattn_version(), '.') != NULL);
    CHECK(longattn_abi_version() == LONGATTN_ABI_VERSION);
    CHECK(strcmp(longattn_status_name(LONGATTN_STATUS_OK), "ok") == 0);
    CHECK(strcmp(longattn_status_name(LONGATTN_STATUS_INVALID_UTF8), "invalid_utf8") == 0);
    for (int number = -1; number <= LONGATTN_STATUS_INTERNAL + 1; number++) {
        bool is_known = number >= LONGATTN_STATUS_OK && number <= LONGATTN_STATUS_INTERNAL;
        CHECK((strcmp(longattn_status_name((longattn_status)number), "unknown") != 0) == is_known);
    }
}

static void every_setting_has_a_valid_default(void) {
    CHECK(longattn_setting_count() > 10);
    longattn_config *config = longattn_config_new();
    for (size_t index = 0; index < longattn_setting_count(); index++) {
        longattn_setting setting;
        longattn_text value;
        SUCCEEDS(longattn_setting_get(index, &setting, &error));
        CHECK(strlen(setting.placeholder) > 0 && strlen(setting.valid) > 0 && strlen(setting.help) > 0);
        SUCCEEDS(longattn_config_get(config, TEXT(setting.key), &value, &error));
        CHECK(value.length == strlen(value.data) && strcmp(value.data, setting.default_value) == 0);
        SUCCEEDS(longattn_config_set(config, TEXT(setting.key), value.data, value.length, &error));
        longattn_text_free(&value);
        CHECK(value.data == NULL && value.length == 0);
        longattn_text_free(&value);
    }
    longattn_config_free(config);

    longattn_setting setting;
    size_t count = longattn_setting_count();
    FAILS(INVALID_ARGUMENT, "there is no setting", longattn_setting_get(count, &setting, &error));
    FAILS(INVALID_ARGUMENT, "there is no setting", longattn_setting_get(SIZE_MAX, &setting, &error));
    FAILS(INVALID_ARGUMENT, "setting is NULL", longattn_setting_get(0, NULL, &error));
}

static void check_value(const longattn_config *config, const char *key, const char *expected) {
    longattn_text value;
    SUCCEEDS(longattn_config_get(config, TEXT(key), &value, &error));
    CHECK(strcmp(value.data, expected) == 0);
    longattn_text_free(&value);
}

static void wrong_settings_change_nothing(void) {
    longattn_config *config = config_with("window", "64");
    FAILS(INVALID_SETTING, "min_distance", longattn_config_set(config, TEXT("windows"), TEXT("1"), &error));
    FAILS(INVALID_SETTING, "there is no setting \"\"", longattn_config_set(config, NULL, 0, TEXT("1"), &error));
    FAILS(INVALID_SETTING, "from 1", longattn_config_set(config, TEXT("window"), TEXT("0"), &error));
    FAILS(INVALID_SETTING, "from 1", longattn_config_set(config, TEXT("window"), NULL, 0, &error));
    FAILS(INVALID_SETTING, "from 1", longattn_config_set(config, TEXT("window"), "6\0004", 3, &error));
    FAILS(INVALID_ARGUMENT, "config is NULL", longattn_config_set(NULL, TEXT("window"), TEXT("1"), &error));
    FAILS(INVALID_ARGUMENT, "key is NULL", longattn_config_set(config, NULL, 6, TEXT("1"), &error));
    FAILS(INVALID_ARGUMENT, "value is NULL", longattn_config_set(config, TEXT("window"), NULL, 1, &error));
    FAILS(INVALID_ARGUMENT, "key cannot have a length", longattn_config_set(config, "window", SIZE_MAX, "1", 1, &error));
    FAILS(INVALID_ARGUMENT, "value cannot have a length",
          longattn_config_set(config, TEXT("window"), "1", SIZE_MAX / 2 + 1, &error));
    FAILS(INVALID_UTF8, "key is not valid UTF-8 at byte 1", longattn_config_set(config, "w\xff", 2, "1", 1, &error));
    FAILS(INVALID_UTF8, "value is not valid UTF-8 at byte 0",
          longattn_config_set(config, TEXT("window"), "\xc3", 1, &error));
    FAILS(INVALID_ARGUMENT, "config is not aligned",
          longattn_config_set(MISALIGNED(longattn_config, config), TEXT("window"), TEXT("1"), &error));
    check_value(config, "window", "64");

    longattn_text value = {"untouched", 9};
    FAILS(INVALID_SETTING, "min_distance", longattn_config_get(config, TEXT("windows"), &value, &error));
    FAILS(INVALID_ARGUMENT, "config is NULL", longattn_config_get(NULL, TEXT("window"), &value, &error));
    FAILS(INVALID_ARGUMENT, "key is NULL", longattn_config_get(config, NULL, 1, &value, &error));
    FAILS(INVALID_ARGUMENT, "value is NULL", longattn_config_get(config, TEXT("window"), NULL, &error));
    FAILS(INVALID_ARGUMENT, "value is not aligned",
          longattn_config_get(config, TEXT("window"), MISALIGNED(longattn_text, &value), &error));
    CHECK(strcmp(value.data, "untouched") == 0 && value.length == 9);
    longattn_config_free(config);
    longattn_config_free(NULL);
}

static void clones_are_independent(void) {
    longattn_config *config = config_with("window", "64");
    longattn_config *clone = longattn_config_clone(config);
    SUCCEEDS(longattn_config_set(config, TEXT("window"), TEXT("65"), &error));
    longattn_config_free(config);
    check_value(clone, "window", "64");
    longattn_config_free(clone);
    CHECK(longattn_config_clone(NULL) == NULL);
}

static void errors_are_optional(void) {
    longattn_config *config = longattn_config_new();
    CHECK(longattn_config_set(config, TEXT("x"), TEXT("1"), NULL) == LONGATTN_STATUS_INVALID_SETTING);
    /* A NUL in a message is replaced, so that it ends where C thinks it does. */
    FAILS(INVALID_SETTING, "x", longattn_config_set(config, "x\0y", 3, TEXT("1"), &error));
    longattn_config_free(config);

    size_t length = 1;
    CHECK(longattn_error_message(NULL, &length) == NULL && length == 0);
    CHECK(longattn_error_message(NULL, NULL) == NULL);
    CHECK(longattn_error_status(NULL) == LONGATTN_STATUS_OK);
    longattn_error_free(NULL);
    longattn_text_free(NULL);
}

struct log {
    int count;
    int32_t level;
    char message[512];
};

static void keep(int32_t level, const char *message, size_t length, void *user_data) {
    struct log *log = user_data;
    log->count++;
    log->level = level;
    snprintf(log->message, sizeof log->message, "%.*s", (int)length, message);
}

/* Scores more tokens than the 64 positions that the model was trained for. */
static void score_too_many_tokens(void) {
    longattn_scorer *scorer = open_scorer(QUERY_KEY, NULL, NULL);
    char *text = random_text(100, 1);
    longattn_score score;
    SUCCEEDS(longattn_scorer_score_text(scorer, TEXT(text), &score, &error));
    free(text);
    longattn_scorer_free(scorer);
}

static void warnings_are_logged(void) {
    struct log log = {0}, other = {0};
    SUCCEEDS(longattn_log_set(keep, &log, LONGATTN_LOG_WARN, &error));
    score_too_many_tokens();
    CHECK(log.count == 1 && log.level == LONGATTN_LOG_WARN);
    CHECK(strstr(log.message, "64 positions") != NULL);

    SUCCEEDS(longattn_log_set(keep, &other, LONGATTN_LOG_ERROR, &error));
    score_too_many_tokens();
    CHECK(log.count == 1 && other.count == 0);

    SUCCEEDS(longattn_log_set(keep, &other, LONGATTN_LOG_OFF, &error));
    SUCCEEDS(longattn_log_set(NULL, NULL, LONGATTN_LOG_TRACE, &error));
    score_too_many_tokens();
    CHECK(log.count == 1 && other.count == 0);

    FAILS(INVALID_ARGUMENT, "no log level 6", longattn_log_set(keep, &log, 6, &error));
    FAILS(INVALID_ARGUMENT, "no log level -1", longattn_log_set(keep, &log, -1, &error));
}

const struct test settings_tests[] = {
    {"versions", versions},
    {"every setting has a valid default", every_setting_has_a_valid_default},
    {"wrong settings change nothing", wrong_settings_change_nothing},
    {"clones are independent", clones_are_independent},
    {"errors are optional", errors_are_optional},
    {"warnings are logged", warnings_are_logged},
    {NULL, NULL},
};
