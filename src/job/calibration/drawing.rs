//! Drawing windows from a corpus.

use super::CalibrationJob;
use crate::calibrate::{LeftOut, Plan, Sampler, Side, TestCategory, Truth};
use crate::corpus::{Place, RawDocument, Reject, Seen, Spot};
use crate::error::{Error, ErrorKind, Result};
use crate::job::keeping::Keeping;
use crate::job::observer::Progress;
use crate::job::reading::reject;
use crate::job::summary::{EarlySigns, count};

/// Reads a corpus, and draws windows of what is whole in it.
pub(super) struct Drawing<'a> {
    job: &'a CalibrationJob,
    sampler: Sampler,
    seen: Seen,
    early_signs: EarlySigns,
    progress: Progress,
    records_rejected: u64,
    files_rejected: u64,
}

/// The windows that were drawn.
pub(super) struct DrawnWindows {
    pub categories: Vec<TestCategory>,
    pub left_out: Vec<LeftOut>,
    pub records_rejected: u64,
    pub files_rejected: u64,
    seen: Seen,
}

impl DrawnWindows {
    /// Where a document of the corpus stands.
    pub fn place(&self, job: &CalibrationJob, document: &str) -> Option<Place> {
        self.seen.get(document).map(|spot| job.corpus.place(spot))
    }
}

impl<'a> Drawing<'a> {
    pub fn new(job: &'a CalibrationJob) -> Result<Self> {
        Ok(Self {
            job,
            sampler: Sampler::new(job.config.plan())?,
            seen: Seen::default(),
            early_signs: EarlySigns::default(),
            progress: Progress { total: job.corpus.total_bytes(), ..Progress::default() },
            records_rejected: 0,
            files_rejected: 0,
        })
    }

    pub fn run(mut self, keeping: &mut Keeping) -> Result<DrawnWindows> {
        for file in 0..self.job.corpus.files().len() {
            match self.read(file, keeping)? {
                Ok(rejected) => {
                    self.sampler.keep();
                    self.records_rejected += rejected;
                }
                Err(reject) => {
                    self.sampler.forget();
                    self.seen.forget_file(file as u32);
                    self.files_rejected += 1;
                    keeping.rejecting.reject(&reject)?;
                }
            }
        }
        self.draw(keeping)
    }

    /// Reads a file, and gives the number of its records that cannot be used, or the reason why nothing of it can.
    fn read(&mut self, file: usize, keeping: &mut Keeping) -> Result<Result<u64, Reject>> {
        let before = self.progress.done;
        let mut documents = match self.job.corpus.read(file) {
            Ok(documents) => documents,
            Err(reject) => return Ok(Err(reject)),
        };
        let mut rejected = 0;
        while let Some(raw) = documents.next() {
            keeping.cancel.check()?;
            let raw = match raw {
                Ok(raw) => raw,
                Err(reject) => return Ok(Err(reject)),
            };
            if let Err(reject) = self.add(file, &raw, keeping) {
                keeping.cancel.check()?;
                rejected += 1;
                self.early_signs.of_reject(&reject, keeping.rejecting.observer);
                keeping.rejecting.reject(&reject)?;
            }
            self.progress.done = before + documents.consumed_bytes();
            keeping.rejecting.observer.progress(&self.progress);
        }
        Ok(documents.finish().map(|_| rejected))
    }

    fn add(&mut self, file: usize, raw: &RawDocument, keeping: &Keeping) -> Result<(), Reject> {
        let CalibrationJob { scorer, corpus, config, .. } = self.job;
        let record = corpus.record(file, raw)?;
        if let Some(first) = self.seen.insert(&record.id, Spot { file: file as u32, line: raw.line }) {
            return Err(reject(
                &record,
                format!("duplicate id `{}`, first seen at {}", record.id, corpus.place(first)),
            ));
        }
        let Some(text) = &record.text else {
            return Err(reject(&record, "no text: windows are cut from text".to_owned()));
        };
        let tokenize = |text: &str| scorer.tokenize_until(text, keeping.cancel);
        let added = self.sampler.add(&record.category, &record.id, text, tokenize);
        added.map_err(|error| reject(&record, error.to_string()))?;
        // Whether it is long enough is only known of documents that may be drawn.
        self.early_signs.of_document(true, 0, config, keeping.rejecting.observer);
        Ok(())
    }

    fn draw(self, keeping: &Keeping) -> Result<DrawnWindows> {
        let (plan, truth) = (self.job.config.plan(), self.job.config.truth);
        let (categories, left_out) = self.sampler.draw();
        let shortages: Vec<_> = left_out.iter().map(|left_out| shortage(left_out, plan)).collect();
        if categories.is_empty() {
            let found = if shortages.is_empty() { "it has no texts".to_owned() } else { shortages.join("; ") };
            let message = format!(
                "the corpus is too small to calibrate with windows of {} tokens: {found}; use a smaller window, or add \
                 documents",
                plan.window
            );
            return Err(Error::new(ErrorKind::InvalidArgument, message));
        }
        let notices = shortages.into_iter().map(|shortage| format!("left out: {shortage}"));
        let lacks = categories.iter().filter_map(|category| lack(category, plan, truth));
        notices.chain(lacks).for_each(|notice| keeping.rejecting.observer.notice(&notice));
        let Self { seen, records_rejected, files_rejected, .. } = self;
        Ok(DrawnWindows { categories, left_out, records_rejected, files_rejected, seen })
    }
}

fn shortage(left_out: &LeftOut, plan: Plan) -> String {
    let LeftOut { category, documents, long_documents } = left_out;
    let long = count(*long_documents as u64, "document");
    format!("{category} has {long} of at least {} tokens among {documents}, and takes 2", plan.window)
}

/// What the windows of a category lack.
fn lack(category: &TestCategory, plan: Plan, truth: Truth) -> Option<String> {
    let TestCategory { name, documents, .. } = category;
    let real = category.side(Side::Real).count();
    let mut lacks = Vec::new();
    if real < plan.windows.get() {
        lacks.push(format!("{} of the {} that were asked for", count(real as u64, "real window"), plan.windows));
    }
    if truth == Truth::Spliced && *documents < plan.pieces {
        lacks.push(format!(
            "{documents} documents for {} pieces, so that neighbours in a spliced window are of different documents, but \
             documents come back",
            plan.pieces
        ));
    }
    (!lacks.is_empty()).then(|| format!("{name} has {}", lacks.join(", and ")))
}
