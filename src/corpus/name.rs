//! What files and folders are called in ids and categories: one rule for all commands.

use std::ffi::OsStr;
use std::path::{Component, Path};

use super::compression::Compression;

/// The path that stands for standard input or standard output.
pub const STANDARD_STREAM: &str = "-";

/// The category of an input whose records name none: a folder's name, or a file's name without a suffix of compression and
/// without its extension, so that `books.jsonl.gz` and the folder `books/` are both `books`; `stdin` for `-`.
///
/// A path that ends in a slash is a folder's, also where there is none here. Files found in a folder have the category of
/// the folder that was given.
pub fn category_of(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    let name = own_name(path);
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.is_dir() || is_standard_input(path) {
        return name;
    }
    let (uncompressed, _) = Compression::split(&name);
    // What is left of a name such as `.gz` names nothing.
    let stem = Path::new(uncompressed).file_stem().and_then(OsStr::to_str);
    stem.map_or(name.clone(), str::to_owned)
}

/// The last part of a path, also of one that ends in a slash or is `.`.
pub(super) fn own_name(path: &Path) -> String {
    if is_standard_input(path) {
        return "stdin".to_owned();
    }
    if let Some(name) = path.file_name() {
        return escaped(name);
    }
    let resolved = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    escaped(resolved.file_name().unwrap_or(resolved.as_os_str()))
}

/// A path with `/` between its parts on every system, so that ids are the same everywhere.
pub(super) fn slashed(path: &Path) -> String {
    let mut slashed = String::new();
    for part in path.components() {
        if !slashed.is_empty() && !slashed.ends_with('/') {
            slashed.push('/');
        }
        match part {
            Component::RootDir => slashed.push('/'),
            part => slashed.push_str(&escaped(part.as_os_str())),
        }
    }
    slashed
}

/// A name as text. Bytes that are not UTF-8 become `\xFF`, and a backslash is doubled, so that no two names become one.
fn escaped(name: &OsStr) -> String {
    let mut escaped = String::with_capacity(name.len());
    for chunk in name.as_encoded_bytes().utf8_chunks() {
        escaped.push_str(&chunk.valid().replace('\\', r"\\"));
        escaped.extend(chunk.invalid().iter().map(|byte| format!(r"\x{byte:02X}")));
    }
    escaped
}

/// A path for people: as it is, escaped only where it is no text.
pub(super) fn shown(path: &Path) -> String {
    path.to_str().map_or_else(|| slashed(path), str::to_owned)
}

pub(super) fn is_standard_input(path: &Path) -> bool {
    path == Path::new(STANDARD_STREAM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn categories_of_names() {
        let expected = [
            ("books.jsonl", "books"),
            ("a/books.jsonl.gz", "books"),
            ("books.txt.zst", "books"),
            ("moby.dick.txt", "moby.dick"),
            ("README", "README"),
            (".gz", ".gz"),
            ("-", "stdin"),
            ("src", "src"),
            ("src/", "src"),
            ("elsewhere/books.v2/", "books.v2"),
        ];
        for (path, category) in expected {
            assert_eq!(category_of(path), category, "{path}");
        }
        assert_eq!(category_of("src/."), "src");
    }

    #[test]
    fn paths_have_slashes() {
        assert_eq!(slashed(Path::new("/a//b/./c/")), "/a/b/c");
        assert_eq!(slashed(Path::new("../a b/ü")), "../a b/ü");
    }

    #[cfg(unix)]
    #[test]
    fn no_two_names_become_one() {
        use std::collections::HashSet;
        use std::os::unix::ffi::OsStrExt;
        let names: [&[u8]; 9] = [
            b"caf\xE9",
            b"caf\xE8",
            "café".as_bytes(),
            br"caf\xE9",
            br"caf\\xE9",
            b"caf\xEF\xBF\xBD",
            b"a\\",
            b"a",
            b"\xF0\x9F",
        ];
        let escaped: Vec<_> = names.iter().map(|name| escaped(OsStr::from_bytes(name))).collect();
        assert_eq!(escaped.iter().collect::<HashSet<_>>().len(), names.len(), "{escaped:?}");
        assert_eq!(escaped[0], r"caf\xE9");
        assert_eq!(escaped[2], "café");
        assert_eq!(escaped[3], r"caf\\xE9");
    }
}
