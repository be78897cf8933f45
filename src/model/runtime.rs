//! Finding and loading ONNX Runtime, once for the process.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, TryLockError};
use std::time::{Duration, Instant};
use std::{env, iter, thread};

use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::Session;

use super::native::Native;
use super::operator::{CurrentRun, operators};
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};

/// Names that the system's loader may know ONNX Runtime by.
const SYSTEM_NAMES: [&str; 2] = ["libonnxruntime.so", "libonnxruntime.so.1"];

/// Prints the directory of the `onnxruntime` package without importing it.
const PYTHON_LOOKUP: &str = "import importlib.util; spec = importlib.util.find_spec('onnxruntime'); \
     print(spec.submodule_search_locations[0] if spec else '')";

/// How long a child of `fork()` waits for the lock on [`LOADED`], which a thread that it does not have may hold for ever.
const PATIENCE: Duration = Duration::from_secs(1);

/// ONNX Runtime as it was loaded, kept for the life of the process.
static LOADED: Mutex<Option<Runtime>> = Mutex::new(None);

thread_local! {
    /// What ONNX Runtime says of its failures on this thread, while [`listening`].
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// `y = x · [[1, 2], [3, 4]]` for a row `x` of two numbers; `onnx.parser.parse_model` makes it of
/// `<ir_version: 8, opset_import: ["": 13]> g (float[1,2] x) => (float[1,2] y) <float[2,2] w = {1, 2, 3, 4}> { y = MatMul(x, w) }`.
pub(super) const SMALL_GRAPH: &[u8] = include_bytes!("small.onnx");

/// A loaded ONNX Runtime.
#[derive(Clone)]
pub(super) struct Runtime {
    pub(super) path: PathBuf,
    pub(super) environment: Environment,
    pub(super) native: Native,
}

impl Runtime {
    /// Whether it is of a version, such as `1.23`, or newer.
    pub(super) fn is_at_least(&self, version: &str) -> bool {
        numbers(&self.native.version()) >= numbers(version)
    }
}

/// ONNX Runtime, loaded at the first call.
///
/// # Errors
/// [`ErrorKind::Runtime`] where ONNX Runtime cannot be found or loaded, or where `setting` names another library than
/// the one that this process has loaded already.
pub(super) fn runtime(setting: Option<&Path>) -> Result<Runtime> {
    let mut loaded = lock_loaded()?;
    if let Some(loaded) = loaded.as_ref() {
        return match setting {
            Some(other) if !same_file(other, &loaded.path) => Err(Error::new(
                ErrorKind::Runtime,
                format!(
                    "this process has loaded ONNX Runtime from {} and cannot load another from {}",
                    loaded.path.display(),
                    other.display()
                ),
            )),
            _ => Ok(loaded.clone()),
        };
    }
    let found = load(setting)?;
    Ok(loaded.insert(found).clone())
}

/// What was loaded, for this thread alone.
///
/// # Errors
/// [`ErrorKind::Runtime`] in a child of `fork()` where the lock cannot be had.
fn lock_loaded() -> Result<MutexGuard<'static, Option<Runtime>>> {
    static FIRST_PROCESS: OnceLock<u32> = OnceLock::new();
    let is_first = *FIRST_PROCESS.get_or_init(process::id) == process::id();
    let begun = Instant::now();
    loop {
        match LOADED.try_lock() {
            Ok(loaded) => return Ok(loaded),
            Err(TryLockError::Poisoned(poisoned)) => return Ok(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if is_first => {
                return Ok(LOADED.lock().unwrap_or_else(|poisoned| poisoned.into_inner()));
            }
            Err(TryLockError::WouldBlock) if begun.elapsed() < PATIENCE => thread::sleep(PATIENCE / 100),
            Err(TryLockError::WouldBlock) => {
                let message = "this process was made by fork() while its parent was loading ONNX Runtime, and cannot use it: \
                               fork before or after that, or start a new program";
                return Err(Error::new(ErrorKind::Runtime, message));
            }
        }
    }
}

/// Does something that may fail, and adds to its error what ONNX Runtime logs meanwhile: that a library cannot be loaded
/// stands in the error, but which one it lacks may stand in the log alone.
pub(super) fn listening<T>(attempt: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    HEARD.set(Some(Vec::new()));
    let result = attempt();
    let heard = HEARD.take().unwrap_or_default();
    result.map_err(|cause| {
        let mut message = without_place(&cause).to_owned();
        for heard in heard.iter().map(|heard| without_place(heard)) {
            if !message.contains(heard) {
                message = format!("{message}; {heard}");
            }
        }
        message
    })
}

/// A message of ONNX Runtime without the place in its source that it may begin with.
fn without_place(message: &str) -> &str {
    message.split_once(" : FAIL : ").map_or(message, |parts| parts.1).trim()
}

fn hear(message: &str) {
    // A thread that is ending hears nothing more.
    _ = HEARD.try_with(|heard| heard.borrow_mut().iter_mut().for_each(|heard| heard.push(message.to_owned())));
}

/// The file that ONNX Runtime was loaded from, if it was.
pub fn loaded_from() -> Option<PathBuf> {
    lock_loaded().ok()?.as_ref().map(|loaded| loaded.path.clone())
}

/// The version of the ONNX Runtime that was loaded, if one was, such as `1.31.1`.
pub fn loaded_version() -> Option<String> {
    let loaded = LOADED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    loaded.as_ref().map(|loaded| loaded.native.version())
}

/// Refuses the loaded ONNX Runtime where it is older than `least`, such as `1.24`.
///
/// # Errors
/// [`ErrorKind::Runtime`].
pub(super) fn check_version(least: &str) -> Result<()> {
    let loaded = lock_loaded()?;
    let Some(loaded) = loaded.as_ref().filter(|loaded| !loaded.is_at_least(least)) else {
        return Ok(());
    };
    let message = format!(
        "the model takes ONNX Runtime {least} or newer, and {} is {}, which would compute it wrongly: install a newer one, or \
         name it in the setting onnxruntime",
        loaded.path.display(),
        loaded.native.version()
    );
    Err(Error::new(ErrorKind::Runtime, message))
}

/// A version's numbers, of which the first differing one decides.
fn numbers(version: &str) -> Vec<u32> {
    version.split('.').map_while(|number| number.parse().ok()).collect()
}

fn same_file(a: &Path, b: &Path) -> bool {
    let canonical = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    canonical(a) == canonical(b)
}

fn load(setting: Option<&Path>) -> Result<Runtime> {
    // What was asked for by name is never replaced by something else.
    let variable = env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty());
    if let Some(path) = setting {
        return load_file(path).map_err(|cause| explicit("the setting onnxruntime", &cause));
    }
    if let Some(path) = variable {
        return load_file(Path::new(&path)).map_err(|cause| explicit("ORT_DYLIB_PATH", &cause));
    }

    let mut tried = vec!["the setting onnxruntime and ORT_DYLIB_PATH are not set".to_owned()];
    let loaded_already = mapped("libonnxruntime.so").map(Ok).into_iter();
    let candidates = loaded_already.chain(library_directories().map(|directory| library_in(&directory)));
    let python = (!is_python()).then(|| iter::once_with(python_library)).into_iter().flatten();
    let candidates = candidates.chain(system_libraries()).chain(python);
    for candidate in candidates {
        match candidate.and_then(|path| load_file(&path)) {
            Ok(loaded) => return Ok(loaded),
            Err(cause) => tried.push(cause),
        }
    }
    let message = format!(
        "ONNX Runtime was not found. Tried:\n  {}\nInstall it with `pip install onnxruntime`, or download a release \
         and name its libonnxruntime.so in the setting onnxruntime or in ORT_DYLIB_PATH.",
        tried.join("\n  ")
    );
    Err(Error::new(ErrorKind::Runtime, message))
}

fn explicit(source: &str, cause: &str) -> Error {
    let message = format!("ONNX Runtime named by {source} cannot be loaded: {cause}");
    Error::new(ErrorKind::Runtime, message)
}

fn load_file(path: &Path) -> Result<Runtime, String> {
    // A bare name is for the system's loader, and never a file of the working directory.
    let path = if path.file_name() == Some(path.as_os_str()) {
        path.to_owned()
    } else {
        path.canonicalize().map_err(|cause| format!("{}: {cause}", path.display()))?
    };
    let builder = ort::init_from(&path).map_err(|cause| cause.to_string())?.with_name("longattn");
    let builder = builder.with_logger(Arc::new(|_, _, _, _, message| hear(message)));
    let environment = builder.build().map_err(|cause| format!("{}: {cause}", path.display()))?;
    environment.set_log_level(LogLevel::Error);
    let native = Native::of(&path)?;
    announce_operators(&environment).map_err(|cause| format!("{}: {cause}", path.display()))?;
    Ok(Runtime { path, environment, native })
}

/// ONNX Runtime takes note of a domain of operators with the first session that has it, and fails where two sessions are the
/// first at once.
fn announce_operators(environment: &Environment) -> ort::Result<()> {
    let operators = operators(&Config::default(), &CurrentRun::default())?;
    let builder = Session::builder(environment)?.with_intra_threads(1)?;
    builder.with_operators(operators)?.commit_from_memory(SMALL_GRAPH)?;
    Ok(())
}

/// Where a library lies that was installed beside this one.
fn library_directories() -> impl Iterator<Item = PathBuf> {
    let files = [mapped("liblongattn.so"), env::current_exe().ok()];
    files.into_iter().flatten().filter_map(|file| file.parent().map(Path::to_owned))
}

/// The file that this process has loaded whose name begins so.
fn mapped(name: &str) -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let mut paths = maps.lines().filter_map(|line| line.find('/').map(|start| Path::new(&line[start..])));
    paths.find(|path| file_name(path).starts_with(name)).map(Path::to_owned)
}

fn file_name(path: &Path) -> &str {
    path.file_name().and_then(OsStr::to_str).unwrap_or_default()
}

fn library_in(directory: &Path) -> Result<PathBuf, String> {
    let is_library = |path: &PathBuf| {
        let name = file_name(path);
        name == "libonnxruntime.dylib" || name == "onnxruntime.dll" || name.starts_with("libonnxruntime.so")
    };
    let entries = directory.read_dir().into_iter().flatten().flatten();
    // The shortest name is the link that points to the current version.
    let library = entries.map(|entry| entry.path()).filter(is_library).min();
    library.ok_or_else(|| format!("{} has no libonnxruntime.so", directory.display()))
}

/// What the system's loader may find.
fn system_libraries() -> impl Iterator<Item = Result<PathBuf, String>> {
    let path = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    // An empty directory is the working one too.
    let is_relative = !path.is_empty() && path.to_string_lossy().split([':', ';']).any(|part| !part.starts_with('/'));
    let library = move |name: &str| match is_relative {
        true => Err(format!("{name}: LD_LIBRARY_PATH leads the system's loader to the working directory")),
        false => Ok(name.into()),
    };
    SYSTEM_NAMES.into_iter().map(library)
}

/// Whether this program is a Python, whose own packages count and no other Python's: its binding loads the library of its
/// package `onnxruntime` before it opens a scorer.
fn is_python() -> bool {
    let program = env::current_exe().unwrap_or_default();
    ["python", "pypy"].iter().any(|name| file_name(&program).starts_with(name))
}

/// The library of the `onnxruntime` package of the Python on the PATH.
fn python_library() -> Result<PathBuf, String> {
    // Python looks for packages in its working directory, which must not be ours.
    let output = Command::new("python3").args(["-c", PYTHON_LOOKUP]).current_dir("/").output();
    let output = output.map_err(|cause| format!("python3 does not run: {cause}"))?;
    let package = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if package.is_empty() {
        return Err("the Python on the PATH has no package onnxruntime".to_owned());
    }
    library_in(&Path::new(&package).join("capi"))
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_compare_by_their_numbers() {
        for (older, newer) in [("1.9.1", "1.24"), ("1.23.2", "1.24"), ("1.24", "1.24.1"), ("1.31.1", "2.0")] {
            assert!(numbers(older) < numbers(newer), "{older} {newer}");
        }
        assert!(numbers("1.24.0") >= numbers("1.24"));
    }
}
