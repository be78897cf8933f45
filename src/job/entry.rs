//! What the journal of a job holds, line by line.

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::lines::ScoreFields;
use crate::corpus::{InputFile, Place, Reject};
use crate::digest::{Digest, Stamp};
use crate::report::ModelSummary;
use crate::rivals::Gain;

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
    /// A file is damaged: what was read of it is void. The reject before it says why.
    Failed,
    /// What a call has done.
    Worked(Worked),
    /// Everything was read, and has scores where it can have them.
    Finished(Finished),
    /// The scores were written in their final form.
    Written(Written),
}

/// A file's name under its input, the category of records that name none, and the bytes in which the documents begin that
/// are read of it, unless all are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Begin {
    pub name: String,
    pub category: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Range<u64>>,
}

impl From<&InputFile> for Begin {
    fn from(file: &InputFile) -> Self {
        Self { name: file.name.clone(), category: file.category.clone(), part: file.part.clone() }
    }
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kind: Option<RejectKind>,
}

/// What a reject is of, where it is not of a record that could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RejectKind {
    /// A record whose id another one had before.
    Duplicate,
    /// A document whose text is of no use; its id counts.
    Document,
    /// A window of the document that follows.
    Window,
    /// A whole file.
    File,
}

impl Rejected {
    pub fn new(reject: &Reject, kind: Option<RejectKind>) -> Self {
        let Reject { place, id, reason, record } = reject.clone();
        Self { file: place.file.to_string(), line: place.line, id, reason, record, kind }
    }

    pub fn kind(&self) -> Option<RejectKind> {
        self.kind
    }

    pub fn line(&self) -> Option<u64> {
        self.line
    }

    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }
}

impl From<Rejected> for Reject {
    fn from(rejected: Rejected) -> Self {
        let Rejected { file, line, id, reason, record, .. } = rejected;
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
    pub gain: Option<Gain>,
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

/// What was scored, for a selection that knows no more of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Finished {
    /// As they were given.
    pub inputs: Vec<String>,
    /// Of the list of all files, those of other shards included.
    pub listing: Digest,
    /// All settings.
    pub settings: BTreeMap<String, String>,
    pub model: ModelSummary,
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
