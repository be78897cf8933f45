//! One ONNX Runtime session, shared among threads.

use std::borrow::Cow;
use std::path::Path;
use std::sync::Mutex;

use ndarray::ArrayD;
use ort::session::{OutputSelector, RunOptions, Session, SessionInputValue};
use ort::value::{DynValue, TensorElementType, ValueType};

use super::native::Placement;
use super::provider::ExecutionProvider;
use super::start::start;
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
    runner: String,
}

impl Graph {
    pub(super) fn open(path: &Path, config: &Config) -> Result<Self> {
        let (session, placement) = start(path, config)?;
        let inputs = ports(session.inputs())?;
        let outputs = ports(session.outputs())?;
        let runner = match config.execution_provider == ExecutionProvider::CPU {
            true => "ONNX Runtime".to_owned(),
            false => format!("the execution provider {}", config.execution_provider.name()),
        };
        Ok(Self { session: Mutex::new(session), inputs, outputs, placement, runner })
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
        let failed = |cause: ort::Error| Error::new(ErrorKind::Runtime, format!("{} failed: {cause}", self.runner));
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
