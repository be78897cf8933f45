//! How a session starts, and why not.

use std::fs::File;
use std::io;
use std::path::Path;

use ndarray::{Array2, arr2};
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::value::Tensor;

use super::native::{Placement, REMEMBER_PLACEMENT};
use super::operator::{CurrentRun, FAR_MASS, operators};
use super::provider::{self, BuiltIn, ExecutionProvider, with_provider};
use super::runtime::{Runtime, SMALL_GRAPH, listening, runtime};
use super::weights::{MappedFile, with_weights};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};

/// A session that has started.
pub(super) struct Started {
    pub session: Session,
    /// What its own operators see of the run that goes on.
    pub current: CurrentRun,
    /// Where its nodes run, by provider; empty on the CPU and where ONNX Runtime does not tell.
    pub placement: Placement,
    /// Its files of weights, where they are not in memory.
    pub mapped: Vec<MappedFile>,
}

/// Starts a session of a model with the provider of the settings. Says where its nodes run, where that provider is not the
/// CPU's and ONNX Runtime tells.
///
/// # Errors
/// [`ErrorKind::InvalidSetting`] for a device or options that the provider has no use for; [`ErrorKind::Runtime`] where
/// ONNX Runtime or the provider cannot start, or the provider runs nothing of the model; [`ErrorKind::InvalidModel`].
pub(super) fn start(path: &Path, config: &Config) -> Result<Started> {
    provider::check_settings(config)?;
    let runtime = runtime(config.onnxruntime.as_deref())?;
    let builder = builder(&runtime, config);
    let (mut builder, provider) = builder.map_err(|cause| provider::cannot_start(&runtime, config, &cause))?;
    let current = CurrentRun::default();
    builder = with_operators(builder, config, &current)
        .map_err(|cause| provider::cannot_start(&runtime, config, &cause.to_string()))?;
    let mut mapped = Vec::new();
    if config.weights_in_memory {
        builder = with_weights(builder, path)?;
    } else {
        mapped = MappedFile::beside(path)?;
    }
    let session = listening(|| builder.commit_from_file(path).map_err(|cause| cause.to_string()));
    let session = session.map_err(|cause| cannot_load(&runtime, path, config, &cause))?;
    if config.execution_provider == ExecutionProvider::CPU {
        return Ok(Started { session, current, placement: Placement::new(), mapped });
    }
    let placement = runtime.native.placement(&session).unwrap_or_default();
    check_placement(&placement, &provider, path, config)?;
    Ok(Started { session, current, placement, mapped })
}

/// What a session is made from, and ONNX Runtime's name of the provider that it computes with.
fn builder(runtime: &Runtime, config: &Config) -> Result<(SessionBuilder, String), String> {
    let builder = Session::builder(&runtime.environment).map_err(|cause| cause.to_string())?;
    let builder = builder.with_optimization_level(GraphOptimizationLevel::All).map_err(|cause| cause.to_string())?;
    let threads = config.threads.map_or(0, |threads| threads.get());
    let builder = builder.with_intra_threads(threads).map_err(|cause| cause.to_string())?;
    // Between two runs the cores belong to the attention statistics.
    let mut builder = builder.with_intra_op_spinning(false).map_err(|cause| cause.to_string())?;
    if config.execution_provider != ExecutionProvider::CPU {
        let (key, value) = REMEMBER_PLACEMENT;
        builder = builder.with_config_entry(key, value).map_err(|cause| cause.to_string())?;
    }
    let provider = provider::select(runtime, &mut builder, config)?;
    Ok((builder, provider))
}

fn with_operators(builder: SessionBuilder, config: &Config, run: &CurrentRun) -> ort::Result<SessionBuilder> {
    Ok(builder.with_operators(operators(config, run)?)?)
}

/// Tells a damaged model from a provider that cannot start, and from one that cannot run this model.
fn cannot_load(runtime: &Runtime, path: &Path, config: &Config, cause: &str) -> Error {
    let damaged = |cause: &str| {
        let hint = "the file may be truncated or no ONNX model; export it again";
        Error::new(ErrorKind::InvalidModel, format!("{} cannot be loaded: {cause}; {hint}", path.display()))
    };
    if let Some(error) = lack_of_resources(path, cause) {
        return error;
    }
    if config.execution_provider == ExecutionProvider::CPU {
        return damaged(cause);
    }
    if let Err(cause) = try_provider(runtime, config) {
        return provider::cannot_start(runtime, config, &cause);
    }
    if let Ok((mut builder, _)) = builder(runtime, &with_provider(config, ExecutionProvider::CPU))
        && let Err(cause) = builder.commit_from_file(path)
    {
        return damaged(&cause.to_string());
    }
    let provider = config.execution_provider.name();
    let message = format!("the execution provider {provider} cannot run {}: {cause}", path.display());
    Error::new(ErrorKind::Runtime, message)
}

/// What a machine lacks that cannot load even a whole model.
fn lack_of_resources(path: &Path, cause: &str) -> Option<Error> {
    if let Err(cause) = File::open(path)
        && cause.kind() != io::ErrorKind::NotFound
    {
        return Some(Error::io(format!("read {}", path.display()), cause));
    }
    let cause_has = |words: &&str| cause.to_lowercase().contains(words);
    let lacking = [
        "too many open files",
        "allocate memory",
        "bad_alloc",
        "bad allocation",
        "out of memory",
        "resource temporarily",
    ];
    lacking.iter().any(cause_has).then(|| {
        let hint = "the machine, or a limit of this process, has no more memory, files or threads to give";
        Error::new(ErrorKind::Runtime, format!("{} cannot be loaded: {cause}; {hint}", path.display()))
    })
}

/// Runs a small graph with the provider of the settings, and says why that does not work.
pub(super) fn try_provider(runtime: &Runtime, config: &Config) -> Result<(), String> {
    let (mut builder, _) = builder(runtime, config)?;
    let y = listening(|| run_small_graph(&mut builder).map_err(|cause| cause.to_string()))?;
    if y == arr2(&[[4.0, 6.0]]) { Ok(()) } else { Err(format!("it gives {y} where [[4, 6]] is right")) }
}

fn run_small_graph(builder: &mut SessionBuilder) -> ort::Result<Array2<f32>> {
    let mut session = builder.commit_from_memory(SMALL_GRAPH)?;
    let x = Tensor::from_array(arr2(&[[1.0_f32, 1.0]]))?;
    let outputs = session.run(ort::inputs!["x" => x])?;
    outputs["y"].try_extract_array()?.to_owned().into_dimensionality().map_err(ort::Error::wrap)
}

/// The operators in which nearly all of a model's time goes.
const COSTLY: [&str; 6] = ["Attention", FAR_MASS, "GroupQueryAttention", "Loop", "MatMul", "Softmax"];

/// Refuses a provider that left the whole model to the CPU, and warns where it left something costly.
fn check_placement(placement: &Placement, provider: &str, path: &Path, config: &Config) -> Result<()> {
    if placement.is_empty() {
        return Ok(());
    }
    let name = config.execution_provider.name();
    if !placement.contains_key(provider) {
        let message = format!(
            "the execution provider {name} runs nothing of {}: every node would run on {}; use that, or another contract or \
             layer",
            path.display(),
            placement.keys().cloned().collect::<Vec<_>>().join(" and ")
        );
        return Err(Error::new(ErrorKind::Runtime, message));
    }
    let left = placement.get(BuiltIn::Cpu.official_name()).into_iter().flatten();
    let left: Vec<_> = left.filter(|(operator, _)| COSTLY.contains(&operator.as_str())).collect();
    if !left.is_empty() {
        let is_fused = left.iter().any(|(operator, _)| [FAR_MASS, "GroupQueryAttention"].contains(&operator.as_str()));
        let advice = if is_fused {
            "; a package exported with --attention standard has neither FarMass nor GroupQueryAttention"
        } else {
            ""
        };
        let left: Vec<_> = left.iter().map(|(operator, count)| format!("{operator} ({count})")).collect();
        log::warn!("the execution provider {name} leaves these nodes to the CPU: {}{advice}", left.join(", "));
    }
    Ok(())
}
