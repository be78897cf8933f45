//! Execution providers: what computes the graph.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ort::ep::{ArbitrarilyConfigurableExecutionProvider, CUDA, ExecutionProviderDispatch, ROCm, TensorRT};
use ort::session::builder::SessionBuilder;

use super::native::{self, Device};
use super::runtime::{Runtime, listening};
use crate::choice::Choice;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};

/// What computes the graph.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecutionProvider {
    /// One that ONNX Runtime may have been built with.
    BuiltIn(BuiltIn),
    /// One in a plug-in library of its own.
    Plugin(PathBuf),
}

/// The execution providers of ONNX Runtime that can be chosen by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuiltIn {
    /// The processor.
    Cpu,
    /// NVIDIA GPUs.
    Cuda,
    /// NVIDIA GPUs by TensorRT, and by CUDA what TensorRT leaves.
    TensorRt,
    /// AMD GPUs; gone from ONNX Runtime since 1.23.
    Rocm,
    /// AMD GPUs by MIGraphX.
    MiGraphX,
    /// Intel processors, GPUs and NPUs by OpenVINO.
    OpenVino,
    /// Apple's Core ML.
    CoreMl,
    /// GPUs on Windows by DirectML.
    DirectMl,
}

impl Choice for BuiltIn {
    const NAMES: &'static [(&'static str, Self)] = &[
        ("cpu", Self::Cpu),
        ("cuda", Self::Cuda),
        ("tensorrt", Self::TensorRt),
        ("rocm", Self::Rocm),
        ("migraphx", Self::MiGraphX),
        ("openvino", Self::OpenVino),
        ("coreml", Self::CoreMl),
        ("directml", Self::DirectMl),
    ];
}

impl BuiltIn {
    /// ONNX Runtime's own name of the provider.
    pub fn official_name(self) -> &'static str {
        match self {
            Self::Cpu => "CPUExecutionProvider",
            Self::Cuda => "CUDAExecutionProvider",
            Self::TensorRt => "TensorrtExecutionProvider",
            Self::Rocm => "ROCMExecutionProvider",
            Self::MiGraphX => "MIGraphXExecutionProvider",
            Self::OpenVino => "OpenVINOExecutionProvider",
            Self::CoreMl => "CoreMLExecutionProvider",
            Self::DirectMl => "DmlExecutionProvider",
        }
    }

    /// How to get an ONNX Runtime that has the provider, and what else it needs.
    fn remedy(self) -> &'static str {
        match self {
            Self::Cpu => "every ONNX Runtime has it",
            Self::Cuda => {
                "it takes NVIDIA's driver and `pip install onnxruntime-gpu[cuda,cudnn]`, or `make cuda` in a checkout of \
                 this project"
            }
            Self::TensorRt => {
                "it takes what cuda takes, `pip install onnxruntime-gpu[cuda,cudnn]`, and TensorRT's libnvinfer.so of the \
                 version that ONNX Runtime was built for, its directory in LD_LIBRARY_PATH"
            }
            Self::Rocm => "ONNX Runtime has it no longer since 1.23: use migraphx",
            Self::MiGraphX => "it takes AMD's ROCm and `pip install onnxruntime-migraphx`",
            Self::OpenVino => "`pip install onnxruntime-openvino` has it",
            Self::CoreMl => "the `onnxruntime` package for macOS has it",
            Self::DirectMl => "`pip install onnxruntime-directml` on Windows has it",
        }
    }

    /// Whether the provider takes a device's number.
    fn counts_devices(self) -> bool {
        !matches!(self, Self::Cpu | Self::OpenVino | Self::CoreMl)
    }
}

impl ExecutionProvider {
    /// The default.
    pub const CPU: Self = Self::BuiltIn(BuiltIn::Cpu);

    /// The provider of a setting's text: a name, or else a path, which has a separator or a dot.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if let Some((_, provider)) = BuiltIn::NAMES.iter().find(|row| row.0 == text) {
            return Some(Self::BuiltIn(*provider));
        }
        let is_path = text.contains(['/', '\\', '.']) && !text.contains('\0');
        is_path.then(|| Self::Plugin(text.into()))
    }

    /// The provider whose GPUs run our operators, as ONNX Runtime calls it: CUDA computes what TensorRT leaves.
    pub(super) fn runs_operators(&self) -> Option<&'static str> {
        match self {
            Self::BuiltIn(BuiltIn::Cuda | BuiltIn::TensorRt) => Some(BuiltIn::Cuda.official_name()),
            _ => None,
        }
    }

    /// The setting's text.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::BuiltIn(provider) => provider.name().to_owned(),
            Self::Plugin(path) => path.display().to_string(),
        }
    }
}

/// Options of an execution provider, under its own names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderOptions(Vec<(String, String)>);

impl ProviderOptions {
    /// The keys, each once, with their values.
    pub fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// Reads `key=value,key=value`. A part without `=` goes on with the value before it, so that values may hold commas.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for part in text.split(',') {
            match part.split_once('=') {
                Some((key, value)) => pairs.push((key.trim().to_owned(), value.to_owned())),
                None => pairs.last_mut()?.1 += &format!(",{part}"),
            }
        }
        let repeated = |index: usize| pairs[..index].iter().any(|earlier| earlier.0 == pairs[index].0);
        let is_valid = |index: usize| !pairs[index].0.is_empty() && !repeated(index);
        (!text.contains('\0') && (0..pairs.len()).all(is_valid)).then_some(Self(pairs))
    }
}

impl Display for ProviderOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: Vec<_> = self.0.iter().map(|(key, value)| format!("{key}={value}")).collect();
        formatter.write_str(&pairs.join(","))
    }
}

/// The settings with another provider, on its own choice of a device.
pub(super) fn with_provider(config: &Config, execution_provider: ExecutionProvider) -> Config {
    let provider_options = ProviderOptions::default();
    Config { execution_provider, device_id: None, provider_options, ..config.clone() }
}

/// What ONNX Runtime says where a provider's library lacks others.
const NOT_LOADED: &str = "Failed to load library";

/// Makes a session compute with the provider of the settings. Gives ONNX Runtime's name of it, or why it cannot start.
pub(super) fn select(runtime: &Runtime, builder: &mut SessionBuilder, config: &Config) -> Result<String, String> {
    match &config.execution_provider {
        ExecutionProvider::BuiltIn(provider) => {
            let name = provider.official_name().to_owned();
            if !runtime.native.built_with().contains(&name) {
                return Err(format!("this build has no {name}: {}", provider.remedy()));
            }
            match listening(|| add(runtime, builder, *provider, config)) {
                Err(cause) if cause.contains(NOT_LOADED) => Err(format!("{cause}; {}", provider.remedy())),
                added => added.map(|()| name),
            }
        }
        ExecutionProvider::Plugin(path) => listening(|| add_plugin(runtime, builder, path, config)),
    }
}

/// The error of a provider that was asked for and cannot start.
pub(super) fn cannot_start(runtime: &Runtime, config: &Config, cause: &str) -> Error {
    let message = format!(
        "the execution provider {} cannot start: {}; this is ONNX Runtime {} from {}, built with {}; docs/providers.md \
         tells more",
        config.execution_provider.name(),
        cause.trim_end_matches('.'),
        runtime.native.version(),
        runtime.path.display(),
        runtime.native.built_with().join(", ")
    );
    Error::new(ErrorKind::Runtime, message)
}

/// As many as large machines have cores; many more take minutes to start, or more than the system gives.
const MOST_THREADS: usize = 1024;

/// Refuses settings that the provider has no use for, and more threads than a process can have.
///
/// # Errors
/// [`ErrorKind::InvalidSetting`] for too many threads, and for a device or options where it takes none.
pub(super) fn check_settings(config: &Config) -> Result<()> {
    let refuse = |message: String| Err(Error::new(ErrorKind::InvalidSetting, message));
    if let Some(threads) = config.threads.filter(|threads| threads.get() > MOST_THREADS) {
        return refuse(format!(
            "threads cannot be {threads}: more than {MOST_THREADS} help nobody; auto is one for each core"
        ));
    }
    let ExecutionProvider::BuiltIn(provider) = config.execution_provider else { return Ok(()) };
    if provider == BuiltIn::Cpu && !config.provider_options.pairs().is_empty() {
        return refuse("the execution provider cpu has no provider_options: set execution_provider too".to_owned());
    }
    if config.device_id.is_some() && !provider.counts_devices() {
        let instead = match provider {
            BuiltIn::OpenVino => "name the device in provider_options, as in device_type=GPU.1",
            BuiltIn::CoreMl => "choose by MLComputeUnits in provider_options",
            _ => "set execution_provider too",
        };
        return refuse(format!("the execution provider {} takes no device_id: {instead}", provider.name()));
    }
    Ok(())
}

fn add(runtime: &Runtime, builder: &mut SessionBuilder, provider: BuiltIn, config: &Config) -> Result<(), String> {
    let device = config.device_id.map(|id| ("device_id".to_owned(), id.to_string()));
    let device: Vec<_> = device.into_iter().collect();
    let options = [device.as_slice(), config.provider_options.pairs()].concat();
    let register = |dispatch: ExecutionProviderDispatch, builder: &mut SessionBuilder| {
        dispatch.register(builder).map_err(|cause| cause.to_string())
    };
    match provider {
        BuiltIn::Cpu => Ok(()),
        BuiltIn::Cuda => {
            preload_cuda(&runtime.path);
            register(with(cuda(), &options).build(), builder)
        }
        BuiltIn::TensorRt => {
            preload_cuda(&runtime.path);
            register(with(TensorRT::default(), &options).build(), builder)?;
            register(with(cuda(), &device).build(), builder)
        }
        BuiltIn::Rocm => register(with(ROCm::default(), &options).build(), builder),
        BuiltIn::MiGraphX => native::append(builder, "MIGraphX", &options),
        BuiltIn::OpenVino => native::append(builder, "OpenVINO", &options),
        BuiltIn::CoreMl => native::append(builder, "CoreML", &options),
        BuiltIn::DirectMl => native::append(builder, "DML", &options),
    }
}

/// Products of float32 in float32: the three digits of TF32, ONNX Runtime's default, are too few for sums over a window.
fn cuda() -> CUDA {
    CUDA::default().with_tf32(false)
}

fn with<P: ArbitrarilyConfigurableExecutionProvider>(provider: P, options: &[(String, String)]) -> P {
    options.iter().fold(provider, |provider, (key, value)| provider.with_arbitrary_config(key, value))
}

/// CUDA's libraries that the provider needs, each after those that it needs itself.
const CUDA_LIBRARIES: [&str; 7] =
    ["libcudart.so", "libnvrtc.so", "libcublasLt.so", "libcublas.so", "libcurand.so", "libcufft.so", "libcudnn.so"];

/// Loads CUDA's libraries from the Python packages beside that of ONNX Runtime, as that does in Python. Where they are
/// somewhere else, the system's loader finds them, or the provider says what it lacks.
fn preload_cuda(onnxruntime: &Path) {
    let packages = onnxruntime.ancestors().nth(3).map(|site| site.join("nvidia"));
    let files = |directory: PathBuf| {
        let entries = directory.read_dir().into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let libraries = packages.map(files).unwrap_or_default().into_iter().flat_map(|package| files(package.join("lib")));
    let libraries: Vec<_> = libraries.collect();
    for name in CUDA_LIBRARIES {
        let is_named = |path: &&PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name));
        for library in libraries.iter().filter(is_named) {
            _ = ort::util::preload_dylib(library);
        }
    }
}

/// The plug-in libraries that this process has loaded, with their devices.
static PLUGINS: Mutex<Vec<(PathBuf, Vec<Device>)>> = Mutex::new(Vec::new());

fn add_plugin(runtime: &Runtime, builder: &mut SessionBuilder, path: &Path, config: &Config) -> Result<String, String> {
    let devices = plugin_devices(runtime, path)?;
    let chosen = config.device_id.unwrap_or_default();
    if devices.is_empty() {
        return Err("it finds no device on this machine that it computes on".to_owned());
    }
    let Some(device) = devices.get(chosen) else {
        let offered: Vec<_> = devices.iter().map(|device| runtime.native.describe(*device)).collect();
        return Err(format!("there is no device {chosen}; from 0 on they are: {}", offered.join(", ")));
    };
    runtime.native.append_device(&runtime.environment, builder, *device, config.provider_options.pairs())?;
    Ok(runtime.native.provider_of(*device))
}

/// The devices of a plug-in library, which is loaded at the first call.
pub(super) fn plugin_devices(runtime: &Runtime, path: &Path) -> Result<Vec<Device>, String> {
    let path = path.canonicalize().map_err(|cause| format!("{}: {cause}", path.display()))?;
    let mut plugins = PLUGINS.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some((_, devices)) = plugins.iter().find(|plugin| plugin.0 == path) {
        return Ok(devices.clone());
    }
    let devices = runtime.native.register(&runtime.environment, &path)?;
    plugins.push((path, devices.clone()));
    Ok(devices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_provider_is_a_name_or_a_path() {
        let builtin = ExecutionProvider::parse("cuda");
        assert_eq!(builtin, Some(ExecutionProvider::BuiltIn(BuiltIn::Cuda)));
        for path in ["libplugin.so", "/opt/plugin", "plugins\\one.dll"] {
            assert_eq!(ExecutionProvider::parse(path), Some(ExecutionProvider::Plugin(path.into())));
        }
        for wrong in ["", "gpu", "CUDA", "/opt/a\0b"] {
            assert_eq!(ExecutionProvider::parse(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn values_of_options_may_hold_commas_and_equals_signs() {
        let options = ProviderOptions::parse("a=1,shapes=x:1x2,y:3,b=c=d,empty=").unwrap();
        let pairs: Vec<_> = options.pairs().iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(pairs, [("a", "1"), ("shapes", "x:1x2,y:3"), ("b", "c=d"), ("empty", "")]);
        assert_eq!(ProviderOptions::parse(&options.to_string()), Some(options));
        for wrong in ["", "a", "=1", "a=1,a=2", "a=\0"] {
            assert_eq!(ProviderOptions::parse(wrong), None, "{wrong:?}");
        }
    }
}
