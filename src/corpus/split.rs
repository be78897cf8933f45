//! A corpus shared out among processes that do not speak to each other.
//!
//! All of them list the same files, and each finds its own share from the sizes alone. Shares follow each other in the order
//! of the corpus, so that the results of all, one after the other, are those of one process.

use std::fmt;
use std::num::NonZeroU32;
use std::ops::Range;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::input::InputFile;

/// One of the shares that a corpus is split into, such as `3/8`, the third of eight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard {
    number: NonZeroU32,
    of: NonZeroU32,
}

impl Default for Shard {
    /// The only share of a corpus that is not split.
    fn default() -> Self {
        Self { number: NonZeroU32::MIN, of: NonZeroU32::MIN }
    }
}

/// A text that names no share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a share is I/N, the I-th of N counted from 1, such as 3/8")]
pub struct NoShard;

impl Shard {
    /// The share with a number, from 1 to `of`; none for any other number.
    pub fn new(number: u32, of: u32) -> Option<Self> {
        let (number, of) = (NonZeroU32::new(number)?, NonZeroU32::new(of)?);
        (number <= of).then_some(Self { number, of })
    }

    /// Its number, from 1.
    pub fn number(self) -> u32 {
        self.number.get()
    }

    /// How many there are.
    pub fn of(self) -> u32 {
        self.of.get()
    }

    /// Where the shares before it end, of so many bytes in all, and where it ends itself.
    fn range(self, total: u64) -> Range<u64> {
        let end = |shares: u32| (u128::from(total) * u128::from(shares) / u128::from(self.of())) as u64;
        end(self.number() - 1)..end(self.number())
    }

    /// The files of this share. A file goes to the share that its middle lies in, or is cut where it is longer than a share
    /// and its format allows it.
    pub(super) fn files(self, files: &[InputFile]) -> Vec<InputFile> {
        let total = files.iter().map(size).sum();
        let share = self.range(total);
        let longest = total.div_ceil(u64::from(self.of()));
        let is_last = self.number == self.of;
        let mut start = 0;
        let mut mine = Vec::new();
        for file in files {
            let all = start..start + size(file);
            start = all.end;
            if size(file) > longest && file.can_be_cut() {
                let part =
                    share.start.clamp(all.start, all.end) - all.start..share.end.clamp(all.start, all.end) - all.start;
                if !part.is_empty() {
                    mine.push(InputFile { bytes: Some(part.end - part.start), part: Some(part), ..file.clone() });
                }
                continue;
            }
            let middle = all.start + size(file) / 2;
            // Empty files may be all that is behind the last byte.
            if share.contains(&middle) || is_last && middle == total {
                mine.push(file.clone());
            }
        }
        mine
    }
}

fn size(file: &InputFile) -> u64 {
    file.bytes.unwrap_or(0)
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = NoShard;

    fn from_str(text: &str) -> Result<Self, NoShard> {
        let (number, of) = text.split_once('/').ok_or(NoShard)?;
        let parse = |digits: &str| digits.parse().map_err(|_| NoShard);
        Self::new(parse(number)?, parse(of)?).ok_or(NoShard)
    }
}

impl Serialize for Shard {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Shard {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::corpus::formats::by_name;

    fn file(name: &str, bytes: u64) -> InputFile {
        InputFile {
            path: name.into(),
            name: name.to_owned(),
            category: "books".to_owned(),
            bytes: Some(bytes),
            part: None,
            shown: name.into(),
            format: by_name(name),
            trouble: None,
        }
    }

    #[test]
    fn shares_are_read_as_they_are_written() {
        for text in ["1/1", "3/8", "8/8"] {
            assert_eq!(text.parse::<Shard>().unwrap().to_string(), text);
        }
        for wrong in ["", "0/8", "9/8", "3", "3/", "/8", "-1/8", "3/8/2", "1/0"] {
            assert_eq!(wrong.parse::<Shard>(), Err(NoShard), "{wrong}");
        }
    }

    #[test]
    fn only_files_longer_than_a_share_are_cut() {
        let files = [file("a.jsonl", 10), file("b.jsonl", 70), file("c.jsonl", 20)];
        let shares: Vec<Vec<_>> = (1..=4)
            .map(|number| Shard::new(number, 4).unwrap().files(&files))
            .map(|files| files.into_iter().map(|file| (file.name, file.part)).collect())
            .collect();
        let (a, b, c) = ("a.jsonl".to_owned(), "b.jsonl".to_owned(), "c.jsonl".to_owned());
        assert_eq!(shares[0], [(a, None), (b.clone(), Some(0..15))]);
        assert_eq!(shares[1], [(b.clone(), Some(15..40))]);
        assert_eq!(shares[2], [(b.clone(), Some(40..65))]);
        assert_eq!(shares[3], [(b, Some(65..70)), (c, None)]);
    }

    proptest! {
        #[test]
        fn shares_one_after_the_other_are_the_corpus(
            sizes in prop::collection::vec((prop_oneof![Just(0), 1u64..50, 1u64..100_000], any::<bool>()), 0..12),
            of in 1u32..20,
        ) {
            let name = |(index, (_, is_plain)): (usize, &(u64, bool))| {
                format!("{index}.{}", if *is_plain { "jsonl" } else { "jsonl.gz" })
            };
            let files: Vec<_> =
                sizes.iter().enumerate().map(|(index, row)| file(&name((index, row)), row.0)).collect();
            let mut shared = (1..=of).flat_map(|number| Shard::new(number, of).unwrap().files(&files)).peekable();
            for file in &files {
                let mut end = 0;
                loop {
                    let part = shared.next().expect("no file is left out");
                    prop_assert_eq!(&part.name, &file.name);
                    let range = part.part.clone().unwrap_or(0..file.bytes.unwrap());
                    prop_assert_eq!(range.start, end);
                    prop_assert_eq!(part.bytes, Some(range.end - range.start));
                    prop_assert!(part.part.is_none() || file.name.ends_with(".jsonl"));
                    end = range.end;
                    if end == file.bytes.unwrap() {
                        break;
                    }
                }
            }
            prop_assert!(shared.next().is_none(), "no file comes twice");
        }
    }
}
