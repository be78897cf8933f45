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
    """Entries over which the variance runs: the whole map as the released code does, or the far triangle. Valid: map,
    triangle; map unless set."""
    alpha: Union[float, str]
    """Weight of distribution uniformity in the long-distance dependency score. Valid: a finite number; 0.5 unless set."""
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
    """Whether scores of records carry the text and the other fields of each along. Valid: true, false; false unless set."""
    text_field: str
    """Field with the text of a document; auto is text, or else content. Valid: auto, or a name; auto unless set."""
    id_field: str
    """Field with the id of a document; auto is id, or else the file's name and line. Valid: auto, or a name; auto unless
    set."""
    category_field: str
    """Field with the category of a document; auto is category, or else the name of the file or folder. Valid: auto, or a name;
    auto unless set."""
    document_limit: Union[int, str]
    """Longest line or text that is read as a document; longer ones are rejected. Valid: a number of bytes, such as 600MB or
    8GiB; 1GiB unless set."""
    on_error: Literal['reject', 'fail']
    """What a job does about a record, file or window that cannot be used: reject it and go on, or fail. Valid: reject, fail;
    reject unless set."""
    earlier_results: Literal['refuse', 'resume', 'overwrite']
    """What a job does about results that are in its directory already: refuse, resume or overwrite. Valid: refuse, resume,
    overwrite; refuse unless set."""
    truth: Literal['spliced', 'gain']
    """What a calibration compares scores with: spliced windows, or the information gain of real ones. Valid: spliced, gain;
    spliced unless set."""
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
    """Memory that attention maps, or whole queries and keys of deeper layers, may take. Valid: a number of bytes, such as
    600MB or 8GiB; 8GiB unless set."""
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
