//! What the journal of a job holds, line by line.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::lines::ScoreFields;
use crate::corpus::{Place, Reject};
use crate::digest::{Digest, Stamp};

/// One line. Scores belong to texts, by their digests, and documents to the file that was begun last.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Entry {
    /// Reading of a file began.
    Begin(Begin),
    /// A document, with or without windows.
    Document(Document),
    /// A record or a window of the file that cannot be used.
    Reject(Rejected),
    /// The token ids of the window whose score follows, should it be scored again on more rows.
    Tokens(Tokens),
    /// A window has a score.
    Window(Window),
    /// A file was read to its end, and is whole.
    End(End),
    /// A file is damaged: what was read of it is void.
    Failed,
    /// What a call has done.
    Worked(Worked),
    /// The scores were written in their final form.
    Written(Written),
}

/// A file's name under its input, and the category of records that name none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begin {
    pub name: String,
    pub category: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Document {
    /// From 1; 0 for a whole file.
    pub line: u64,
    /// Of its first byte in the file, decompressed.
    pub offset: u64,
    pub id: String,
    pub category: String,
    /// Of its text, or its token ids.
    pub text: Text,
    pub tokens: u64,
    pub windows: u32,
    /// What of the record is carried along, as text: it need not be JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<String>,
}

/// The first half of a digest: among 10^12 texts two would coincide with a probability of 10^-15.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Text(pub u128);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Rejected {
    file: String,
    line: Option<u64>,
    id: Option<String>,
    reason: String,
    record: String,
}

impl From<&Reject> for Rejected {
    fn from(reject: &Reject) -> Self {
        let Reject { place, id, reason, record } = reject.clone();
        Self { file: place.file.to_string(), line: place.line, id, reason, record }
    }
}

impl From<Rejected> for Reject {
    fn from(rejected: Rejected) -> Self {
        let Rejected { file, line, id, reason, record } = rejected;
        Self { place: Place { file: file.into(), line }, id, reason, record }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Tokens {
    pub ids: Vec<u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Window {
    pub text: Text,
    pub number: u32,
    /// The rows that were asked for; 0 stands for all.
    pub asked: u32,
    /// Whether the line before has its token ids.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_tokens: bool,
    pub token_start: u64,
    pub bytes: Range<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub information_gain: Option<f64>,
    pub score: ScoreFields,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct End {
    pub bytes: u64,
    pub digest: Digest,
    /// Unless a change could have left the same stamp.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<Stamp>,
    pub rejected: u64,
    pub rejected_windows: u64,
    /// Of the rejected, those whose id was another document's.
    pub duplicates: u64,
}

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Worked {
    /// The call's number, from 1.
    pub call: u64,
    /// Since the last such entry of the call.
    pub seconds: f64,
    pub tokens: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Written {
    /// Of what was written.
    pub scores: Digest,
    /// The files, by their names in the result directory.
    #[serde(default)]
    pub files: Vec<(String, Stamp)>,
}

impl Serialize for Text {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:032x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let hexadecimal = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let digits = u128::from_str_radix(&hexadecimal, 16);
        digits.map(Self).map_err(|_| serde::de::Error::custom("not the digest of a text"))
    }
}
