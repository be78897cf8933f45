"""The settings, from the one table of the library: made by generate.py."""

# fmt: off
# ruff: noqa
from __future__ import annotations

from os import PathLike
from typing import Literal, TypedDict, Union


class Settings(TypedDict, total=False):
    """Keywords of everything that takes settings. A value may also be the text that the command line takes."""

    window: Union[int, str]
    """Length of a window. Valid: a whole number from 1; 32768 unless set."""
    min_distance: Union[int, str]
    """Shortest distance that counts as far; auto is a quarter of the tokens that are scored together, whatever window says.
    Valid: auto, or a whole number from 0; auto unless set."""
    sink_tokens: Union[int, str]
    """First positions that never count as far; auto is 0 for the first layer and 4 for deeper ones. Valid: auto, or a whole
    number from 0; auto unless set."""
    rows: Union[int, str]
    """Rows of attention to compute: all, or about so many of a window, at least 320, to estimate its score from. Valid: all,
    or a whole number from 1; all unless set."""
    profile: bool
    """Whether scores get a distance profile: attention at the distances 0, 1, 2 to 3, 4 to 7 and so on; needs all rows. Valid:
    true, false; false unless set."""
    variance_domain: Literal['map', 'triangle']
    """Entries over which the variance runs: the whole map, by L² − 1 as the released code does, or the far triangle, by its
    entries. Valid: map, triangle; map unless set."""
    columns: str
    """Further scores of each window. Those that are predicted take the fitted score of a package; the others need no model.
    Valid: none, or some of compression_ratio, zstd_compression_ratio, compression_gain, zstd_compression_gain,
    bigram_recurrence, trigram_recurrence, ngram_gain, weighted_ngram_gain, predicted_gain, predicted_gain_error with commas
    between them; none unless set."""
    tokenizer: Union[str, PathLike[str]]
    """A tokenizer.json to cut windows by where the model is none; auto is words. Valid: auto, or a path; auto unless set."""
    special_tokens: Literal['split', 'as-text']
    """What the name of a special token in a text becomes: split makes it the token, as transformers does unless told
    otherwise; as-text leaves it text like any other. Valid: split, as-text; split unless set."""
    by: str
    """Column by which windows are ranked, the highest first; auto is the long-distance dependency score. Valid: auto, or a
    name; auto unless set."""
    alpha: Union[float, str]
    """Weight of distribution uniformity in the long-distance dependency score; auto is the paper's 0.5, and -1 for a job whose
    model scores a deeper layer. Valid: auto, or a finite number; auto unless set."""
    standardize: Literal['z-score', 'min-max']
    """How scores are standardised within a category. Valid: z-score, min-max; z-score unless set."""
    ratio: Union[float, str]
    """Share of each category's windows to select; 0.25 where no other cut is set. Valid: auto, or a number from 0 to 1; auto
    unless set."""
    count: Union[int, str]
    """Number of windows to select from each category. Valid: auto, or a whole number from 0; auto unless set."""
    token_budget: Union[int, str]
    """Tokens to select from each category: the best windows that fit. Valid: auto, or a whole number from 0; auto unless
    set."""
    total_token_budget: Union[int, str]
    """Tokens to select from all categories together, shared out by category_weights; what one is too small for goes to the
    others. Valid: auto, or a whole number from 0; auto unless set."""
    category_weights: Union[float, str]
    """Weights of categories in total_token_budget; 1 for those that are not named. Valid: none, or CATEGORY=VALUE with commas
    between them, the value a number from 0; none unless set."""
    category_cuts: str
    """Cuts of categories that have one of their own, such as code=ratio:0.1,books=count:500. Valid: none, or CATEGORY=VALUE
    with commas between them, the value ratio:R, count:N, token_budget:T or threshold:S; none unless set."""
    max_per_document: Union[int, str]
    """Windows of one document that may be selected, the best ones; auto is any number. Valid: auto, or a whole number from 1;
    auto unless set."""
    filter: str
    """Windows that take part at all: conditions on any column of scores; auto is all windows. Valid: auto, or COLUMN between A
    and B, or COLUMN >= A, with >=, <=, >, < or ==, and several joined by and; auto unless set."""
    explain: str
    """The id of a window of which it is told why it was selected or not. Valid: auto, or a name; auto unless set."""
    threshold: Union[float, str]
    """Select every window whose long-distance dependency score is at least this. Valid: auto, or a finite number; auto unless
    set."""
    mixed_lengths: Literal['refuse', 'allow']
    """Whether windows of different lengths or minimum distances may compete in a category: their scores are not comparable.
    Valid: refuse, allow; refuse unless set."""
    confidence: Union[float, str]
    """How probable an adaptive selection must be to equal the one by exact scores. Valid: a number from 0.5 to 0.999; 0.99
    unless set."""
    adaptive: bool
    """Whether a job scores on few rows first, and on more only what is in doubt at the cut. Valid: true, false; false unless
    set."""
    per_head: bool
    """Whether a job writes what each head says too. Valid: true, false; false unless set."""
    gain: bool
    """Whether records are scored with their information gain too, by all layers of a package exported with --gain. Valid:
    true, false; false unless set."""
    keep_fields: bool
    """Whether scores of records carry the text and the other fields of each along, and selected windows those of their
    documents, in fields. Valid: true, false; false unless set."""
    text_field: str
    """Field with the text of a document, or the path to it, as in metadata.text; auto is text, or else content. Valid: auto,
    or a name; auto unless set."""
    id_field: str
    """Field with the id of a document; auto is id, or else the file's name and line. Valid: auto, or a name; auto unless
    set."""
    category_field: str
    """Field with the category of a document; auto is category, or else the name of the file or folder. Valid: auto, or a name;
    auto unless set."""
    category: str
    """Category of documents whose records name none, for inputs that are shards of one; auto is the name of the input file or
    folder. Valid: auto, or a name; auto unless set."""
    shard: str
    """One share of the corpus, for a job that many machines do; auto is all of it. Valid: auto, or I/N, the I-th of N shares
    counted from 1; auto unless set."""
    ids_from_place: bool
    """Whether ids are made of the file's name and line, whatever records say: where each file counts from 0. Valid: true,
    false; false unless set."""
    document_limit: Union[int, str]
    """Longest line or text that is read as a document; longer ones are rejected. Valid: a number of bytes, such as 600MB or
    8GiB; 1GiB unless set."""
    output_format: str
    """Format of what is written; auto is what the name of the output says, and jsonl in a result directory and on a stream.
    Valid: auto, or jsonl, jsonl.gz, jsonl.zst, jsonl.bz2, jsonl.xz, jsonl.lz4, parquet; auto unless set."""
    output_shard_size: Union[int, str]
    """Bytes of rows, counted as JSON lines before compression, behind which another file of an output begins; auto is one
    file. Valid: auto, or a number of bytes, such as 600MB or 8GiB; auto unless set."""
    attributes: str
    """A name under which scores are also written as attributes of the documents, as the Dolma tools lay them out; auto is not.
    Valid: auto, or a name; auto unless set."""
    upload: str
    """A folder on another machine to which finished outputs are copied, the summary last: s3://, gs://, az://, http:// or
    https://. Valid: auto, or the URL of a folder, such as s3://bucket/results, without user, password and query; auto unless
    set."""
    on_error: Literal['reject', 'fail']
    """What a job does about a record, file or window that cannot be used: reject it and go on, or fail. Valid: reject, fail;
    reject unless set."""
    earlier_results: Literal['refuse', 'resume', 'overwrite']
    """What a job does about results that are in its directory already: refuse, resume or overwrite. Valid: refuse, resume,
    overwrite; refuse unless set."""
    metrics: Union[str, PathLike[str]]
    """A file for metrics in the text format of Prometheus, replaced every ten seconds and at the end. Valid: auto, or a path;
    auto unless set."""
    truth: Literal['spliced', 'gain']
    """What a calibration compares scores with: spliced windows, or the information gain of real ones. Valid: spliced, gain;
    spliced unless set."""
    truth_model: Union[str, PathLike[str]]
    """The scorer package that tells the gain in a calibration, exported with --gain; auto is the one that scores. Valid: auto,
    or a path; auto unless set."""
    fit: bool
    """Whether a calibration fits a score that predicts the gain, and writes it into the package. Valid: true, false; false
    unless set."""
    calibration_windows: Union[int, str]
    """Real windows of each category that a calibration draws, and as many spliced ones. Valid: a whole number from 1; 40
    unless set."""
    pieces: Union[int, str]
    """Pieces of a spliced window. Valid: a whole number from 1; 8 unless set."""
    calibration_sinks: Union[int, str]
    """First positions that never count as far, one or more settings that a calibration compares. Valid: a whole number from 0,
    or several with commas between them; 0,4 unless set."""
    seed: Union[int, str]
    """Another number draws other windows of the same corpus for a calibration. Valid: a whole number from 0; 0 unless set."""
    heads: bool
    """Whether a calibration says what each head is worth, too. Valid: true, false; false unless set."""
    layer: str
    """One layer of a package that holds several, by its number; auto is all. Of a model of another exporter, an attention map
    by name or index; auto is the first. Valid: auto, or a name; auto unless set."""
    threads: Union[int, str]
    """Threads to compute on; auto is one for each core. Valid: auto, or a whole number from 1; auto unless set."""
    memory_limit: Union[int, str]
    """Memory that attention maps, whole queries and keys of deeper layers, or the tokens of one document, may take. Valid: a
    number of bytes, such as 600MB or 8GiB; 8GiB unless set."""
    weights_in_memory: bool
    """Whether weights are read into memory as a package is opened. Else they stay in their files, which the processes of a
    machine share and nobody may change meanwhile. Valid: true, false; false unless set."""
    onnxruntime: Union[str, PathLike[str]]
    """ONNX Runtime's shared library; auto looks in the usual places. Valid: auto, or a path; auto unless set."""
    execution_provider: Union[str, PathLike[str]]
    """What runs the model: an execution provider of ONNX Runtime's, or the path of a plug-in library with one. Valid: cpu,
    cuda, tensorrt, rocm, migraphx, openvino, coreml, directml, or the path of a plug-in library; cpu unless set."""
    device_id: Union[int, str]
    """Device of the execution provider, counted from 0; auto is the one that it chooses. Valid: auto, or a whole number from
    0; auto unless set."""
    provider_options: str
    """Further options of the execution provider, under its own names. Valid: none, or key=value,key=value with each key once;
    none unless set."""
    precision: Literal['auto', 'float32', 'int16']
    """Numbers in which queries and keys are multiplied; auto is float32 for all rows, and for samples the faster int16. Valid:
    auto, or float32, int16; auto unless set."""
    instruction_set: Literal['auto', 'portable', 'avx2', 'avx512', 'neon']
    """Vector instructions of the streaming kernel; auto takes the widest that this machine has. Valid: auto, portable, avx2,
    avx512, neon; auto unless set."""
