//! A folder to do jobs in.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use longattn::Config;
use tempfile::TempDir;

/// A folder for a corpus and results, and settings.
pub struct Workplace {
    pub folder: TempDir,
    settings: Vec<(&'static str, String)>,
}

impl Workplace {
    pub fn new() -> Self {
        Self::in_folder(tempfile::tempdir().unwrap())
    }

    /// Without settings.
    pub fn in_folder(folder: TempDir) -> Self {
        Self { folder, settings: Vec::new() }
    }

    pub fn set(mut self, key: &'static str, value: &str) -> Self {
        self.settings.push((key, value.to_owned()));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|cause| panic!("{name}: {cause}"))
    }

    /// Of windows of 60 tokens, a half of which is selected, unless it was set otherwise.
    pub fn config(&self, earlier_results: &str) -> Config {
        let mut config = Config::default();
        let onnxruntime = super::onnxruntime().display().to_string();
        let settings =
            [("window", "60"), ("ratio", "0.5"), ("onnxruntime", &onnxruntime), ("earlier_results", earlier_results)];
        settings.iter().for_each(|(key, value)| config.set(key, value).unwrap());
        self.settings.iter().for_each(|(key, value)| config.set(key, value).unwrap());
        config
    }

    /// Some of the files of a result; those that are not there are empty.
    pub fn files<const COUNT: usize>(
        &self,
        result: &str,
        names: [&'static str; COUNT],
    ) -> BTreeMap<&'static str, String> {
        names.map(|name| (name, fs::read_to_string(self.path(result).join(name)).unwrap_or_default())).into()
    }
}
