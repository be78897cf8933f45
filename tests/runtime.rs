//! Where ONNX Runtime is looked for, and where it never is.

mod common;

use std::path::Path;
use std::process::{Command, Output};
use std::{env, fs};

use longattn::config::Config;
use longattn::model::{loaded_from, survey};

/// Runs the command in a directory without anything that names ONNX Runtime.
fn run_in(directory: &Path, variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_longattn"));
    command.arg("inspect").arg(common::scorer_package()).current_dir(directory);
    command.env_remove("ORT_DYLIB_PATH").env_remove("LD_LIBRARY_PATH").env_remove("PYTHONPATH");
    command.envs(variables.iter().copied()).output().unwrap()
}

/// A Python package that leaves a mark when it is imported.
fn plant_package(directory: &Path, name: &str) {
    let package = directory.join(name);
    fs::create_dir_all(package.join("capi")).unwrap();
    let mark = directory.join(format!("{name}-was-run"));
    fs::write(package.join("__init__.py"), format!("open({:?}, 'w')", mark.display().to_string())).unwrap();
    fs::copy(common::onnxruntime(), package.join("capi/libonnxruntime.so.1")).unwrap();
}

#[test]
fn the_working_directory_is_never_searched() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["libonnxruntime.so", "libonnxruntime.so.1"] {
        fs::copy(common::onnxruntime(), directory.path().join(name)).unwrap();
    }
    for name in ["onnxruntime", "importlib", "encodings", "sitecustomize"] {
        plant_package(directory.path(), name);
    }
    let settings: [&[(&str, &str)]; 5] = [
        &[],
        &[("PYTHONPATH", ".")],
        &[("PYTHONPATH", ":")],
        &[("LD_LIBRARY_PATH", ".")],
        &[("ORT_DYLIB_PATH", "libonnxruntime.so")],
    ];
    for variables in settings {
        let output = run_in(directory.path(), variables);
        let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        let is_here = |text: &str| text.contains(directory.path().to_str().unwrap());
        assert!(!output.status.success() || !is_here(&told), "{variables:?}: {told}");
        assert!(output.status.success() || told.contains("ONNX Runtime"), "{variables:?}: {told}");
        let marks = directory.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let marks: Vec<_> = marks.filter(|name| name.ends_with("was-run")).collect();
        assert!(marks.is_empty(), "{variables:?} ran {marks:?}");
    }
}

#[test]
#[ignore = "the next test runs it"]
fn survey_after_loading() {
    // SAFETY: loading ONNX Runtime runs nothing that minds.
    let library = unsafe { libloading::Library::new(env::var_os("LONGATTN_TEST_LIBRARY").unwrap()) }.unwrap();
    survey(&Config::default()).unwrap();
    println!("loaded from {}", loaded_from().unwrap().display());
    drop(library);
}

#[test]
fn a_copy_that_is_loaded_already_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let library = directory.path().join("libonnxruntime.so.1.99");
    fs::copy(common::onnxruntime(), &library).unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "survey_after_loading", "--ignored", "--nocapture"])
        .env_remove("ORT_DYLIB_PATH")
        .env("LONGATTN_TEST_LIBRARY", &library)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains(&format!("loaded from {}", library.display())), "{told}");
}
