//! The table of settings. The command-line flags, the C ABI, the bindings and the reference page all come from it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use bytesize::ByteSize;

use crate::attention::{InstructionSet, Precision};
use crate::calibrate::{Plan, Truth};
use crate::choice::Choice;
use crate::corpus::{Destination, Layout, OutputFormat, Shard};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{BuiltIn, ExecutionProvider, ProviderOptions};
use crate::rivals::Column;
use crate::score::VarianceDomain;
use crate::select::{Cut, Filter, MOST_CONFIDENCE, Method, MixedLengths, PAPER_ALPHA, Standardize, default_alpha};
use crate::tokenizer::{MEMORY_LIMIT, SpecialTokens, Tokenizer};

/// The share of each category's windows that is selected where no cut is set.
pub const DEFAULT_RATIO: f64 = 0.25;

/// One row of the table of settings.
pub struct Setting {
    /// The key, in `snake_case`. The command-line flag is the same word with dashes.
    pub key: &'static str,
    /// What a value stands for, in capitals, as help texts show it: `TOKENS`.
    pub placeholder: &'static str,
    /// Which values are valid, in words.
    pub valid: fn() -> String,
    /// One line of help.
    pub help: &'static str,
    get: fn(&Config) -> String,
    set: fn(&mut Config, &str) -> bool,
}

impl Setting {
    /// The default, as text that [`Config::set`] takes.
    pub fn default(&self) -> String {
        (self.get)(&Config::default())
    }

    /// The command-line flag, without the leading dashes.
    pub fn flag(&self) -> String {
        self.key.replace('_', "-")
    }
}

/// A type that a setting's value can have.
trait Value: Sized {
    fn parse(text: &str) -> Option<Self>;
    fn format(&self) -> String;
    fn valid() -> String;
}

impl<T: Choice> Value for T {
    fn parse(text: &str) -> Option<Self> {
        Self::NAMES.iter().find(|row| row.0 == text).map(|row| row.1)
    }

    fn format(&self) -> String {
        self.name().to_owned()
    }

    fn valid() -> String {
        let names: Vec<_> = Self::NAMES.iter().map(|row| row.0).collect();
        names.join(", ")
    }
}

/// A number within the bounds that its type names.
macro_rules! number {
    ($type:ty, $valid:literal, $accepts:expr) => {
        impl Value for $type {
            fn parse(text: &str) -> Option<Self> {
                text.parse().ok().filter($accepts)
            }
            fn format(&self) -> String {
                self.to_string()
            }
            fn valid() -> String {
                $valid.to_owned()
            }
        }
    };
}

number!(usize, "a whole number from 0", |_| true);
number!(NonZeroUsize, "a whole number from 1", |_| true);
number!(f64, "a finite number", |number: &f64| number.is_finite());

/// A share of a whole.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio(f64);

impl Ratio {
    /// The share as a number from 0 to 1.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Value for Ratio {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|share| (0.0..=1.0).contains(share)).map(Self)
    }

    fn format(&self) -> String {
        self.0.to_string()
    }

    fn valid() -> String {
        "a number from 0 to 1".to_owned()
    }
}

/// How probable it must be that something is as it would be by exact scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Confidence(f64);

impl Confidence {
    /// The probability, from 0.5 to [`MOST_CONFIDENCE`].
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Value for Confidence {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|probability| (0.5..=MOST_CONFIDENCE).contains(probability)).map(Self)
    }

    fn format(&self) -> String {
        self.0.to_string()
    }

    fn valid() -> String {
        format!("a number from 0.5 to {MOST_CONFIDENCE}")
    }
}

/// What becomes of a job that meets a record, a file or a window that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// It is told and counted as a reject, and the rest goes on.
    Reject,
    /// The job stops at the first.
    Fail,
}

impl Choice for OnError {
    const NAMES: &'static [(&'static str, Self)] = &[("reject", Self::Reject), ("fail", Self::Fail)];
}

/// What a job does about the results of an earlier call in its directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EarlierResults {
    /// It leaves them alone and fails.
    Refuse,
    /// It goes on with them, and scores only what is new or has changed.
    Resume,
    /// It removes them and begins anew.
    Overwrite,
}

impl Choice for EarlierResults {
    const NAMES: &'static [(&'static str, Self)] =
        &[("refuse", Self::Refuse), ("resume", Self::Resume), ("overwrite", Self::Overwrite)];
}

/// Rows of attention that a score is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// All: the score is exact.
    All,
    /// About so many of a window, evenly among its rows: the score is an estimate with a standard error.
    Sample(NonZeroUsize),
}

impl Value for Rows {
    fn parse(text: &str) -> Option<Self> {
        if text == ALL { Some(Self::All) } else { text.parse().ok().map(Self::Sample) }
    }

    fn format(&self) -> String {
        match self {
            Self::All => ALL.to_owned(),
            Self::Sample(count) => count.to_string(),
        }
    }

    fn valid() -> String {
        format!("{ALL}, or {}", NonZeroUsize::valid())
    }
}

/// The word for rows of which none is left out.
const ALL: &str = "all";

impl Value for ByteSize {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn format(&self) -> String {
        let bytes = self.as_u64();
        let units = [(bytesize::GIB, "GiB"), (bytesize::MIB, "MiB"), (bytesize::KIB, "KiB")];
        let exact = units.into_iter().find(|(unit, _)| bytes > 0 && bytes.is_multiple_of(*unit));
        exact.map_or_else(|| format!("{bytes}B"), |(unit, name)| format!("{}{name}", bytes / unit))
    }

    fn valid() -> String {
        "a number of bytes, such as 600MB or 8GiB".to_owned()
    }
}

impl Value for String {
    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.to_owned())
    }

    fn format(&self) -> String {
        self.clone()
    }

    fn valid() -> String {
        "a name".to_owned()
    }
}

impl Value for Filter {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn format(&self) -> String {
        self.to_string()
    }

    fn valid() -> String {
        "COLUMN between A and B, or COLUMN >= A, with >=, <=, >, < or ==, and several joined by and".to_owned()
    }
}

/// A cut of one category, under the names of the settings for all.
impl Value for Cut {
    fn parse(text: &str) -> Option<Self> {
        let (kind, value) = text.split_once(':')?;
        match kind {
            "ratio" => Ratio::parse(value).map(|share| Self::Ratio(share.get())),
            "count" => Value::parse(value).map(Self::Count),
            "token_budget" => Value::parse(value).map(Self::TokenBudget),
            "threshold" => Value::parse(value).map(Self::Threshold),
            _ => None,
        }
    }

    fn format(&self) -> String {
        match self {
            Self::Ratio(ratio) => format!("ratio:{ratio}"),
            Self::Count(count) => format!("count:{count}"),
            Self::TokenBudget(budget) | Self::TotalTokenBudget(budget) => format!("token_budget:{budget}"),
            Self::Threshold(threshold) => format!("threshold:{threshold}"),
        }
    }

    fn valid() -> String {
        "ratio:R, count:N, token_budget:T or threshold:S".to_owned()
    }
}

/// How much of something a category gets, compared with others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weight(f64);

impl Weight {
    /// The weight as a number from 0.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Value for Weight {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|weight: &f64| *weight >= 0.0 && weight.is_finite()).map(Self)
    }

    fn format(&self) -> String {
        self.0.to_string()
    }

    fn valid() -> String {
        "a number from 0".to_owned()
    }
}

/// Something for each of some categories. Names may hold commas: a value ends where the first one can be read.
impl<T: Value> Value for BTreeMap<String, T> {
    fn parse(text: &str) -> Option<Self> {
        let mut all = Self::new();
        if text == NONE {
            return Some(all);
        }
        let mut begun = String::new();
        for piece in text.split(',') {
            begun += piece;
            let read = begun.rsplit_once('=').and_then(|(name, value)| Some((name.to_owned(), T::parse(value)?)));
            match read.filter(|(name, _)| !name.is_empty()) {
                None => begun.push(','),
                Some((name, _)) if all.contains_key(&name) => return None,
                Some((name, value)) => {
                    all.insert(name, value);
                    begun.clear();
                }
            }
        }
        begun.is_empty().then_some(all)
    }

    fn format(&self) -> String {
        if self.is_empty() {
            return NONE.to_owned();
        }
        let pairs: Vec<_> = self.iter().map(|(name, value)| format!("{name}={}", value.format())).collect();
        pairs.join(",")
    }

    fn valid() -> String {
        format!("{NONE}, or CATEGORY=VALUE with commas between them, the value {}", T::valid())
    }
}

impl Value for Shard {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn format(&self) -> String {
        self.to_string()
    }

    fn valid() -> String {
        "I/N, the I-th of N shares counted from 1".to_owned()
    }
}

impl Value for Destination {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn format(&self) -> String {
        self.to_string()
    }

    fn valid() -> String {
        "the URL of a folder, such as s3://bucket/results, without user, password and query".to_owned()
    }
}

impl Value for PathBuf {
    fn parse(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| text.into())
    }

    fn format(&self) -> String {
        self.display().to_string()
    }

    fn valid() -> String {
        "a path".to_owned()
    }
}

impl Value for ExecutionProvider {
    fn parse(text: &str) -> Option<Self> {
        Self::parse(text)
    }

    fn format(&self) -> String {
        self.name()
    }

    fn valid() -> String {
        format!("{}, or the path of a plug-in library", BuiltIn::valid())
    }
}

impl Value for ProviderOptions {
    fn parse(text: &str) -> Option<Self> {
        if text == NONE { Some(Self::default()) } else { Self::parse(text) }
    }

    fn format(&self) -> String {
        if self.pairs().is_empty() { NONE.to_owned() } else { self.to_string() }
    }

    fn valid() -> String {
        format!("{NONE}, or key=value,key=value with each key once")
    }
}

/// The word for options of which there are none.
const NONE: &str = "none";

/// The word for a setting that was left for the library to decide.
const AUTO: &str = "auto";

impl<T: Value> Value for Option<T> {
    fn parse(text: &str) -> Option<Self> {
        match text {
            AUTO => Some(None),
            _ => T::parse(text).map(Some),
        }
    }

    fn format(&self) -> String {
        self.as_ref().map_or(AUTO.to_owned(), T::format)
    }

    fn valid() -> String {
        format!("{AUTO}, or {}", T::valid())
    }
}

impl<T: Value> Value for Vec<T> {
    fn parse(text: &str) -> Option<Self> {
        text.split(',').map(T::parse).collect()
    }

    fn format(&self) -> String {
        let items: Vec<_> = self.iter().map(T::format).collect();
        items.join(",")
    }

    fn valid() -> String {
        format!("{}, or several with commas between them", T::valid())
    }
}

/// Some of the named values, each once.
impl<T: Choice + Ord> Value for BTreeSet<T> {
    fn parse(text: &str) -> Option<Self> {
        if text == NONE { Some(Self::new()) } else { text.split(',').map(T::parse).collect() }
    }

    fn format(&self) -> String {
        let names: Vec<_> = self.iter().map(|value| value.name()).collect();
        if names.is_empty() { NONE.to_owned() } else { names.join(",") }
    }

    fn valid() -> String {
        format!("{NONE}, or some of {} with commas between them", T::valid())
    }
}

macro_rules! settings {
    ($(#[doc = $help:literal] $key:ident: $type:ty = $default:expr, $placeholder:literal;)*) => {
        /// Every setting, typed. Text keys and values go through [`Config::set`] and [`Config::get`].
        #[derive(Clone, Debug, PartialEq)]
        pub struct Config {
            $(#[doc = $help] pub $key: $type,)*
        }

        impl Default for Config {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        /// The table of settings, in the order in which help texts list them.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            key: stringify!($key),
            placeholder: $placeholder,
            valid: <$type as Value>::valid,
            help: $help.trim_ascii_start(),
            get: |config| config.$key.format(),
            set: |config, text| <$type as Value>::parse(text).map(|value| config.$key = value).is_some(),
        },)*];
    };
}

settings! {
    /// Length of a window.
    window: NonZeroUsize = NonZeroUsize::new(32768).unwrap(), "TOKENS";
    /// Shortest distance that counts as far; auto is a quarter of the tokens that are scored together, whatever window says.
    min_distance: Option<usize> = None, "TOKENS";
    /// First positions that never count as far; auto is 0 for the first layer and 4 for deeper ones.
    sink_tokens: Option<usize> = None, "TOKENS";
    /// Rows of attention to compute: all, or about so many of a window, at least 320, to estimate its score from.
    rows: Rows = Rows::All, "ROWS";
    /// Whether scores get a distance profile: attention at the distances 0, 1, 2 to 3, 4 to 7 and so on; needs all rows.
    profile: bool = false, "CHOICE";
    /// Entries over which the variance runs: the whole map, by L² − 1 as the released code does, or the far triangle, by its entries.
    variance_domain: VarianceDomain = VarianceDomain::Map, "DOMAIN";
    /// Further scores of each window. Those that are predicted take the fitted score of a package; the others need no model.
    columns: BTreeSet<Column> = BTreeSet::new(), "COLUMNS";
    /// A tokenizer.json to cut windows by where the model is none; auto is words.
    tokenizer: Option<PathBuf> = None, "FILE";
    /// What the name of a special token in a text becomes: split makes it the token, as transformers does unless told otherwise; as-text leaves it text like any other.
    special_tokens: SpecialTokens = SpecialTokens::Split, "CHOICE";
    /// Column by which windows are ranked, the highest first; auto is the long-distance dependency score.
    by: Option<String> = None, "COLUMN";
    /// Weight of distribution uniformity in the long-distance dependency score; auto is the paper's 0.5, and -1 for a job whose model scores a deeper layer.
    alpha: Option<f64> = None, "WEIGHT";
    /// How scores are standardised within a category.
    standardize: Standardize = Standardize::ZScore, "METHOD";
    /// Share of each category's windows to select; 0.25 where no other cut is set.
    ratio: Option<Ratio> = None, "SHARE";
    /// Number of windows to select from each category.
    count: Option<usize> = None, "WINDOWS";
    /// Tokens to select from each category: the best windows that fit.
    token_budget: Option<u64> = None, "TOKENS";
    /// Tokens to select from all categories together, shared out by category_weights; what one is too small for goes to the others.
    total_token_budget: Option<u64> = None, "TOKENS";
    /// Weights of categories in total_token_budget; 1 for those that are not named.
    category_weights: BTreeMap<String, Weight> = BTreeMap::new(), "WEIGHTS";
    /// Cuts of categories that have one of their own, such as code=ratio:0.1,books=count:500.
    category_cuts: BTreeMap<String, Cut> = BTreeMap::new(), "CUTS";
    /// Windows of one document that may be selected, the best ones; auto is any number.
    max_per_document: Option<NonZeroUsize> = None, "WINDOWS";
    /// Windows that take part at all: conditions on any column of scores; auto is all windows.
    filter: Option<Filter> = None, "CONDITIONS";
    /// The id of a window of which it is told why it was selected or not.
    explain: Option<String> = None, "ID";
    /// Select every window whose long-distance dependency score is at least this.
    threshold: Option<f64> = None, "SCORE";
    /// Whether windows of different lengths or minimum distances may compete in a category: their scores are not comparable.
    mixed_lengths: MixedLengths = MixedLengths::Refuse, "CHOICE";
    /// How probable an adaptive selection must be to equal the one by exact scores.
    confidence: Confidence = Confidence(0.99), "PROBABILITY";
    /// Whether a job scores on few rows first, and on more only what is in doubt at the cut.
    adaptive: bool = false, "CHOICE";
    /// Whether a job writes what each head says too.
    per_head: bool = false, "CHOICE";
    /// Whether records are scored with their information gain too, by all layers of a package exported with --gain.
    gain: bool = false, "CHOICE";
    /// Whether scores of records carry the text and the other fields of each along, and selected windows those of their documents, in fields.
    keep_fields: bool = false, "CHOICE";
    /// Field with the text of a document, or the path to it, as in metadata.text; auto is text, or else content.
    text_field: Option<String> = None, "NAME";
    /// Field with the id of a document; auto is id, or else the file's name and line.
    id_field: Option<String> = None, "NAME";
    /// Field with the category of a document; auto is category, or else the name of the file or folder.
    category_field: Option<String> = None, "NAME";
    /// Category of documents whose records name none, for inputs that are shards of one; auto is the name of the input file or folder.
    category: Option<String> = None, "NAME";
    /// One share of the corpus, for a job that many machines do; auto is all of it.
    shard: Option<Shard> = None, "I/N";
    /// Whether ids are made of the file's name and line, whatever records say: where each file counts from 0.
    ids_from_place: bool = false, "CHOICE";
    /// Longest line or text that is read as a document; longer ones are rejected.
    document_limit: ByteSize = ByteSize::gib(1), "BYTES";
    /// Format of what is written; auto is what the name of the output says, and jsonl in a result directory and on a stream.
    output_format: Option<OutputFormat> = None, "FORMAT";
    /// Bytes of rows, counted as JSON lines before compression, behind which another file of an output begins; auto is one file.
    output_shard_size: Option<ByteSize> = None, "BYTES";
    /// A name under which scores are also written as attributes of the documents, as the Dolma tools lay them out; auto is not.
    attributes: Option<String> = None, "NAME";
    /// A folder on another machine to which finished outputs are copied, the summary last: s3://, gs://, az://, http:// or https://.
    upload: Option<Destination> = None, "URL";
    /// What a job does about a record, file or window that cannot be used: reject it and go on, or fail.
    on_error: OnError = OnError::Reject, "ACTION";
    /// What a job does about results that are in its directory already: refuse, resume or overwrite.
    earlier_results: EarlierResults = EarlierResults::Refuse, "ACTION";
    /// A file for metrics in the text format of Prometheus, replaced every ten seconds and at the end.
    metrics: Option<PathBuf> = None, "FILE";
    /// What a calibration compares scores with: spliced windows, or the information gain of real ones.
    truth: Truth = Truth::Spliced, "TRUTH";
    /// The scorer package that tells the gain in a calibration, exported with --gain; auto is the one that scores.
    truth_model: Option<PathBuf> = None, "DIR";
    /// Whether a calibration fits a score that predicts the gain, and writes it into the package.
    fit: bool = false, "CHOICE";
    /// Real windows of each category that a calibration draws, and as many spliced ones.
    calibration_windows: NonZeroUsize = NonZeroUsize::new(40).unwrap(), "WINDOWS";
    /// Pieces of a spliced window.
    pieces: NonZeroUsize = NonZeroUsize::new(8).unwrap(), "PIECES";
    /// First positions that never count as far, one or more settings that a calibration compares.
    calibration_sinks: Vec<usize> = vec![0, 4], "TOKENS";
    /// Another number draws other windows of the same corpus for a calibration.
    seed: u64 = 0, "NUMBER";
    /// Whether a calibration says what each head is worth, too.
    heads: bool = false, "CHOICE";
    /// One layer of a package that holds several, by its number; auto is all. Of a model of another exporter, an attention map by name or index; auto is the first.
    layer: Option<String> = None, "LAYER";
    /// Threads to compute on; auto is one for each core.
    threads: Option<NonZeroUsize> = None, "THREADS";
    /// Memory that attention maps, whole queries and keys of deeper layers, or the tokens of one document, may take.
    memory_limit: ByteSize = MEMORY_LIMIT, "BYTES";
    /// Whether weights are read into memory as a package is opened. Else they stay in their files, which the processes of a machine share and nobody may change meanwhile.
    weights_in_memory: bool = false, "CHOICE";
    /// ONNX Runtime's shared library; auto looks in the usual places.
    onnxruntime: Option<PathBuf> = None, "FILE";
    /// What runs the model: an execution provider of ONNX Runtime's, or the path of a plug-in library with one.
    execution_provider: ExecutionProvider = ExecutionProvider::CPU, "PROVIDER";
    /// Device of the execution provider, counted from 0; auto is the one that it chooses.
    device_id: Option<usize> = None, "NUMBER";
    /// Further options of the execution provider, under its own names.
    provider_options: ProviderOptions = ProviderOptions::default(), "OPTIONS";
    /// Numbers in which queries and keys are multiplied; auto is float32 for all rows, and for samples the faster int16.
    precision: Option<Precision> = None, "NUMBERS";
    /// Vector instructions of the streaming kernel; auto takes the widest that this machine has.
    instruction_set: InstructionSet = InstructionSet::Auto, "SET";
}

number!(u64, "a whole number from 0", |_| true);

impl Config {
    /// Sets one setting from text.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for a key or value that is not valid; the message lists what is.
    pub fn set(&mut self, key: &str, value: &str) -> Result<()> {
        let setting = find(key)?;
        if (setting.set)(self, value) {
            return Ok(());
        }
        let valid = (setting.valid)();
        // What is wrong with a URL may be the secrets in it.
        let value = value.split_once("://").map_or(value.to_owned(), |(scheme, _)| format!("{scheme}://…"));
        Err(Error::new(ErrorKind::InvalidSetting, format!("{key} cannot be {value:?}: it takes {valid}")))
    }

    /// One setting as text that [`Config::set`] takes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for an unknown key; the message lists the known ones.
    pub fn get(&self, key: &str) -> Result<String> {
        find(key).map(|setting| (setting.get)(self))
    }

    /// How the settings ask windows to be ranked and cut.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] where more than one cut is set, and where settings of a cut are set without it.
    pub fn method(&self) -> Result<Method> {
        let Self { standardize, alpha, mixed_lengths, max_per_document, .. } = *self;
        let cut = self.cut()?;
        let is_total = matches!(cut, Cut::TotalTokenBudget(_));
        if is_total && !self.category_cuts.is_empty() {
            let message = "total_token_budget shares out all categories: leave out category_cuts";
            return Err(Error::new(ErrorKind::InvalidSetting, message));
        }
        if !is_total && !self.category_weights.is_empty() {
            let message = "category_weights are those of total_token_budget, which is not set";
            return Err(Error::new(ErrorKind::InvalidSetting, message));
        }
        let weights = self.category_weights.iter().map(|(name, weight)| (name.clone(), weight.get())).collect();
        let category_cuts = self.category_cuts.clone();
        let alpha = alpha.unwrap_or(PAPER_ALPHA);
        Ok(Method { standardize, alpha, cut, category_cuts, weights, max_per_document, mixed_lengths })
    }

    /// Opens a `tokenizer.json` as the settings ask.
    ///
    /// # Errors
    /// Those of [`Tokenizer::open`].
    pub fn open_tokenizer(&self, path: &Path) -> Result<Tokenizer> {
        let tokenizer = Tokenizer::open(path)?.with_memory_limit(self.memory_limit);
        Ok(tokenizer.with_special_tokens(self.special_tokens))
    }

    /// How the settings ask outputs to be laid out.
    pub fn layout(&self) -> Layout {
        Layout { format: self.output_format, shard_bytes: self.output_shard_size.map(|size| size.as_u64()) }
    }

    /// Which windows the settings ask a calibration to draw.
    pub fn plan(&self) -> Plan {
        let Self { window, calibration_windows: windows, pieces, seed, .. } = *self;
        Plan { window, windows, pieces: pieces.get(), seed }
    }

    /// These settings with the weight that `alpha` has for scores of some layers, where it is to be decided.
    pub(crate) fn with_alpha_of(self, layers: &[usize]) -> Self {
        Self { alpha: self.alpha.or(Some(default_alpha(layers))), ..self }
    }

    /// These settings, but those of a selection, and where its metrics go, as another has them.
    pub(crate) fn with_selection_of(&self, other: &Self) -> Self {
        let Self { alpha, standardize, ratio, count, token_budget, total_token_budget, threshold, .. } = *other;
        let Self { max_per_document, mixed_lengths, confidence, .. } = *other;
        let Self { category_weights, category_cuts, filter, by, explain, metrics, .. } = other.clone();
        Self {
            alpha,
            standardize,
            ratio,
            count,
            token_budget,
            total_token_budget,
            category_weights,
            category_cuts,
            threshold,
            max_per_document,
            filter,
            by,
            explain,
            metrics,
            mixed_lengths,
            confidence,
            ..self.clone()
        }
    }

    /// The cut that the settings ask for.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] where more than one cut is set.
    pub fn cut(&self) -> Result<Cut> {
        let cuts = [
            self.ratio.map(|share| Cut::Ratio(share.get())),
            self.count.map(Cut::Count),
            self.token_budget.map(Cut::TokenBudget),
            self.total_token_budget.map(Cut::TotalTokenBudget),
            self.threshold.map(Cut::Threshold),
        ];
        let mut set = cuts.into_iter().flatten();
        let cut = set.next().unwrap_or(Cut::Ratio(DEFAULT_RATIO));
        if set.next().is_none() {
            return Ok(cut);
        }
        Err(Error::new(
            ErrorKind::InvalidSetting,
            "only one of ratio, count, token_budget, total_token_budget and threshold can be set",
        ))
    }
}

fn find(key: &str) -> Result<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key).ok_or_else(|| {
        let known: Vec<_> = SETTINGS.iter().map(|setting| setting.key).collect();
        let message = format!("there is no setting {key:?}; the settings are {}", known.join(", "));
        Error::new(ErrorKind::InvalidSetting, message)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_default_can_be_set_again() {
        let mut config = Config::default();
        for setting in SETTINGS {
            config.set(setting.key, &setting.default()).unwrap();
        }
        assert_eq!(config, Config::default());
    }

    /// Texts that some setting takes.
    fn value() -> impl Strategy<Value = String> {
        let names = SETTINGS.iter().map(|setting| (setting.valid)()).collect::<Vec<_>>().join(", ");
        let names: Vec<_> = names.split(", ").map(str::to_owned).collect();
        prop_oneof![
            prop::sample::select(names),
            "-?[0-9]{1,20}(\\.[0-9]{1,17})?(e-?[0-9]{1,3})?",
            "[0-9]{1,12}(\\.[0-9]{1,9})? ?([kKmMgGtTpP]i?)?[bB]?",
            "[a-z]{1,5}=[a-z=0-9]{0,5}(,[a-z]{1,5}=[a-z0-9]{1,5}){0,2}",
            "[a-z./]{1,12}",
            any::<String>(),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        #[test]
        fn what_a_setting_reads_back_is_what_was_set(value in value()) {
            for setting in SETTINGS {
                let (mut config, mut again) = (Config::default(), Config::default());
                if config.set(setting.key, &value).is_ok() {
                    again.set(setting.key, &config.get(setting.key).unwrap()).unwrap();
                    prop_assert_eq!(&again, &config, "{} of {:?}", setting.key, value);
                }
            }
        }
    }

    #[test]
    fn wrong_keys_and_values_list_what_is_valid() {
        let mut config = Config::default();
        let unknown = config.set("windows", "1").unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::InvalidSetting);
        assert!(unknown.to_string().contains("min_distance"));
        for (key, value, valid) in [
            ("window", "0", "from 1"),
            ("ratio", "1.5", "from 0 to 1"),
            ("ratio", "NaN", "from 0 to 1"),
            ("confidence", "1", "to 0.999"),
            ("confidence", "0.4", "from 0.5"),
            ("alpha", "inf", "finite"),
            ("standardize", "zscore", "z-score, min-max"),
            ("memory_limit", "much", "8GiB"),
            ("calibration_sinks", "0,,4", "with commas between them"),
            ("truth", "belief", "spliced, gain"),
        ] {
            let wrong = config.set(key, value).unwrap_err();
            assert!(wrong.to_string().contains(valid), "{wrong}");
        }
        assert_eq!(config, Config::default());
    }

    #[test]
    fn categories_have_values_of_their_own() {
        let mut config = Config::default();
        config.set("category_cuts", "code=ratio:0.1,a,b=c=count:7,x=threshold:-1").unwrap();
        let expected = [("a,b=c", Cut::Count(7)), ("code", Cut::Ratio(0.1)), ("x", Cut::Threshold(-1.0))];
        assert_eq!(config.category_cuts, expected.map(|(name, cut)| (name.to_owned(), cut)).into());
        for wrong in ["code", "code=0.1", "=count:1", "a=count:1,a=count:2", "a=count:1,", "a=ratio:2"] {
            config.set("category_cuts", wrong).unwrap_err();
        }
        config.set("category_weights", "code=2").unwrap();
        assert!(config.method().unwrap_err().to_string().contains("total_token_budget"));
        config.set("total_token_budget", "5").unwrap();
        assert!(config.method().unwrap_err().to_string().contains("category_cuts"));
    }

    #[test]
    fn a_cut_is_unique() {
        let mut config = Config::default();
        assert_eq!(config.cut().unwrap(), Cut::Ratio(DEFAULT_RATIO));
        config.set("count", "3").unwrap();
        assert_eq!(config.cut().unwrap(), Cut::Count(3));
        config.set("threshold", "0.5").unwrap();
        assert_eq!(config.cut().unwrap_err().kind(), ErrorKind::InvalidSetting);
        config.set("count", "auto").unwrap();
        assert_eq!(config.cut().unwrap(), Cut::Threshold(0.5));
    }
}
