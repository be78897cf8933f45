"""What include/longattn.h declares, for ctypes: made by generate.py.

Pointers are numbers, but for texts that go in: those are bytes.
"""

# fmt: off
# ruff: noqa
from __future__ import annotations

from ctypes import (
    CFUNCTYPE, Structure, c_bool, c_char_p, c_double, c_int, c_int32, c_size_t, c_uint32, c_uint64, c_void_p,
)
from typing import Any

LONGATTN_ABI_VERSION = 1
LONGATTN_DISTANCE_BUCKETS = 32
LONGATTN_STAGE_READING = 0
LONGATTN_STAGE_REFINING = 1
LONGATTN_STAGE_SCORING = 2
LONGATTN_STAGE_WRITING = 3
LONGATTN_LOG_OFF = 0
LONGATTN_LOG_ERROR = 1
LONGATTN_LOG_WARN = 2
LONGATTN_LOG_INFO = 3
LONGATTN_LOG_DEBUG = 4
LONGATTN_LOG_TRACE = 5
LONGATTN_STATUS_OK = 0
LONGATTN_STATUS_INVALID_ARGUMENT = 1
LONGATTN_STATUS_INVALID_UTF8 = 2
LONGATTN_STATUS_INVALID_SETTING = 3
LONGATTN_STATUS_IO = 4
LONGATTN_STATUS_INVALID_RECORD = 5
LONGATTN_STATUS_INVALID_MODEL = 6
LONGATTN_STATUS_UNSUPPORTED = 7
LONGATTN_STATUS_RUNTIME = 8
LONGATTN_STATUS_MEMORY_LIMIT = 9
LONGATTN_STATUS_NON_FINITE = 10
LONGATTN_STATUS_TOO_SHORT = 11
LONGATTN_STATUS_CANCELLED = 12
LONGATTN_STATUS_INTERNAL = 13

longattn_progress = CFUNCTYPE(None, c_uint64, c_uint64, c_void_p)
longattn_progress_callback = CFUNCTYPE(None, c_void_p, c_void_p)
longattn_reject_callback = CFUNCTYPE(None, c_void_p, c_void_p)
longattn_notice_callback = CFUNCTYPE(None, c_void_p, c_size_t, c_void_p)
longattn_log_callback = CFUNCTYPE(None, c_int32, c_void_p, c_size_t, c_void_p)


class longattn_text(Structure):
    data: int | None
    length: int
    _fields_ = [
        ("data", c_void_p),
        ("length", c_size_t),
    ]


class longattn_setting(Structure):
    key: int | None
    placeholder: int | None
    valid: int | None
    default_value: int | None
    help: int | None
    _fields_ = [
        ("key", c_void_p),
        ("placeholder", c_void_p),
        ("valid", c_void_p),
        ("default_value", c_void_p),
        ("help", c_void_p),
    ]


class longattn_window(Structure):
    token_start: int
    token_count: int
    byte_start: int
    byte_end: int
    ids: int | None
    _fields_ = [
        ("token_start", c_size_t),
        ("token_count", c_size_t),
        ("byte_start", c_size_t),
        ("byte_end", c_size_t),
        ("ids", c_void_p),
    ]


class longattn_head_score(Structure):
    proportion: float
    variance: float
    _fields_ = [
        ("proportion", c_double),
        ("variance", c_double),
    ]


class longattn_score(Structure):
    token_count: int
    min_distance: int
    sink_tokens: int
    head_count: int
    dependency_strength: float
    distribution_uniformity: float
    rows: int
    dependency_strength_error: float
    distribution_uniformity_error: float
    untrained_tokens: int
    far_square_mass: float
    reserved: Any
    _fields_ = [
        ("token_count", c_uint64),
        ("min_distance", c_uint64),
        ("sink_tokens", c_uint64),
        ("head_count", c_uint64),
        ("dependency_strength", c_double),
        ("distribution_uniformity", c_double),
        ("rows", c_uint64),
        ("dependency_strength_error", c_double),
        ("distribution_uniformity_error", c_double),
        ("untrained_tokens", c_uint64),
        ("far_square_mass", c_double),
        ("reserved", c_uint64 * 2),
    ]


class longattn_input(Structure):
    text: int | None
    text_length: int
    ids: int | None
    id_count: int
    _fields_ = [
        ("text", c_void_p),
        ("text_length", c_size_t),
        ("ids", c_void_p),
        ("id_count", c_size_t),
    ]


class longattn_distance_profile(Structure):
    bucket_count: int
    shares: Any
    _fields_ = [
        ("bucket_count", c_uint64),
        ("shares", c_double * 32),
    ]


class longattn_result(Structure):
    status: int
    error: int | None
    score: Any
    _fields_ = [
        ("status", c_int32),
        ("error", c_void_p),
        ("score", longattn_score),
    ]


class longattn_layer_score(Structure):
    layer: int
    dependency_strength: float
    distribution_uniformity: float
    far_square_mass: float
    reserved: Any
    _fields_ = [
        ("layer", c_uint64),
        ("dependency_strength", c_double),
        ("distribution_uniformity", c_double),
        ("far_square_mass", c_double),
        ("reserved", c_uint64 * 2),
    ]


class longattn_details(Structure):
    has_rows: bool
    rows: int
    heads: int | None
    head_capacity: int
    layers: int | None
    layer_capacity: int
    profiles: int | None
    reserved: Any
    _fields_ = [
        ("has_rows", c_bool),
        ("rows", c_size_t),
        ("heads", c_void_p),
        ("head_capacity", c_size_t),
        ("layers", c_void_p),
        ("layer_capacity", c_size_t),
        ("profiles", c_void_p),
        ("reserved", c_void_p * 4),
    ]


class longattn_ranked(Structure):
    id: int | None
    id_length: int
    category: int | None
    category_length: int
    rank: int
    token_count: int
    dependency_strength: float
    distribution_uniformity: float
    long_distance_dependency_score: float
    selected: bool
    _fields_ = [
        ("id", c_void_p),
        ("id_length", c_size_t),
        ("category", c_void_p),
        ("category_length", c_size_t),
        ("rank", c_uint64),
        ("token_count", c_uint64),
        ("dependency_strength", c_double),
        ("distribution_uniformity", c_double),
        ("long_distance_dependency_score", c_double),
        ("selected", c_bool),
    ]


class longattn_path(Structure):
    data: int | None
    length: int
    _fields_ = [
        ("data", c_void_p),
        ("length", c_size_t),
    ]


class longattn_job_progress(Structure):
    stage: int
    has_total: bool
    done: int
    total: int
    windows: int
    tokens: int
    reserved: Any
    _fields_ = [
        ("stage", c_int32),
        ("has_total", c_bool),
        ("done", c_uint64),
        ("total", c_uint64),
        ("windows", c_uint64),
        ("tokens", c_uint64),
        ("reserved", c_uint64 * 4),
    ]


class longattn_reject(Structure):
    file: int | None
    file_length: int
    line: int
    id: int | None
    id_length: int
    reason: int | None
    reason_length: int
    record: int | None
    record_length: int
    reserved: Any
    _fields_ = [
        ("file", c_void_p),
        ("file_length", c_size_t),
        ("line", c_uint64),
        ("id", c_void_p),
        ("id_length", c_size_t),
        ("reason", c_void_p),
        ("reason_length", c_size_t),
        ("record", c_void_p),
        ("record_length", c_size_t),
        ("reserved", c_uint64 * 4),
    ]


class longattn_observer(Structure):
    progress: Any
    reject: Any
    notice: Any
    user_data: int | None
    reserved: Any
    _fields_ = [
        ("progress", longattn_progress_callback),
        ("reject", longattn_reject_callback),
        ("notice", longattn_notice_callback),
        ("user_data", c_void_p),
        ("reserved", c_void_p * 4),
    ]


class longattn_summary(Structure):
    documents_windowed: int
    documents_too_short: int
    records_rejected: int
    duplicates: int
    files_rejected: int
    windows_rejected: int
    longest_document: int
    windows: int
    windows_known: int
    windows_exact: int
    windows_selected: int
    tokens_selected: int
    tokens_scored: int
    rows_computed: int
    rows_of_exact_scores: int
    calls: int
    seconds: float
    windows_filtered: int
    reserved: Any
    _fields_ = [
        ("documents_windowed", c_uint64),
        ("documents_too_short", c_uint64),
        ("records_rejected", c_uint64),
        ("duplicates", c_uint64),
        ("files_rejected", c_uint64),
        ("windows_rejected", c_uint64),
        ("longest_document", c_uint64),
        ("windows", c_uint64),
        ("windows_known", c_uint64),
        ("windows_exact", c_uint64),
        ("windows_selected", c_uint64),
        ("tokens_selected", c_uint64),
        ("tokens_scored", c_uint64),
        ("rows_computed", c_uint64),
        ("rows_of_exact_scores", c_uint64),
        ("calls", c_uint64),
        ("seconds", c_double),
        ("windows_filtered", c_uint64),
        ("reserved", c_uint64 * 14),
    ]


class longattn_job_category(Structure):
    name: int | None
    name_length: int
    windows: int
    selected: int
    reserved: Any
    _fields_ = [
        ("name", c_void_p),
        ("name_length", c_size_t),
        ("windows", c_uint64),
        ("selected", c_uint64),
        ("reserved", c_uint64 * 4),
    ]


# Each function's result and parameters.
FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "longattn_version": (c_void_p, []),
    "longattn_abi_version": (c_uint32, []),
    "longattn_status_name": (c_void_p, [c_int32]),
    "longattn_status_is_fatal": (c_bool, [c_int32]),
    "longattn_error_status": (c_int32, [c_void_p]),
    "longattn_error_message": (c_void_p, [c_void_p, c_void_p]),
    "longattn_error_free": (None, [c_void_p]),
    "longattn_text_free": (None, [c_void_p]),
    "longattn_config_new": (c_void_p, []),
    "longattn_config_clone": (c_void_p, [c_void_p]),
    "longattn_config_set": (c_int32, [c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_void_p]),
    "longattn_config_get": (c_int32, [c_void_p, c_char_p, c_size_t, c_void_p, c_void_p]),
    "longattn_config_free": (None, [c_void_p]),
    "longattn_setting_count": (c_size_t, []),
    "longattn_setting_get": (c_int32, [c_size_t, c_void_p, c_void_p]),
    "longattn_tokens_count": (c_size_t, [c_void_p]),
    "longattn_tokens_ids": (c_void_p, [c_void_p]),
    "longattn_tokens_boundaries": (c_void_p, [c_void_p]),
    "longattn_tokens_free": (None, [c_void_p]),
    "longattn_windows_cut": (c_int32, [c_void_p, c_size_t, c_void_p, c_void_p]),
    "longattn_windows_count": (c_size_t, [c_void_p]),
    "longattn_windows_get": (c_int32, [c_void_p, c_size_t, c_void_p, c_void_p]),
    "longattn_windows_free": (None, [c_void_p]),
    "longattn_cancel_new": (c_void_p, []),
    "longattn_cancel_request": (None, [c_void_p]),
    "longattn_cancel_set_deadline": (None, [c_void_p, c_uint64]),
    "longattn_cancel_is_requested": (c_bool, [c_void_p]),
    "longattn_cancel_free": (None, [c_void_p]),
    "longattn_score_map": (c_int32, [c_void_p, c_size_t, c_size_t, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "longattn_score_query_key": (c_int32, [c_void_p, c_size_t, c_void_p, c_size_t, c_size_t, c_size_t, c_double, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "longattn_scorer_open": (c_int32, [c_char_p, c_size_t, c_void_p, c_void_p, c_void_p]),
    "longattn_scorer_free": (None, [c_void_p]),
    "longattn_scorer_describe": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "longattn_scorer_identity": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "longattn_scorer_config": (c_void_p, [c_void_p]),
    "longattn_scorer_head_count": (c_size_t, [c_void_p]),
    "longattn_scorer_score_text": (c_int32, [c_void_p, c_char_p, c_size_t, c_void_p, c_void_p]),
    "longattn_scorer_score_tokens": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "longattn_scorer_score": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "longattn_scorer_score_profile": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]),
    "longattn_scorer_score_many": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, longattn_progress, c_void_p, c_void_p, c_void_p]),
    "longattn_scorer_score_many_on": (c_int32, [c_void_p, c_size_t, c_void_p, c_size_t, c_void_p, longattn_progress, c_void_p, c_void_p, c_void_p]),
    "longattn_scorer_score_many_details": (c_int32, [c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, longattn_progress, c_void_p, c_void_p, c_void_p]),
    "longattn_results_free": (None, [c_void_p, c_size_t]),
    "longattn_scorer_tokenize": (c_int32, [c_void_p, c_char_p, c_size_t, c_void_p, c_void_p]),
    "longattn_scorer_cut": (c_int32, [c_void_p, c_char_p, c_size_t, c_void_p, c_void_p]),
    "longattn_scorer_layer_count": (c_size_t, [c_void_p]),
    "longattn_scorer_score_layers": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "longattn_scorer_losses": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_size_t, c_void_p, c_void_p]),
    "longattn_scorer_information_gain": (c_int32, [c_void_p, c_void_p, c_size_t, c_void_p, c_void_p, c_void_p]),
    "longattn_selector_new": (c_void_p, []),
    "longattn_selector_add": (c_int32, [c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_void_p, c_void_p]),
    "longattn_selector_count": (c_size_t, [c_void_p]),
    "longattn_selector_rescore": (c_int32, [c_void_p, c_size_t, c_void_p, c_void_p]),
    "longattn_selector_in_doubt": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]),
    "longattn_selector_merge": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "longattn_selector_to_json": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "longattn_selector_from_json": (c_int32, [c_char_p, c_size_t, c_void_p, c_void_p]),
    "longattn_selector_finish": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p]),
    "longattn_selector_free": (None, [c_void_p]),
    "longattn_selection_count": (c_size_t, [c_void_p]),
    "longattn_selection_get": (c_int32, [c_void_p, c_size_t, c_void_p, c_void_p]),
    "longattn_selection_free": (None, [c_void_p]),
    "longattn_job_open": (c_int32, [c_void_p, c_void_p, c_size_t, c_char_p, c_size_t, c_void_p, c_void_p, c_void_p]),
    "longattn_job_run": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]),
    "longattn_job_score": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]),
    "longattn_job_select": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]),
    "longattn_job_summary": (c_int32, [c_void_p, c_void_p, c_void_p]),
    "longattn_job_category_count": (c_size_t, [c_void_p]),
    "longattn_job_category_get": (c_int32, [c_void_p, c_size_t, c_void_p, c_void_p]),
    "longattn_job_free": (None, [c_void_p]),
    "longattn_results_select": (c_int32, [c_void_p, c_size_t, c_char_p, c_size_t, c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]),
    "longattn_calibration_open": (c_int32, [c_void_p, c_void_p, c_size_t, c_char_p, c_size_t, c_void_p, c_void_p, c_void_p]),
    "longattn_calibration_run": (c_int32, [c_void_p, c_void_p, c_void_p, c_void_p, c_void_p]),
    "longattn_calibration_free": (None, [c_void_p]),
    "longattn_window_id": (c_int32, [c_char_p, c_size_t, c_size_t, c_void_p, c_void_p]),
    "longattn_category_of": (c_int32, [c_char_p, c_size_t, c_void_p, c_void_p]),
    "longattn_log_set": (c_int32, [longattn_log_callback, c_void_p, c_int32, c_void_p]),
    "longattn_main": (c_int, [c_int, c_void_p]),
}
