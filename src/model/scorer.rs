//! The scorer: an open package that scores windows.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once};
use std::time::{Duration, Instant};

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::attentions::{self, Attentions};
use super::fitted_score::{self, PackagedFittedScore};
use super::layer::Layer;
use super::losses::{ContextLosses, Losses};
use super::metadata::{Contract, Metadata};
use super::native::Placement;
use super::package::PackageFiles;
use super::query_key::{self, QueryKey};
use super::runtime;
use super::session::{Graph, Port};
use super::statistics;
use super::verify::Verification;
use crate::attention::{FarRegion, InstructionSet};
use crate::calibrate::FittedScore;
use crate::cancel::Cancel;
use crate::config::{Config, Rows};
use crate::digest::Digest;
use crate::error::{Error, ErrorKind, Result};
use crate::process::OfProcess;
use crate::rivals::{ShortContext, information_gain, short_contexts};
use crate::score::{Score, check_length};
use crate::tokenizer::{Tokenizer, Tokens, words};

/// The package of a scorer without a model, which cuts windows for scores that need none.
pub const NO_MODEL: &str = "none";

/// Sinks that are left out by default in layers after the first.
const DEEP_SINK_TOKENS: usize = 4;

/// What an open scorer package is.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// The ONNX file.
    pub model: PathBuf,
    /// Bytes of the ONNX file and its external weights.
    pub model_bytes: u64,
    /// How the model gives its attention; `None` without a model.
    pub contract: Option<Contract>,
    /// What the model says of itself; `None` for a bare model of another exporter. Where the setting `layer` chose one of its
    /// layers, that is the only one.
    pub metadata: Option<Metadata>,
    /// Query heads of all scored layers, where the model tells.
    pub heads: Option<usize>,
    /// The graph's inputs.
    pub inputs: Vec<Port>,
    /// The graph's outputs.
    pub outputs: Vec<Port>,
    /// Token ids of the tokenizer; `None` for a bare model.
    pub tokenizer_vocabulary: Option<usize>,
    /// How many nodes of each operator run on each execution provider, under ONNX Runtime's names. Empty where only the
    /// CPU was asked for, and before ONNX Runtime 1.24, which does not tell.
    pub placement: Placement,
}

/// One window to score.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A text: its first tokens, up to the setting `window`.
    Text(&'a str),
    /// Token ids without special ones, up to the setting `window`.
    Tokens(&'a [u32]),
}

impl Input<'_> {
    /// A number that the tokens do not exceed by more than the special ones; text has a token a byte at most.
    fn longest(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Tokens(ids) => ids.len(),
        }
    }
}

/// How far [`Scorer::score_many`] has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Windows that are scored or have failed.
    pub windows: usize,
    /// Tokens of the windows that are scored.
    pub tokens: u64,
}

/// The scores of one window for several settings of `sink_tokens`, and what they took.
#[derive(Clone, Debug)]
pub struct SinkScores {
    /// One for each setting, in their order.
    pub scores: Vec<Score>,
    /// Time of the one pass through the model. A first layer alone by `query-key` is asked for in parts, which count as
    /// statistics; the contract `statistics` has these within the pass.
    pub model_time: Duration,
    /// Time of the statistics for one setting, on the average.
    pub statistics_time: Duration,
}

impl SinkScores {
    fn measure<Pass>(
        pass: impl FnOnce() -> Result<Pass>,
        score: impl Fn(&Pass, FarRegion) -> Result<Score>,
        regions: &[FarRegion],
    ) -> Result<Self> {
        let begun = Instant::now();
        let pass = pass()?;
        let model_time = begun.elapsed();
        let scores = regions.iter().map(|far| score(&pass, *far)).collect::<Result<Vec<_>>>()?;
        let statistics_time = (begun.elapsed() - model_time) / regions.len().max(1) as u32;
        Ok(Self { scores, model_time, statistics_time })
    }
}

/// An open scorer package. It may be used from many threads at once.
pub struct Scorer {
    config: Config,
    /// None without a model.
    loaded: Option<Loaded>,
    losses: Option<Losses>,
    fitted_score: Option<PackagedFittedScore>,
    description: Description,
    tokenizer: Option<Tokenizer>,
    pool: OfProcess<ThreadPool>,
    position_warning: Once,
}

/// What scores windows.
struct Loaded {
    graph: Graph,
    model: Model,
    files: PackageFiles,
}

enum Model {
    QueryKey(QueryKey),
    Attentions(Attentions),
    /// The layer that is scored, where it is one of several.
    Statistics(Option<Layer>),
}

impl Scorer {
    /// Opens a scorer package directory, or a bare `model.onnx`, which scores token ids alone unless a
    /// `tokenizer.json` lies beside it. The settings are those of the moment.
    ///
    /// [`NO_MODEL`] in place of a package opens a scorer without a model or ONNX Runtime, which cuts windows by the setting
    /// `tokenizer` for the scores in [`rivals`](crate::rivals), and scores nothing itself.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for settings that contradict each other; [`ErrorKind::Runtime`] without ONNX Runtime,
    /// and where the execution provider cannot start or runs nothing of the model;
    /// [`ErrorKind::Io`], [`ErrorKind::InvalidModel`] or
    /// [`ErrorKind::Unsupported`] for a package that is missing, damaged, or of a kind unknown here.
    pub fn open(package: &Path, config: &Config) -> Result<Self> {
        check_profile(config)?;
        if package == Path::new(NO_MODEL) {
            return Self::without_model(config);
        }
        if config.tokenizer.is_some() {
            let message = format!("tokenizer is for jobs without a model, and {} has its own", package.display());
            return Err(Error::new(ErrorKind::InvalidSetting, message));
        }
        let model_file = model_file(package)?;
        let files = PackageFiles::of(package, &model_file)?;
        let tokenizer_file = model_file.with_file_name("tokenizer.json");
        let tokenizer = match package.is_dir() || tokenizer_file.exists() {
            true => Some(config.open_tokenizer(&tokenizer_file)?),
            false => None,
        };
        let graph = Graph::open(&model_file, config)?;
        let mut metadata =
            Metadata::from_properties(|key| graph.property(key)).map_err(|error| error.at(package.display()))?;
        if let Some(least) = metadata.as_ref().and_then(|metadata| metadata.least_onnxruntime.as_deref()) {
            runtime::check_version(least).map_err(|error| error.at(package.display()))?;
        }
        let contract = contract(&graph, metadata.as_ref()).map_err(|error| error.at(package.display()))?;
        if contract == Contract::QueryKey && config.execution_provider.runs_operators().is_some() {
            log::warn!(
                "{}: queries and keys go back to the processor, which takes their sums: a package exported with --contract \
                 statistics has these taken on the GPU",
                package.display()
            );
        }
        let layer = match &metadata {
            Some(metadata) => Layer::chosen(config.layer.as_deref(), metadata)?,
            None if config.layer.is_none() || contract == Contract::Attentions => None,
            None => {
                let message = "layer can be auto alone: the model does not tell which layers it holds";
                return Err(Error::new(ErrorKind::InvalidSetting, message));
            }
        };
        let model = match contract {
            Contract::QueryKey => Model::QueryKey(QueryKey {
                token_bytes: metadata.as_ref().map_or(0, query_key::token_bytes),
                memory_limit: config.memory_limit,
                layer,
                attention_scale: metadata.as_ref().map(|metadata| metadata.attention_scale),
                logit_softcap: metadata.as_ref().and_then(|metadata| metadata.logit_softcap),
                instruction_set: config.instruction_set,
                precision: config.precision,
                rows: config.rows,
                profile: config.profile,
            }),
            Contract::Attentions => Model::Attentions(Attentions::new(&graph, config, metadata.as_ref())?),
            Contract::Statistics if config.profile => {
                let message = "a model of the contract statistics gives no distance profile: leave the setting profile at \
                               false, or export the checkpoint with --contract query-key";
                return Err(Error::new(ErrorKind::InvalidSetting, message));
            }
            Contract::Statistics => Model::Statistics(layer),
        };
        if let (Some(metadata), Some(layer)) = (&mut metadata, layer) {
            metadata.layers = vec![metadata.layers[layer.place()]];
        }
        let heads = match &model {
            Model::QueryKey(_) | Model::Statistics(_) => metadata.as_ref().map(Metadata::scored_heads),
            Model::Attentions(attentions) => Some(attentions.scored_heads()),
        };
        let tells_losses = metadata.as_ref().is_some_and(|metadata| metadata.losses);
        let losses = tells_losses.then(|| Losses::new(&model_file, config));
        let fitted_score = PackagedFittedScore::read(&model_file)?;
        let description = Description {
            model_bytes: model_bytes(&model_file),
            model: model_file,
            contract: Some(contract),
            metadata,
            heads,
            inputs: graph.inputs.clone(),
            outputs: graph.outputs.clone(),
            tokenizer_vocabulary: tokenizer.as_ref().map(Tokenizer::vocabulary_size),
            placement: graph.placement.clone(),
        };
        check_vocabulary(&description, tokenizer.as_ref())?;
        let scorer = Self::new(config, Some(Loaded { graph, model, files }), losses, description, tokenizer)?;
        Ok(Self { fitted_score, ..scorer })
    }

    fn without_model(config: &Config) -> Result<Self> {
        let tokenizer = config.tokenizer.as_ref().map(|path| config.open_tokenizer(path)).transpose()?;
        let description = Description {
            model: NO_MODEL.into(),
            model_bytes: 0,
            contract: None,
            metadata: None,
            heads: None,
            inputs: Vec::new(),
            outputs: Vec::new(),
            tokenizer_vocabulary: tokenizer.as_ref().map(Tokenizer::vocabulary_size),
            placement: Placement::default(),
        };
        Self::new(config, None, None, description, tokenizer)
    }

    fn new(
        config: &Config,
        loaded: Option<Loaded>,
        losses: Option<Losses>,
        description: Description,
        tokenizer: Option<Tokenizer>,
    ) -> Result<Self> {
        let threads = config.threads.map_or(0, |threads| threads.get());
        let pool = ThreadPoolBuilder::new().num_threads(threads).thread_name(|index| format!("longattn-{index}"));
        let pool = pool.build().map_err(|cause| {
            Error::new(ErrorKind::Internal, format!("threads cannot be started: {cause}; set threads to fewer"))
        })?;
        Ok(Self {
            config: config.clone(),
            loaded,
            losses,
            fitted_score: None,
            description,
            tokenizer,
            pool: OfProcess::new(pool),
            position_warning: Once::new(),
        })
    }

    /// Whether there is a model, without which no window has a score.
    pub fn has_model(&self) -> bool {
        self.loaded.is_some()
    }

    /// Computes on the threads of the scorer.
    pub(crate) fn in_pool<T: Send>(&self, compute: impl FnOnce() -> T + Send) -> Result<T> {
        Ok(self.pool.get()?.install(compute))
    }

    fn loaded(&self) -> Result<&Loaded> {
        self.loaded.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Unsupported, "without a model there is no attention to score: name a scorer package")
        })
    }

    /// What the package is.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// The settings that the scorer was opened with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What all scores of this package depend on: SHA-256 over the names and contents of its files, weights and tokenizer
    /// included; without a model, of the tokenizer alone.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidModel`] where a file has changed since the package was opened, [`ErrorKind::Io`] where one cannot
    /// be read.
    pub fn package_digest(&self) -> Result<Digest> {
        match (&self.loaded, &self.config.tokenizer) {
            (Some(loaded), _) => loaded.files.digest(),
            (None, None) => Ok(Digest::of(NO_MODEL)),
            (None, Some(path)) => {
                Digest::of_file(path).map_err(|cause| Error::io(format!("read {}", path.display()), cause))
            }
        }
    }

    /// The instruction set that the streaming kernel uses; `auto` of the setting stands for one of them.
    pub fn instruction_set(&self) -> InstructionSet {
        match self.config.instruction_set {
            InstructionSet::Auto => InstructionSet::widest(),
            set => set,
        }
    }

    /// Splits a text into tokens, without special ones.
    ///
    /// # Errors
    /// Those of [`Scorer::tokenize_until`].
    pub fn tokenize(&self, text: &str) -> Result<Tokens> {
        self.tokenize_until(text, &Cancel::default())
    }

    /// Splits a text into tokens, without special ones, until `cancel` says stop.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the package has no tokenizer, and those of [`Tokenizer::tokenize_until`].
    pub fn tokenize_until(&self, text: &str, cancel: &Cancel) -> Result<Tokens> {
        let Some(tokenizer) = &self.tokenizer else {
            if !self.has_model() {
                return Ok(words(text));
            }
            let message = format!(
                "{} has no tokenizer.json beside it: put the model's there, or give token ids",
                self.description.model.display()
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        };
        self.pool.get()?;
        tokenizer.tokenize_until(text, cancel)
    }

    /// Scores a text as one window: its first tokens, up to the setting `window`, special ones included.
    ///
    /// # Errors
    /// Those of [`Scorer::score`].
    pub fn score_text(&self, text: &str) -> Result<Score> {
        self.score(Input::Text(text), &Cancel::default())
    }

    /// Scores token ids as one window, framed by the special tokens that the tokenizer's post-processor adds and
    /// truncated to the setting `window` in all.
    ///
    /// # Errors
    /// Those of [`Scorer::score`].
    pub fn score_tokens(&self, ids: &[u32]) -> Result<Score> {
        self.score(Input::Tokens(ids), &Cancel::default())
    }

    /// Scores one window, until `cancel` says stop.
    ///
    /// # Errors
    /// Those of [`Scorer::tokenize`]; [`ErrorKind::TooShort`] below [`MIN_TOKENS`](crate::score::MIN_TOKENS),
    /// [`ErrorKind::InvalidArgument`] for an id outside the model's vocabulary, [`ErrorKind::InvalidSetting`] for a window
    /// longer than the scored layer's sliding window or than learned positions reach, [`ErrorKind::MemoryLimit`] for maps
    /// or for whole queries and keys that would not fit, [`ErrorKind::NonFinite`] for damaged weights,
    /// [`ErrorKind::Runtime`] where ONNX Runtime fails, [`ErrorKind::Cancelled`].
    pub fn score(&self, input: Input, cancel: &Cancel) -> Result<Score> {
        self.score_on(self.config.rows, input, cancel)
    }

    fn score_on(&self, rows: Rows, input: Input, cancel: &Cancel) -> Result<Score> {
        cancel.check()?;
        match input {
            Input::Text(text) => self.score_ids(rows, self.tokenize_until(text, cancel)?.ids(), cancel),
            Input::Tokens(ids) => self.score_ids(rows, ids, cancel),
        }
    }

    /// Scores token ids as one window, as [`Scorer::score_tokens`] does, once for each of several settings of `sink_tokens`,
    /// with one pass through the model.
    ///
    /// # Errors
    /// Those of [`Scorer::score`], and [`ErrorKind::InvalidSetting`] where sinks leave nothing far in the window.
    pub fn score_sinks(&self, ids: &[u32], sink_tokens: &[usize], cancel: &Cancel) -> Result<SinkScores> {
        cancel.check()?;
        let Loaded { graph, model, .. } = self.loaded()?;
        let ids = self.window(ids, self.config.window.get())?;
        self.check_sinks(sink_tokens, ids.len())?;
        let region = |sink_tokens: &usize| FarRegion { sink_tokens: *sink_tokens, ..self.far_region(ids.len()) };
        let regions: Vec<_> = sink_tokens.iter().map(region).collect();
        let domain = self.config.variance_domain;
        let mut scores = self.pool.get()?.install(|| match model {
            Model::QueryKey(model) => SinkScores::measure(
                || model.open(graph, &ids, cancel),
                |window, far| model.score_window(window, far, domain, cancel),
                &regions,
            ),
            Model::Attentions(model) => SinkScores::measure(
                || model.map(graph, &ids, cancel),
                |map, far| model.score_map(map, far, domain),
                &regions,
            ),
            Model::Statistics(layer) => SinkScores::measure(
                || statistics::scores(graph, &ids, &regions, domain, *layer, cancel),
                |scores, far| Ok(scores.iter().find(|score| score.far == far).expect("a score of each region").clone()),
                &regions,
            ),
        });
        if let Ok(scores) = &mut scores {
            scores.scores.iter_mut().for_each(|score| self.tell_untrained(score));
        }
        scores.map_err(blame_weights)
    }

    /// Checks that settings of `sink_tokens` leave something far in a window of `length` tokens.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for one that does not.
    pub fn check_sinks(&self, sink_tokens: &[usize], length: usize) -> Result<()> {
        let far = FarRegion { sink_tokens: 0, ..self.far_region(length) };
        let leaves_none =
            |sinks: &&usize| **sinks > 0 && FarRegion { sink_tokens: **sinks, ..far }.entries(length) == 0.0;
        let Some(sinks) = sink_tokens.iter().find(leaves_none) else { return Ok(()) };
        let message = format!(
            "{sinks} sink tokens leave nothing far in a window of {length} tokens, where far begins at a distance of {}: \
             set sink_tokens to fewer, or use longer windows",
            far.min_distance
        );
        Err(Error::new(ErrorKind::InvalidSetting, message))
    }

    /// Scores many windows on all threads of the scorer, each with its own result, in the order of the inputs. The
    /// scores have the same bits as those of [`Scorer::score`].
    ///
    /// `progress` is told of every finished window by the thread that finished it, one call at a time; it must not
    /// call the scorer. After `cancel` the windows not yet finished give [`ErrorKind::Cancelled`].
    pub fn score_many(
        &self,
        inputs: &[Input],
        cancel: &Cancel,
        progress: impl Fn(Progress) + Sync,
    ) -> Vec<Result<Score>> {
        self.score_many_on(self.config.rows, inputs, cancel, progress)
    }

    /// As [`Scorer::score_many`], on other rows than the setting says. The contracts `attentions` and `statistics` compute
    /// all rows in any case.
    pub fn score_many_on(
        &self,
        rows: Rows,
        inputs: &[Input],
        cancel: &Cancel,
        progress: impl Fn(Progress) + Sync,
    ) -> Vec<Result<Score>> {
        let finished = Mutex::new(Progress::default());
        let score = |input: &Input| {
            let result = self.score_on(rows, *input, cancel);
            let mut finished = finished.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            finished.windows += 1;
            finished.tokens += result.as_ref().map_or(0, |score| score.token_count as u64);
            progress(*finished);
            result
        };
        let batches = self.batches(inputs);
        let batch_scores = |batch: &[Input]| -> Vec<_> { batch.par_iter().with_max_len(1).map(score).collect() };
        match self.pool.get() {
            Ok(pool) => pool.install(|| batches.into_iter().flat_map(batch_scores).collect()),
            Err(error) => inputs.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// The losses of the tokens of one window, framed and truncated as it is scored: the negative log-likelihood in nats of
    /// each token but the first, given those before it, by all layers of the model. Memory is linear in the window.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the package has no `loss.onnx`; those of [`Scorer::score`], but that a sliding window
    /// of the scored layer is no limit.
    pub fn losses(&self, ids: &[u32], cancel: &Cancel) -> Result<Vec<f32>> {
        self.telling_losses()?.of_window(&self.framed(ids, self.config.window.get())?, cancel)
    }

    /// The information gain of one window, framed and truncated as it is scored, in nats a token: how much lower the loss of
    /// a token is when the model sees the whole window before it than when it sees only the last 128 to 255 tokens.
    ///
    /// Of `L` tokens it is the mean over those at `t = 256, 257, .., L - 1`, counted from 0. Losses with a short context are
    /// those of the last 128 tokens of runs of 256, which start every 128 tokens from the 128th on, each behind the special
    /// tokens that the tokenizer puts before a text. It may be negative. Beside one pass over the window this takes two over
    /// as many tokens in short runs.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where the package has no `loss.onnx`, [`ErrorKind::TooShort`] below
    /// [`MIN_GAIN_TOKENS`](super::MIN_GAIN_TOKENS); those of [`Scorer::losses`].
    pub fn information_gain(&self, ids: &[u32], cancel: &Cancel) -> Result<f64> {
        let ContextLosses { whole, short } = self.context_losses(ids, cancel)?;
        Ok(information_gain(&whole, &short).expect("a window that is not too short has such tokens"))
    }

    /// The losses that [`Scorer::information_gain`] and [`longfilter_score`](crate::rivals::longfilter_score) compare.
    ///
    /// # Errors
    /// Those of [`Scorer::information_gain`].
    pub fn context_losses(&self, ids: &[u32], cancel: &Cancel) -> Result<ContextLosses> {
        let losses = self.telling_losses()?;
        let ids = self.framed(ids, self.config.window.get())?;
        let short_contexts: Vec<_> = short_contexts(ids.len()).collect();
        losses.context_losses(&ids, self.prefix(), &short_contexts, cancel)
    }

    /// The same of a text whose short contexts are given by their bytes, so that models with different tokenizers tell of the
    /// same parts of a text. A token belongs to the part that it begins in; the text is read whole, behind the special tokens
    /// that the tokenizer puts before one, whatever the setting `window` says.
    ///
    /// # Errors
    /// Those of [`Scorer::information_gain`] and of [`Scorer::tokenize`]; [`ErrorKind::TooShort`] where no token counts.
    pub fn context_losses_of_text(
        &self,
        text: &str,
        short_contexts: &[ShortContext],
        cancel: &Cancel,
    ) -> Result<ContextLosses> {
        let losses = self.telling_losses()?;
        let tokens = self.tokenize_until(text, cancel)?;
        let ids = [self.prefix(), tokens.ids()].concat();
        self.check_readable(&ids)?;
        let starts: Vec<_> = tokens.boundaries().take(tokens.ids().len()).collect();
        let place = |byte: usize| self.prefix().len() + starts.partition_point(|start| *start < byte);
        let by_tokens = short_contexts.iter().filter_map(|ShortContext { start, counted }| {
            let counted = place(counted.start)..place(counted.end);
            // Where one token holds all of a context, it is the context.
            let start = place(*start).min(counted.start.checked_sub(1)?);
            (!counted.is_empty()).then_some(ShortContext { start, counted })
        });
        losses.context_losses(&ids, self.prefix(), &by_tokens.collect::<Vec<_>>(), cancel)
    }

    /// The special tokens that the tokenizer puts before a text.
    fn prefix(&self) -> &[u32] {
        self.tokenizer.as_ref().map_or(&[], Tokenizer::prefix)
    }

    /// Checks that the package tells losses.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where it has no `loss.onnx`.
    pub fn check_losses(&self) -> Result<()> {
        self.telling_losses().map(drop)
    }

    fn telling_losses(&self) -> Result<&Losses> {
        self.pool.get()?;
        self.losses.as_ref().ok_or_else(|| {
            let message = format!(
                "{} has no losses beside it, so windows have no information gain: export the checkpoint with --gain",
                self.description.model.display()
            );
            Error::new(ErrorKind::Unsupported, message)
        })
    }

    /// The fitted score of the package, by which windows have the column `predicted_gain`.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] where it has none; [`ErrorKind::InvalidSetting`] where that was fitted to other weights,
    /// layers or windows; those of [`Scorer::package_digest`].
    pub fn fitted_score(&self) -> Result<&PackagedFittedScore> {
        let fitted_score = self.fitted_score.as_ref().ok_or_else(|| {
            let message = format!(
                "{} has no fitted score beside it, so windows have no predicted_gain: make one with `longattn calibrate --fit`",
                self.description.model.display()
            );
            Error::new(ErrorKind::Unsupported, message)
        })?;
        let window = self.config.window.get();
        fitted_score.check(self.package_digest()?, &self.layers(), window, self.far_region(window))?;
        Ok(fitted_score)
    }

    /// A fitted score as the package may carry it, and the file for it.
    ///
    /// # Errors
    /// Those of [`Scorer::package_digest`].
    pub(crate) fn packaged(&self, fitted_score: FittedScore) -> Result<(PathBuf, PackagedFittedScore)> {
        let window = self.config.window.get();
        let far = self.far_region(window);
        let packaged = PackagedFittedScore::new(self.package_digest()?, &self.layers(), window, far, fitted_score);
        Ok((fitted_score::file_beside(&self.description.model), packaged))
    }

    /// The layers that are scored, in their order. Of a model of another exporter only the setting can tell.
    pub fn layers(&self) -> Vec<usize> {
        match &self.description.metadata {
            Some(metadata) => metadata.layers.clone(),
            None => vec![self.config.layer.as_ref().and_then(|layer| layer.parse().ok()).unwrap_or(0)],
        }
    }

    /// Splits windows into runs that fit into memory together.
    fn batches<'a, 'b>(&self, inputs: &'a [Input<'b>]) -> Vec<&'a [Input<'b>]> {
        let mut used = 0.0;
        let fits = |last: &Input, next: &Input| {
            used += self.memory_share(last);
            let fits = used + self.memory_share(next) <= 1.0;
            if !fits {
                used = 0.0;
            }
            fits
        };
        inputs.chunk_by(fits).collect()
    }

    fn memory_share(&self, input: &Input) -> f64 {
        let length = input.longest().min(self.config.window.get());
        match self.loaded.as_ref().map(|loaded| &loaded.model) {
            Some(Model::QueryKey(model)) => model.memory_share(length),
            Some(Model::Attentions(attentions)) => attentions.memory_share(length),
            // The model scores one window after the other.
            Some(Model::Statistics(_)) | None => 0.0,
        }
    }

    /// Scores a text as one window in every way that this package and this machine have, and compares each with double
    /// precision; of a longer text than the setting `window` or the model allows, the first tokens: the streaming kernels and
    /// sums within the model with the attention computed from the model's own queries and keys, and a map with its rows
    /// normalized. The settings `rows`, `profile` and `instruction_set` play no part.
    ///
    /// # Errors
    /// Those of [`Scorer::score`].
    pub fn verify(&self, text: &str, cancel: &Cancel) -> Result<Verification> {
        let Loaded { graph, model, .. } = self.loaded()?;
        let limits = self.description.metadata.as_ref().map(|metadata| {
            metadata.sliding_window.map_or(metadata.max_positions, |window| window.min(metadata.max_positions))
        });
        let window = limits.map_or(self.config.window.get(), |limit| limit.min(self.config.window.get()));
        let ids = self.window(self.tokenize_until(text, cancel)?.ids(), window)?;
        let far = self.far_region(ids.len());
        let domain = self.config.variance_domain;
        let comparisons = self.pool.get()?.install(|| match model {
            Model::QueryKey(model) => model.verify(graph, &ids, far, domain, cancel),
            Model::Attentions(model) => model.verify(graph, &ids, far, domain, cancel),
            Model::Statistics(_) => {
                statistics::verify(graph, self.description.metadata.as_ref(), &ids, far, domain, cancel)
            }
        })?;
        Ok(Verification { token_count: ids.len(), comparisons })
    }

    fn score_ids(&self, rows: Rows, ids: &[u32], cancel: &Cancel) -> Result<Score> {
        let Loaded { graph, model, .. } = self.loaded()?;
        let ids = self.window(ids, self.config.window.get())?;
        let far = self.far_region(ids.len());
        let domain = self.config.variance_domain;
        let score = self.pool.get()?.install(|| match model {
            Model::QueryKey(model) => model.on(rows).score(graph, &ids, far, domain, cancel),
            Model::Attentions(model) => model.score(graph, &ids, far, domain, cancel),
            Model::Statistics(layer) => {
                Ok(statistics::scores(graph, &ids, &[far], domain, *layer, cancel)?.swap_remove(0))
            }
        });
        let mut score = score.map_err(blame_weights)?;
        self.tell_untrained(&mut score);
        Ok(score)
    }

    /// Says in a score how much of its window the model was not trained for.
    fn tell_untrained(&self, score: &mut Score) {
        let trained = self.description.metadata.as_ref().map_or(usize::MAX, |metadata| metadata.max_positions);
        score.untrained_tokens = score.token_count.saturating_sub(trained);
    }

    /// Token ids as one window of at most `window` tokens that can be scored: framed, truncated and checked.
    fn window(&self, ids: &[u32], window: usize) -> Result<Vec<u32>> {
        let ids = self.framed(ids, window)?;
        self.check_sliding_window(ids.len())?;
        Ok(ids)
    }

    /// Token ids as one window of at most `window` tokens that the model can read.
    fn framed(&self, ids: &[u32], window: usize) -> Result<Vec<u32>> {
        let ids = match &self.tokenizer {
            Some(tokenizer) => tokenizer.frame(ids, window),
            None => ids[..ids.len().min(window)].to_vec(),
        };
        self.check_readable(&ids)?;
        Ok(ids)
    }

    fn check_readable(&self, ids: &[u32]) -> Result<()> {
        check_length(ids.len())?;
        self.check_ids(ids)?;
        self.check_positions(ids.len())
    }

    /// Which entries count as far in a window of `length` tokens.
    pub fn far_region(&self, length: usize) -> FarRegion {
        let deepest = self.description.metadata.as_ref().map_or(0, Metadata::deepest);
        let sink_tokens = if deepest == 0 { 0 } else { DEEP_SINK_TOKENS };
        FarRegion {
            min_distance: self.config.min_distance.unwrap_or(length / 4),
            sink_tokens: self.config.sink_tokens.unwrap_or(sink_tokens),
        }
    }

    /// Refuses windows that a scored layer cannot see whole.
    fn check_sliding_window(&self, length: usize) -> Result<()> {
        let Some(metadata) = &self.description.metadata else { return Ok(()) };
        if metadata.sliding_window.is_some_and(|window| length > window)
            && let Some(limit) = metadata.sliding_window_limit()
        {
            let message = format!("a window of {length} tokens cannot be scored: {limit}");
            return Err(Error::new(ErrorKind::InvalidSetting, message));
        }
        Ok(())
    }

    /// Refuses windows longer than learned positions, and warns of those that the model was not trained for.
    fn check_positions(&self, length: usize) -> Result<()> {
        let Some(metadata) = &self.description.metadata else { return Ok(()) };
        let trained = metadata.max_positions;
        if length <= trained {
            return Ok(());
        }
        if metadata.rope_theta.is_none() {
            let message = format!(
                "a window of {length} tokens cannot be scored: the model has learned {trained} positions, and no others; \
                 set window to at most {trained}"
            );
            return Err(Error::new(ErrorKind::InvalidSetting, message));
        }
        self.position_warning.call_once(|| {
            log::warn!(
                "windows of {length} tokens are longer than the {trained} positions that the model was trained for: its \
                 attention there is a guess; use windows of at most {trained}, or raise --rope-theta and --max-positions \
                 at export"
            );
        });
        Ok(())
    }

    fn check_ids(&self, ids: &[u32]) -> Result<()> {
        let Some(metadata) = &self.description.metadata else { return Ok(()) };
        let vocabulary = metadata.vocabulary_size;
        match ids.iter().position(|id| *id as usize >= vocabulary) {
            None => Ok(()),
            Some(place) => {
                let message = format!("token {place} has id {}, and the model knows {vocabulary}", ids[place]);
                Err(Error::new(ErrorKind::InvalidArgument, message))
            }
        }
    }
}

fn blame_weights(error: Error) -> Error {
    match error.kind() {
        ErrorKind::NonFinite => error.at("the model's weights are damaged"),
        _ => error,
    }
}

/// Refuses a distance profile of sampled rows, whose estimates are made for far mass alone.
fn check_profile(config: &Config) -> Result<()> {
    if !config.profile || config.rows == Rows::All {
        return Ok(());
    }
    let message = "the distance profile needs all rows: leave the setting rows at all, or profile at false";
    Err(Error::new(ErrorKind::InvalidSetting, message))
}

fn model_file(package: &Path) -> Result<PathBuf> {
    let file = if package.is_dir() { package.join("model.onnx") } else { package.to_owned() };
    if file.is_file() {
        return Ok(file);
    }
    let message = format!("{} is no scorer package: there is no {}", package.display(), file.display());
    let hint = "make one with `longattn export`";
    Err(Error::new(ErrorKind::InvalidModel, format!("{message}; {hint}")))
}

/// The size of a model with the weights beside it.
fn model_bytes(model: &Path) -> u64 {
    let weights = model.with_extension("onnx.data");
    let size = |file: &Path| file.metadata().map_or(0, |metadata| metadata.len());
    size(model) + size(&weights)
}

/// The contract that a model names, or that can be read off its inputs and outputs.
fn contract(graph: &Graph, metadata: Option<&Metadata>) -> Result<Contract> {
    if let Some(metadata) = metadata {
        return Ok(metadata.contract);
    }
    let names = |ports: &[Port]| ports.iter().map(|port| port.name.clone()).collect::<Vec<_>>();
    let (inputs, outputs) = (names(&graph.inputs), names(&graph.outputs));
    let has = |ports: &[String], wanted: &[&str]| wanted.iter().all(|name| ports.iter().any(|port| port == name));
    if has(&inputs, &statistics::INPUTS) && has(&outputs, &statistics::OUTPUTS) {
        return Ok(Contract::Statistics);
    }
    let asks = has(&inputs, &query_key::INPUTS) || has(&inputs, &[query_key::WINDOW_INPUT]);
    if asks && has(&outputs, &query_key::OUTPUTS) {
        return Ok(Contract::QueryKey);
    }
    if has(&inputs, &["input_ids"]) && !attentions::maps(&graph.outputs).is_empty() {
        return Ok(Contract::Attentions);
    }
    let message = format!(
        "the model follows no contract known here: its inputs are {} and its outputs {}; export it with attention \
         outputs, or its checkpoint with `longattn export`",
        inputs.join(", "),
        outputs.join(", ")
    );
    Err(Error::new(ErrorKind::Unsupported, message))
}

fn check_vocabulary(description: &Description, tokenizer: Option<&Tokenizer>) -> Result<()> {
    let (Some(metadata), Some(tokenizer)) = (&description.metadata, tokenizer) else { return Ok(()) };
    let tokenizer = tokenizer.own_vocabulary_size();
    if tokenizer <= metadata.vocabulary_size {
        return Ok(());
    }
    let message = format!(
        "tokenizer.json has {tokenizer} token ids and the model beside {} knows only {}: they are not of one \
         checkpoint; export it again",
        description.model.display(),
        metadata.vocabulary_size
    );
    Err(Error::new(ErrorKind::InvalidModel, message))
}
