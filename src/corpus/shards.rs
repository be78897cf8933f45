//! The names of the files of one output, as `datasets` and Hugging Face's hub know them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::compression::Compression;
use super::writable::folder;

/// The paths of an output's files in their order: of `a.jsonl.gz`, `a-00000-of-00002.jsonl.gz` and so on.
pub(super) fn shard_paths(path: &Path, count: usize) -> Vec<PathBuf> {
    let (stem, suffix) = split(path);
    (0..count).map(|index| path.with_file_name(format!("{stem}-{index:05}-of-{count:05}{suffix}"))).collect()
}

/// Removes what an output takes the place of: the file or the files that an earlier one at the same path was in.
pub(super) fn remove_older(path: &Path, kept: &[PathBuf]) -> io::Result<()> {
    for older in written_at(path)? {
        if !kept.contains(&older) {
            fs::remove_file(older)?;
        }
    }
    Ok(())
}

/// The files of the output that was written at a path, in their order.
pub(crate) fn written_at(path: &Path) -> io::Result<Vec<PathBuf>> {
    let (stem, suffix) = split(path);
    let mut found = Vec::new();
    for entry in fs::read_dir(folder(path))? {
        let name = entry?.file_name();
        let is_shard = name.to_str().is_some_and(|name| is_shard(name, &stem, &suffix));
        if is_shard || Some(name.as_os_str()) == path.file_name() {
            found.push(path.with_file_name(name));
        }
    }
    found.sort();
    Ok(found)
}

/// A file's name without the suffixes of its format, and these.
fn split(path: &Path) -> (String, String) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (uncompressed, _) = Compression::split(&name);
    let stem = uncompressed.rfind('.').filter(|dot| *dot > 0).unwrap_or(uncompressed.len());
    let (stem, suffix) = name.split_at(stem);
    (stem.to_owned(), suffix.to_owned())
}

fn is_shard(name: &str, stem: &str, suffix: &str) -> bool {
    let numbers = name.strip_prefix(stem).and_then(|rest| rest.strip_suffix(suffix));
    let Some((index, count)) = numbers.and_then(|numbers| numbers.strip_prefix('-')?.split_once("-of-")) else {
        return false;
    };
    let is_number = |digits: &str| digits.len() >= 5 && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_number(index) && is_number(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_shards() {
        let names = |path: &str| shard_paths(Path::new(path), 2);
        assert_eq!(names("x/a.b.jsonl.gz")[1], Path::new("x/a.b-00001-of-00002.jsonl.gz"));
        assert_eq!(names("scores.parquet")[0], Path::new("scores-00000-of-00002.parquet"));
        assert!(is_shard("a-00001-of-00002.jsonl", "a", ".jsonl"));
        for name in
            ["a.jsonl", "a-1-of-2.jsonl", "a-00001-of-00002.jsonl.gz", "b-00001-of-00002.jsonl", "a-00001-of-.jsonl"]
        {
            assert!(!is_shard(name, "a", ".jsonl"), "{name}");
        }
    }

    #[test]
    fn only_what_is_replaced_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a.jsonl", "a-00000-of-00003.jsonl", "a-00000-of-00001.jsonl", "a-b.jsonl", "a.jsonl.gz"] {
            fs::write(path(name), "").unwrap();
        }
        remove_older(&path("a.jsonl"), &shard_paths(&path("a.jsonl"), 1)).unwrap();
        let mut left: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["a-00000-of-00001.jsonl", "a-b.jsonl", "a.jsonl.gz"]);
    }
}
