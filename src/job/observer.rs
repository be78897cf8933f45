//! Who watches a job.

use crate::corpus::Reject;

/// Is told what a job does, and may print it. Calls come from the threads of the job, one at a time for each kind; they must be
/// quick.
pub trait Observer: Sync {
    /// Work went on.
    fn progress(&self, _progress: &Progress) {}

    /// A record, a file or a window cannot be used. It is in the file of rejects too, where there is one.
    fn reject(&self, _reject: &Reject) {}

    /// Something that the user should know while the work goes on, in a sentence.
    fn notice(&self, _notice: &str) {}
}

/// An observer that looks away.
impl Observer for () {}

/// What a job is busy with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// Reading the corpus and scoring its windows; the amount is bytes of the input files as they are on disk.
    #[default]
    Reading,
    /// Scoring windows in doubt on more rows; the amount is tokens.
    Refining,
    /// Scoring the windows of a calibration; the amount is tokens.
    Scoring,
    /// Looking up the texts of what was selected; the amount is windows.
    Writing,
}

impl Stage {
    /// The stage in a word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reading => "reading",
            Self::Refining => "refining",
            Self::Scoring => "scoring",
            Self::Writing => "writing",
        }
    }
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What it is busy with.
    pub stage: Stage,
    /// How much of this stage is done.
    pub done: u64,
    /// The whole of this stage, where it is known.
    pub total: Option<u64>,
    /// Windows scored in this call.
    pub windows: u64,
    /// Tokens scored in this call.
    pub tokens: u64,
}
