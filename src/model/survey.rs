//! Which execution providers there are, and which of them really start.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::provider::{self, BuiltIn, ExecutionProvider, with_provider};
use super::runtime::{Runtime, runtime};
use super::start::try_provider;
use crate::choice::Choice;
use crate::config::Config;
use crate::error::Result;

/// What an ONNX Runtime offers on this machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// The file that ONNX Runtime was loaded from.
    pub onnxruntime: PathBuf,
    /// Its version, such as `1.31.1`.
    pub version: String,
    /// The providers that it was built with, under its own names.
    pub built_with: Vec<String>,
    /// Every provider that can be chosen by name, and the plug-in library of the settings.
    pub providers: Vec<Tried>,
}

/// A provider that was tried with a small graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried {
    /// The value of the setting `execution_provider`.
    pub name: String,
    /// Devices of a plug-in library, by `device_id`.
    pub devices: Vec<String>,
    /// Why it does not start, and what it takes; `None` where it does.
    pub problem: Option<String>,
}

/// Tries every provider, that of the settings with its device and options.
///
/// # Errors
/// [`Runtime`](crate::ErrorKind::Runtime) without ONNX Runtime; [`InvalidSetting`](crate::ErrorKind::InvalidSetting) for a
/// device or options of a provider that takes none.
pub fn survey(config: &Config) -> Result<Survey> {
    provider::check_settings(config)?;
    let runtime = runtime(config.onnxruntime.as_deref())?;
    let named = BuiltIn::NAMES.iter().map(|row| ExecutionProvider::BuiltIn(row.1));
    let plugin =
        Some(config.execution_provider.clone()).filter(|provider| matches!(provider, ExecutionProvider::Plugin(_)));
    let providers = named.chain(plugin).map(|provider| tried(&runtime, config, provider)).collect();
    let native = runtime.native;
    Ok(Survey { version: native.version(), built_with: native.built_with(), onnxruntime: runtime.path, providers })
}

fn tried(runtime: &Runtime, config: &Config, provider: ExecutionProvider) -> Tried {
    let config = match provider == config.execution_provider {
        true => config.clone(),
        false => with_provider(config, provider.clone()),
    };
    let devices = match &provider {
        ExecutionProvider::Plugin(path) => provider::plugin_devices(runtime, path).unwrap_or_default(),
        ExecutionProvider::BuiltIn(_) => Vec::new(),
    };
    Tried {
        name: provider.name(),
        devices: devices.into_iter().map(|device| runtime.native.describe(device)).collect(),
        problem: try_provider(runtime, &config).err(),
    }
}

impl Survey {
    /// Everything as one JSON object.
    pub fn to_json(&self) -> Value {
        let providers = self.providers.iter().map(|tried| {
            let starts = tried.problem.is_none();
            json!({ "name": tried.name, "devices": tried.devices, "starts": starts, "problem": tried.problem })
        });
        json!({
            "onnxruntime": self.onnxruntime.display().to_string(),
            "version": self.version,
            "built_with": self.built_with,
            "providers": providers.collect::<Vec<_>>(),
        })
    }
}
