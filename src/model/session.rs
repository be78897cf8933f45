//! One ONNX Runtime session, shared among threads.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Mutex;

use ndarray::ArrayD;
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{OutputSelector, RunOptions, Session, SessionInputValue};
use ort::value::{DynValue, TensorElementType, ValueType};

use super::runtime;
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
}

impl Graph {
    pub(super) fn open(path: &Path, config: &Config) -> Result<Self> {
        let environment = runtime::environment(config.onnxruntime.as_deref())?;
        let session = start(&environment, path, config).map_err(|cause| {
            let hint = "the file may be truncated or no ONNX model; export it again";
            Error::new(ErrorKind::InvalidModel, format!("{} cannot be loaded: {cause}; {hint}", path.display()))
        })?;
        let inputs = ports(session.inputs())?;
        let outputs = ports(session.outputs())?;
        Ok(Self { session: Mutex::new(session), inputs, outputs })
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
        let options = RunOptions::new().map_err(run_error)?.with_outputs(selected);
        let inputs: Vec<(Cow<str>, _)> = inputs.into_iter().map(|(name, value)| (name.into(), value)).collect();
        let mut session = self.lock();
        let mut outputs = session.run_with_options::<_, 0>(inputs, &options).map_err(run_error)?;
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

fn start(
    environment: &ort::environment::Environment,
    path: &Path,
    config: &Config,
) -> std::result::Result<Session, String> {
    let builder = Session::builder(environment).map_err(|cause| cause.to_string())?;
    let builder = builder.with_optimization_level(GraphOptimizationLevel::All).map_err(|cause| cause.to_string())?;
    let threads = config.threads.map_or(0, |threads| threads.get());
    let builder = builder.with_intra_threads(threads).map_err(|cause| cause.to_string())?;
    // Between two runs the cores belong to the attention statistics.
    let mut builder = builder.with_intra_op_spinning(false).map_err(|cause| cause.to_string())?;
    builder.commit_from_file(path).map_err(|cause| cause.to_string())
}

fn run_error(cause: ort::Error) -> Error {
    Error::new(ErrorKind::Runtime, format!("ONNX Runtime failed: {cause}"))
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
