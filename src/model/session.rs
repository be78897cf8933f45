//! One ONNX Runtime session, shared among threads.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Mutex;

use ndarray::{Array2, ArrayD, arr2};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{OutputSelector, RunOptions, Session, SessionInputValue};
use ort::value::{DynValue, Tensor, TensorElementType, ValueType};

use super::native::{Placement, REMEMBER_PLACEMENT};
use super::provider::{self, BuiltIn, ExecutionProvider};
use super::runtime::{Runtime, listening, runtime};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};

/// An input or output of a graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The name in the graph.
    pub name: String,
    /// The element type, such as `f32`.
    pub element: String,
    /// The dimensions; `None` where the graph leaves one open.
    pub shape: Vec<Option<usize>>,
    pub(super) element_type: TensorElementType,
}

/// A loaded graph.
pub(super) struct Graph {
    session: Mutex<Session>,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
    /// Where the nodes run, by provider; empty on the CPU and where ONNX Runtime does not tell.
    pub(super) placement: Placement,
    /// Who is to blame when a run fails.
    provider: String,
}

impl Graph {
    pub(super) fn open(path: &Path, config: &Config) -> Result<Self> {
        provider::check_settings(config)?;
        let runtime = runtime(config.onnxruntime.as_deref())?;
        let started = builder(&runtime, config);
        let (mut builder, provider) = started.map_err(|cause| provider::cannot_start(&runtime, config, &cause))?;
        let session = listening(|| builder.commit_from_file(path).map_err(|cause| cause.to_string()));
        let session = session.map_err(|cause| cannot_load(&runtime, path, config, &cause))?;
        let placement = placement(&runtime, &session, config);
        check_placement(&placement, &provider, path, config)?;
        let inputs = ports(session.inputs())?;
        let outputs = ports(session.outputs())?;
        let provider = match is_cpu(config) {
            true => "ONNX Runtime".to_owned(),
            false => format!("the execution provider {}", config.execution_provider.name()),
        };
        Ok(Self { session: Mutex::new(session), inputs, outputs, placement, provider })
    }

    /// A value of the model's metadata.
    pub(super) fn property(&self, key: &str) -> Option<String> {
        self.lock().metadata().ok()?.custom(key)
    }

    /// Runs the graph for some of its outputs. The lock is held for the run alone.
    pub(super) fn run<const N: usize>(
        &self,
        inputs: Vec<(String, SessionInputValue)>,
        names: [&str; N],
    ) -> Result<[DynValue; N]> {
        let selected = names.into_iter().fold(OutputSelector::no_default(), OutputSelector::with);
        let failed = |cause: ort::Error| Error::new(ErrorKind::Runtime, format!("{} failed: {cause}", self.provider));
        let options = RunOptions::new().map_err(failed)?.with_outputs(selected);
        let inputs: Vec<(Cow<str>, _)> = inputs.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let mut session = self.lock();
        let mut outputs = session.run_with_options::<_, 0>(inputs, &options).map_err(failed)?;
        let mut values = Vec::with_capacity(N);
        for name in names {
            let missing = || Error::new(ErrorKind::Runtime, format!("ONNX Runtime did not give the output {name:?}"));
            values.push(outputs.remove(name).ok_or_else(missing)?);
        }
        Ok(values.try_into().expect("a value for each name"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Session> {
        // A panic in a run leaves the session itself whole.
        self.session.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// What a session is made from, and ONNX Runtime's name of the provider that it computes with.
fn builder(runtime: &Runtime, config: &Config) -> std::result::Result<(SessionBuilder, String), String> {
    let builder = Session::builder(&runtime.environment).map_err(|cause| cause.to_string())?;
    let builder = builder.with_optimization_level(GraphOptimizationLevel::All).map_err(|cause| cause.to_string())?;
    let threads = config.threads.map_or(0, |threads| threads.get());
    let builder = builder.with_intra_threads(threads).map_err(|cause| cause.to_string())?;
    // Between two runs the cores belong to the attention statistics.
    let mut builder = builder.with_intra_op_spinning(false).map_err(|cause| cause.to_string())?;
    if !is_cpu(config) {
        let (key, value) = REMEMBER_PLACEMENT;
        builder = builder.with_config_entry(key, value).map_err(|cause| cause.to_string())?;
    }
    let provider = provider::select(runtime, &mut builder, config)?;
    Ok((builder, provider))
}

fn is_cpu(config: &Config) -> bool {
    config.execution_provider == ExecutionProvider::BuiltIn(BuiltIn::Cpu)
}

fn on_cpu(config: &Config) -> Config {
    Config {
        execution_provider: ExecutionProvider::BuiltIn(BuiltIn::Cpu),
        device_id: None,
        provider_options: Default::default(),
        ..config.clone()
    }
}

/// Tells a damaged model from a provider that cannot start, and from one that cannot run this model.
fn cannot_load(runtime: &Runtime, path: &Path, config: &Config, cause: &str) -> Error {
    let damaged = |cause: &str| {
        let hint = "the file may be truncated or no ONNX model; export it again";
        Error::new(ErrorKind::InvalidModel, format!("{} cannot be loaded: {cause}; {hint}", path.display()))
    };
    if is_cpu(config) {
        return damaged(cause);
    }
    if let Err(cause) = try_provider(runtime, config) {
        return provider::cannot_start(runtime, config, &cause);
    }
    if let Ok((mut builder, _)) = builder(runtime, &on_cpu(config))
        && let Err(cause) = builder.commit_from_file(path)
    {
        return damaged(&cause.to_string());
    }
    let provider = config.execution_provider.name();
    let message = format!("the execution provider {provider} cannot run {}: {cause}", path.display());
    Error::new(ErrorKind::Runtime, message)
}

/// `y = x · [[1, 2], [3, 4]]` for a row `x` of two numbers; `onnx.parser.parse_model` makes it of
/// `<ir_version: 8, opset_import: ["": 13]> g (float[1,2] x) => (float[1,2] y) <float[2,2] w = {1, 2, 3, 4}> { y = MatMul(x, w) }`.
const SMALL_GRAPH: &[u8] = include_bytes!("small.onnx");

/// Runs a small graph with the provider of the settings, and says why that does not work.
pub(super) fn try_provider(runtime: &Runtime, config: &Config) -> std::result::Result<(), String> {
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

fn placement(runtime: &Runtime, session: &Session, config: &Config) -> Placement {
    if is_cpu(config) { Placement::new() } else { runtime.native.placement(session).unwrap_or_default() }
}

/// The operators in which nearly all of a model's time goes.
const COSTLY: [&str; 5] = ["Attention", "GroupQueryAttention", "Loop", "MatMul", "Softmax"];

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
        let left: Vec<_> = left.iter().map(|(operator, count)| format!("{operator} ({count})")).collect();
        log::warn!("the execution provider {name} leaves these nodes to the CPU: {}", left.join(", "));
    }
    Ok(())
}

fn ports(outlets: &[ort::value::Outlet]) -> Result<Vec<Port>> {
    let port = |outlet: &ort::value::Outlet| match outlet.dtype() {
        ValueType::Tensor { ty, shape, .. } => Ok(Port {
            name: outlet.name().to_owned(),
            element: ty.to_string(),
            shape: shape.iter().map(|dimension| usize::try_from(*dimension).ok()).collect(),
            element_type: *ty,
        }),
        other => {
            let message = format!("{} is {other}, where only tensors are understood", outlet.name());
            Err(Error::new(ErrorKind::Unsupported, message))
        }
    };
    outlets.iter().map(port).collect()
}

/// A tensor of floats as an array, whatever its precision.
pub(super) fn floats(value: &DynValue) -> Result<ArrayD<f32>> {
    if let Ok(array) = value.try_extract_array::<f32>() {
        return Ok(array.to_owned());
    }
    if let Ok(array) = value.try_extract_array::<half::f16>() {
        return Ok(array.mapv(half::f16::to_f32));
    }
    if let Ok(array) = value.try_extract_array::<half::bf16>() {
        return Ok(array.mapv(half::bf16::to_f32));
    }
    Err(Error::new(ErrorKind::Unsupported, format!("the model gives {}, not floating-point numbers", value.dtype())))
}
