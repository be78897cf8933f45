//! What a file holds, and cheap signs that it still holds it.

use std::fmt;
use std::fs::{self, File, Metadata};
use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::Digest as _;

/// SHA-256 (FIPS 180-4). Displayed and serialised as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: impl AsRef<[u8]>) -> Self {
        Self(sha2::Sha256::digest(bytes).into())
    }

    /// The digest of a file's content, read to its end in little memory.
    ///
    /// # Errors
    /// Where the file cannot be opened or read.
    pub fn of_file(path: impl AsRef<Path>) -> io::Result<Self> {
        let mut hasher = Hasher::default();
        io::copy(&mut File::open(path)?, &mut hasher)?;
        Ok(hasher.finish())
    }

    /// The first 16 bytes as a number, for tables of many digests: two of 10^12 coincide with a probability of 10^-15.
    pub fn short(&self) -> u128 {
        self.0[..16].iter().fold(0, |bits, byte| bits << 8 | u128::from(*byte))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// A text that is no digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest has 64 hexadecimal digits")]
pub struct NoDigest;

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        // from_str_radix alone would take a sign.
        if text.len() != 64 || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(NoDigest);
        }
        let mut bytes = [0; 32];
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).map_err(|_| NoDigest)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Takes bytes piece by piece, by [`update`](Self::update) or as a writer, and gives their [`Digest`].
#[derive(Clone, Debug, Default)]
pub struct Hasher(sha2::Sha256);

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.update(bytes);
    }

    /// The digest of all bytes.
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How long clocks of file systems may stand still, FAT's being the coarsest.
const CLOCK_STEP: Duration = Duration::from_secs(2);

/// What tells without reading that a file is what it was. Times are in nanoseconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Stamp {
    /// Bytes.
    size: u64,
    modified: i64,
    /// When the file's content or any of its attributes changed, which no program can set; none where the system has no such
    /// time.
    changed: Option<i64>,
    inode: u64,
    device: u64,
    /// Of what a server calls this version of an object; none for files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<Digest>,
}

impl Stamp {
    /// The stamp of an object on a server, with what that calls this version of it (`ETag`), where it does. Only servers that
    /// do can be taken at their word that it is the same.
    pub fn of_object(size: u64, modified: SystemTime, tag: Option<&str>) -> Self {
        let since = modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        // Lists of objects tell finer times than objects themselves.
        let modified = i64::try_from(Duration::from_secs(since.as_secs()).as_nanos()).unwrap_or(i64::MAX);
        let changed = tag.is_some().then_some(modified);
        Self { size, modified, changed, inode: 0, device: 0, tag: tag.map(Digest::of) }
    }

    /// The stamp of a file, links followed.
    ///
    /// # Errors
    /// Where the file's metadata cannot be read.
    pub fn of(path: impl AsRef<Path>) -> io::Result<Self> {
        fs::metadata(path).map(|metadata| Self::new(&metadata))
    }

    /// The stamp of an open file, be it that it has no name any more.
    ///
    /// # Errors
    /// Where the file's metadata cannot be read.
    pub fn of_open_file(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::new(&metadata))
    }

    #[cfg(unix)]
    fn new(metadata: &Metadata) -> Self {
        use std::os::unix::fs::MetadataExt;
        Self {
            size: metadata.len(),
            modified: nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            changed: Some(nanoseconds(metadata.ctime(), metadata.ctime_nsec())),
            inode: metadata.ino(),
            device: metadata.dev(),
            tag: None,
        }
    }

    #[cfg(not(unix))]
    fn new(metadata: &Metadata) -> Self {
        let modified = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        let modified = modified.map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX));
        Self { size: metadata.len(), modified, changed: None, inode: 0, device: 0, tag: None }
    }

    /// The digest of what a server calls this version of an object; none for files, and where it has no name for it.
    pub fn tag(&self) -> Option<Digest> {
        self.tag
    }

    /// Bytes of the file.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether an equal stamp, taken later than this one was at `taken`, proves that the content is the same.
    ///
    /// Not where the file changed within the 2 seconds before `taken`, or after it: another change could leave the same stamp,
    /// since clocks of file systems are coarse and clocks of machines are set back. Never on systems that do not keep the time
    /// of the last change.
    pub fn is_settled(&self, taken: SystemTime) -> bool {
        let Some(changed) = self.changed else { return false };
        let known = taken.checked_sub(CLOCK_STEP).and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        known.is_some_and(|known| i128::from(changed.max(self.modified)) < known.as_nanos() as i128)
    }

    /// Whether both are of one and the same file, be it that its content changed. Where the system gives files no numbers, all
    /// are taken for the same.
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }

    /// Whether two stamps, be they taken on different machines that share a file system, are of the same size and time of
    /// modification, and of the same version of an object.
    pub fn is_alike(&self, other: &Self) -> bool {
        (self.size, self.modified, self.tag) == (other.size, other.modified, other.tag)
    }

    /// Whether a file has been written to, or another has taken its place, between two stamps. Changes of attributes, such as
    /// a new link or other permissions, do not count.
    pub fn is_rewritten(&self, later: &Self) -> bool {
        Self { changed: None, ..*self } != Self { changed: None, ..*later }
    }
}

#[cfg(unix)]
fn nanoseconds(seconds: i64, nanoseconds: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn digests_of_the_standard() {
        assert_eq!(Digest::of("abc").to_string(), ABC);
        let mut hasher = Hasher::default();
        hasher.update("a");
        hasher.update("bc");
        assert_eq!(hasher.finish(), Digest::of("abc"));
        assert_eq!(Digest::of("abc").short(), 0xba78_16bf_8f01_cfea_4141_40de_5dae_2223);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "abc").unwrap();
        assert_eq!(Digest::of_file(file.path()).unwrap(), Digest::of("abc"));
    }

    #[test]
    fn a_digest_is_read_as_it_is_written() {
        let digest = Digest::of("abc");
        assert_eq!(serde_json::to_string(&digest).unwrap(), format!("\"{ABC}\""));
        assert_eq!(serde_json::from_str::<Digest>(&format!("\"{ABC}\"")).unwrap(), digest);
        for wrong in ["", &ABC[1..], &format!("+{}", &ABC[1..]), &format!("é{}", &ABC[2..])] {
            assert_eq!(wrong.parse::<Digest>(), Err(NoDigest), "{wrong}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_stamp_settles_when_no_change_can_hide() {
        let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(seconds);
        let stamp = |modified: i64, changed: Option<i64>| Stamp {
            size: 1,
            modified: modified * 1_000_000_000,
            changed: changed.map(|changed| changed * 1_000_000_000),
            inode: 1,
            device: 1,
            tag: None,
        };
        assert!(stamp(10, Some(10)).is_settled(at(13)));
        assert!(!stamp(10, Some(10)).is_settled(at(12)), "within the step of a clock");
        assert!(!stamp(10, Some(10)).is_settled(at(5)), "the clock went back");
        assert!(stamp(1, Some(10)).is_settled(at(20)));
        assert!(!stamp(1, Some(19)).is_settled(at(20)), "an old time of modification can be set");
        assert!(!stamp(30, Some(10)).is_settled(at(20)));
        assert!(!stamp(10, None).is_settled(at(100)));
        assert!(!stamp(10, Some(10)).is_settled(UNIX_EPOCH));
    }

    #[test]
    fn a_stamp_tells_versions_of_objects_apart() {
        let time = UNIX_EPOCH + Duration::from_millis(10_500);
        let first = Stamp::of_object(3, time, Some("\"a\""));
        assert_eq!(first, Stamp::of_object(3, UNIX_EPOCH + Duration::from_secs(10), Some("\"a\"")));
        assert_eq!(serde_json::from_str::<Stamp>(&serde_json::to_string(&first).unwrap()).unwrap(), first);
        assert!(first.is_settled(UNIX_EPOCH + Duration::from_secs(13)));
        let other = Stamp::of_object(3, time, Some("\"b\""));
        assert!(first.is_rewritten(&other) && !first.is_alike(&other));
        let untold = Stamp::of_object(3, time, None);
        assert!(!untold.is_settled(UNIX_EPOCH + Duration::from_secs(100)), "there is nothing to go by");
    }

    #[test]
    fn a_stamp_tells_files_and_changes_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        fs::write(&path, "one").unwrap();
        let first = Stamp::of(&path).unwrap();
        assert_eq!(Stamp::of_open_file(&File::open(&path).unwrap()).unwrap(), first);
        assert_eq!(first.size(), 3);
        let read = serde_json::from_str::<Stamp>(&serde_json::to_string(&first).unwrap()).unwrap();
        assert_eq!(read, first);
        fs::hard_link(&path, folder.path().join("b")).unwrap();
        assert!(!first.is_rewritten(&Stamp::of(&path).unwrap()));
        assert!(first.is_alike(&Stamp { changed: Some(1), device: 9, inode: 9, ..first }));
        fs::write(&path, "more").unwrap();
        let later = Stamp::of(&path).unwrap();
        assert!(first.is_rewritten(&later) && !first.is_alike(&later));
    }
}
