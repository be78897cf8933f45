//! Cancelling and deadlines end work within a second, also while the model runs.

mod common;

use std::num::NonZeroUsize;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use longattn::config::Config;
use longattn::export::{ExportOptions, Layers, export};
use longattn::model::{Contract, Input, Scorer};
use longattn::{Cancel, ErrorKind, Result};
use tempfile::TempDir;

/// How soon work must end.
const SOON: Duration = Duration::from_secs(1);

/// When it is asked to: well before it would end by itself.
const DELAY: Duration = Duration::from_millis(300);

struct Package {
    scorer: Scorer,
    ids: Vec<u32>,
    _directory: TempDir,
}

impl Package {
    /// A tiny model with a window on which it takes many seconds.
    fn new(contract: Contract, layer: usize, tokens: usize) -> Self {
        let checkpoints = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/checkpoints");
        let directory = tempfile::tempdir().unwrap();
        let options = ExportOptions {
            contract,
            layers: Layers::These(vec![layer]),
            losses: layer > 0,
            max_positions: NonZeroUsize::new(tokens),
            tokenizer: Some(checkpoints.join("tokenizer.json")),
            ..ExportOptions::default()
        };
        let package = directory.path().join("package");
        export(&checkpoints.join("llama-deep"), &package, &options).unwrap();
        let mut config = Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() };
        config.set("window", &tokens.to_string()).unwrap();
        let ids = (0..tokens as u32).map(|id| id * 7 % 40).collect();
        Self { scorer: Scorer::open(&package, &config).unwrap(), ids, _directory: directory }
    }

    fn text(&self) -> String {
        self.ids.iter().map(|id| format!("w{id} ")).collect()
    }
}

/// Does work until its deadline, and until it is cancelled.
fn check<T: Send>(name: &str, work: impl Fn(&Cancel) -> Result<T> + Sync) {
    let check = |cancel: &Cancel, says: &str| {
        let begun = Instant::now();
        let error = work(cancel).err().unwrap_or_else(|| panic!("{name} ended before it was cancelled"));
        let late = begun.elapsed().saturating_sub(DELAY);
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{name}: {error}");
        assert!(error.to_string().contains(says), "{name}: {error}");
        assert!(late < SOON, "{name} went on for {late:?}");
    };
    check(&Cancel::with_deadline(Instant::now() + DELAY), "deadline");
    let cancel = Cancel::default();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(DELAY);
            cancel.cancel();
        });
        check(&cancel, "cancelled");
    });
}

fn check_all(package: &Package) {
    let Package { scorer, ids, .. } = package;
    check("score", |cancel| scorer.score(Input::Tokens(ids), cancel));
    check("score_sinks", |cancel| scorer.score_sinks(ids, &[0, 4], cancel));
    check("score_many", |cancel| {
        let inputs = [Input::Tokens(ids); 3];
        scorer.score_many(&inputs, cancel, |_| {}).into_iter().collect::<Result<Vec<_>>>()
    });
}

#[test]
fn queries_and_keys_of_a_deeper_layer() {
    let package = Package::new(Contract::QueryKey, 2, 40_000);
    check_all(&package);
    let Package { scorer, ids, .. } = &package;
    check("losses", |cancel| scorer.losses(ids, cancel));
    check("information_gain", |cancel| scorer.information_gain(ids, cancel));
}

#[test]
fn streaming_from_a_first_layer() {
    let package = Package::new(Contract::QueryKey, 0, 300_000);
    check_all(&package);
    let short = Package::new(Contract::QueryKey, 0, 64);
    assert!(short.scorer.verify(&short.text(), &Cancel::default()).unwrap().agrees());
}

#[test]
fn sums_within_the_model() {
    check_all(&Package::new(Contract::Statistics, 2, 100_000));
}

#[test]
fn whole_maps() {
    check_all(&Package::new(Contract::Attentions, 2, 10_000));
}

#[test]
fn verification() {
    let text = Package::new(Contract::QueryKey, 0, 2).text().repeat(30_000);
    let package = Package::new(Contract::QueryKey, 0, 50_000);
    check("verify", |cancel| package.scorer.verify(&text, cancel));
}

#[test]
fn a_scorer_works_on_after_a_cancelled_run() {
    let package = Package::new(Contract::QueryKey, 2, 30_000);
    let Package { scorer, ids, .. } = &package;
    let expected = scorer.score_tokens(&ids[..1000]).unwrap();
    let error = scorer.score(Input::Tokens(ids), &Cancel::with_deadline(Instant::now() + DELAY)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(scorer.score_tokens(&ids[..1000]).unwrap(), expected);
}
