//! One graph of ONNX Runtime's, shared among threads.

use std::collections::HashMap;
use std::path::Path;

use ndarray::ArrayD;
use ort::session::Session;
use ort::value::{DynValue, TensorElementType, ValueType};

use super::native::Placement;
use super::provider::ExecutionProvider;
use super::runner::{Inputs, Runner};
use super::start::{Started, start};
use super::weights::MappedFile;
use crate::cancel::Cancel;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::process::OfProcess;

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
    runner: OfProcess<Runner>,
    mapped: Vec<MappedFile>,
    /// The model's metadata.
    properties: HashMap<String, String>,
    pub(super) inputs: Vec<Port>,
    pub(super) outputs: Vec<Port>,
    /// Where the nodes run, by provider; empty on the CPU and where ONNX Runtime does not tell.
    pub(super) placement: Placement,
    /// Who is to blame when a run fails.
    blame: String,
}

impl Graph {
    pub(super) fn open(path: &Path, config: &Config) -> Result<Self> {
        let Started { session, current, placement, mapped } = start(path, config)?;
        let inputs = ports(session.inputs())?;
        let outputs = ports(session.outputs())?;
        let blame = match config.execution_provider == ExecutionProvider::CPU {
            true => "ONNX Runtime".to_owned(),
            false => format!("the execution provider {}", config.execution_provider.name()),
        };
        let properties = properties(&session);
        let runner = Runner::start(session, current).map_err(|cause| Error::io("start a thread", cause))?;
        Ok(Self { runner: OfProcess::new(runner), mapped, properties, inputs, outputs, placement, blame })
    }

    /// A value of the model's metadata.
    pub(super) fn property(&self, key: &str) -> Option<String> {
        self.properties.get(key).cloned()
    }

    /// Runs the graph for some of its outputs, one run at a time, until `cancel` says stop.
    pub(super) fn run<const N: usize>(
        &self,
        inputs: Inputs,
        names: [&str; N],
        cancel: &Cancel,
    ) -> Result<[DynValue; N]> {
        self.mapped.iter().try_for_each(MappedFile::check)?;
        let values = self.runner.get()?.run(inputs, &names, &self.blame, cancel)?;
        self.mapped.iter().try_for_each(MappedFile::check)?;
        Ok(values.try_into().expect("a value for each name"))
    }
}

fn properties(session: &Session) -> HashMap<String, String> {
    let Ok(metadata) = session.metadata() else { return HashMap::new() };
    let keys = metadata.custom_keys().unwrap_or_default();
    keys.into_iter().filter_map(|key| Some((metadata.custom(&key)?, key))).map(|(value, key)| (key, value)).collect()
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
