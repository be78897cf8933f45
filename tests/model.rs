//! Scorer packages: those of other exporters, damaged ones, and what an open scorer refuses.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use longattn::attention::{bucket_start, distance_bucket};
use longattn::config::Config;
use longattn::export::{ExportOptions, export};
use longattn::model::{Contract, Scorer};
use longattn::score::Score;
use longattn::{ErrorKind, Result};
use serde::Deserialize;
use tempfile::TempDir;

fn config(settings: &[(&str, &str)]) -> Config {
    let mut config = Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() };
    settings.iter().for_each(|(key, value)| config.set(key, value).unwrap());
    config
}

fn foreign(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/foreign").join(name)
}

#[derive(Deserialize)]
struct Expected {
    token_ids: Vec<u32>,
    maps: BTreeMap<String, Heads>,
}

#[derive(Deserialize)]
struct Heads {
    proportion: Vec<f64>,
    variance: Vec<f64>,
}

/// Scores a model of another exporter and compares with what its JSON file says of one output.
fn check_foreign(name: &str, layer: &str, output: &str, tolerance: f64) {
    let expected: Expected = serde_json::from_slice(&fs::read(foreign(&format!("{name}.json"))).unwrap()).unwrap();
    let scorer = Scorer::open(&foreign(&format!("{name}.onnx")), &config(&[("layer", layer)])).unwrap();
    assert_eq!(scorer.description().contract, Some(Contract::Attentions));
    let score = scorer.score_tokens(&expected.token_ids).unwrap();
    let heads = &expected.maps[output];
    assert_eq!(score.heads.len(), heads.proportion.len());
    for (head, found) in score.heads.iter().enumerate() {
        let close = |found: f64, expected: f64| (found - expected).abs() < tolerance * expected;
        assert!(close(found.proportion, heads.proportion[head]), "{found:?} of head {head} in {output}");
        assert!(close(found.variance, heads.variance[head]), "{found:?} of head {head} in {output}");
    }
}

#[test]
fn a_decoder_with_a_past_scores_as_it_is() {
    check_foreign("decoder_with_past", "auto", "attentions.0", 1e-5);
    check_foreign("decoder_with_past", "1", "attentions.1", 1e-5);
    check_foreign("decoder_with_past", "attentions.1", "attentions.1", 1e-5);
}

#[test]
fn an_encoder_scores_as_it_is() {
    check_foreign("encoder", "auto", "encoder_attentions", 1e-3);
}

/// Scores every layer of a model as an exporter wrote it.
fn check_export(name: &str, outputs: [&str; 2]) {
    check_foreign(name, "auto", outputs[0], 1e-4);
    for (index, output) in outputs.iter().enumerate() {
        check_foreign(name, &index.to_string(), output, 1e-4);
        check_foreign(name, output, output, 1e-4);
    }
}

#[test]
fn what_optimum_writes_scores_as_it_is() {
    for name in ["optimum_decoder", "optimum_decoder_with_past", "optimum_encoder"] {
        check_export(name, ["attentions.0", "attentions.1"]);
    }
}

#[test]
fn what_torch_writes_scores_as_it_is_though_its_outputs_have_no_names() {
    check_export("torch_script_encoder", ["input.12", "input.32"]);
    check_export("torch_dynamo_decoder", ["clone_2", "clone_6"]);
}

#[test]
fn a_layer_that_is_not_there_is_named() {
    let wrong = Scorer::open(&foreign("encoder.onnx"), &config(&[("layer", "7")])).err().unwrap();
    assert!(wrong.to_string().contains("no layer \"7\" among its outputs encoder_attentions"), "{wrong}");
    let no_map = Scorer::open(&foreign("decoder_with_past.onnx"), &config(&[("layer", "logits")])).err().unwrap();
    assert!(no_map.to_string().contains("logits"), "{no_map}");
}

#[test]
fn a_bare_model_takes_token_ids_alone() {
    let scorer = Scorer::open(&foreign("encoder.onnx"), &config(&[])).unwrap();
    let error = scorer.score_text("some text").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("tokenizer.json"), "{error}");
}

#[test]
fn maps_that_would_not_fit_are_refused_before_the_model_runs() {
    let scorer =
        Scorer::open(&foreign("encoder.onnx"), &config(&[("memory_limit", "1MB"), ("window", "100000")])).unwrap();
    assert!(scorer.score_tokens(&[1; 40]).is_ok());
    // These maps would take 240 GB.
    let error = scorer.score_tokens(&vec![1; 100_000]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MemoryLimit);
    assert!(error.to_string().contains("query-key"), "{error}");
}

/// A copy of the default model's package that may be damaged.
fn package() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("model");
    fs::create_dir(&package).unwrap();
    for file in fs::read_dir(common::scorer_package()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), package.join(file.file_name())).unwrap();
    }
    (directory, package)
}

fn open(package: &Path) -> Result<Scorer> {
    Scorer::open(package, &config(&[]))
}

#[test]
fn damaged_packages_say_what_is_wrong() {
    let (_directory, package) = package();
    let damaged = |file: &str, damage: &dyn Fn(&[u8]) -> Vec<u8>, says: &str| {
        let whole = fs::read(package.join(file)).unwrap();
        fs::write(package.join(file), damage(&whole)).unwrap();
        let error = open(&package).err().unwrap_or_else(|| panic!("{file} was damaged and opens"));
        assert!(error.to_string().contains(says), "{error}");
        fs::write(package.join(file), whole).unwrap();
    };
    damaged("model.onnx", &|bytes| bytes[..bytes.len() / 2].to_vec(), "model.onnx cannot be loaded");
    damaged("model.onnx", &|_| Vec::new(), "model.onnx cannot be loaded");
    damaged("model.onnx", &|_| b"no model".to_vec(), "model.onnx cannot be loaded");
    damaged("model.onnx.data", &|bytes| bytes[..bytes.len() / 2].to_vec(), "model.onnx cannot be loaded");
    damaged("tokenizer.json", &|bytes| bytes[..bytes.len() / 2].to_vec(), "tokenizer.json is not a tokenizer");
    damaged("tokenizer.json", &|_| b"{}".to_vec(), "tokenizer.json is not a tokenizer");
    assert!(open(&package).is_ok());

    fs::remove_file(package.join("tokenizer.json")).unwrap();
    assert!(open(&package).err().unwrap().to_string().contains("tokenizer.json"));
    let missing = open(Path::new("no/such/package")).err().unwrap();
    assert!(missing.to_string().contains("longattn export"), "{missing}");
}

#[test]
fn a_tokenizer_that_knows_more_tokens_than_the_model_is_refused() {
    let (_directory, package) = package();
    let path = package.join("tokenizer.json");
    let mut tokenizer: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    tokenizer["model"]["vocab"]["<extra>"] = 60000.into();
    fs::write(&path, tokenizer.to_string()).unwrap();
    let error = open(&package).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidModel);
    assert!(error.to_string().contains("60001 token ids"), "{error}");
    assert!(error.to_string().contains("49152"), "{error}");
}

#[test]
fn weights_that_are_not_numbers_are_refused_when_a_window_meets_them() {
    let (_directory, package) = package();
    let path = package.join("model.onnx.data");
    let mut weights = fs::read(&path).unwrap();
    // The first row of the embedding, which is stored first, is token 0.
    weights[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&path, weights).unwrap();
    let scorer = open(&package).unwrap();
    assert_eq!(scorer.score_tokens(&[5, 6, 7, 8]).unwrap().token_count, 4);
    assert_eq!(scorer.score_tokens(&[5, 0, 7, 8]).unwrap_err().kind(), ErrorKind::NonFinite);
}

#[test]
fn windows_that_cannot_be_scored_are_refused() {
    let scorer = open(&common::scorer_package()).unwrap();
    assert_eq!(scorer.score_text("").unwrap_err().kind(), ErrorKind::TooShort);
    assert_eq!(scorer.score_text("a").unwrap_err().kind(), ErrorKind::TooShort);
    let error = scorer.score_tokens(&[1, 2, 49152]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains("token 2 has id 49152"), "{error}");
}

#[test]
fn text_is_truncated_to_the_window() {
    let scorer = Scorer::open(&common::scorer_package(), &config(&[("window", "16")])).unwrap();
    let text = "The quick brown fox jumps over the lazy dog, and then it does so again and again.";
    let ids = scorer.tokenize(text).unwrap().ids().to_vec();
    assert!(ids.len() > 16);
    let score = scorer.score_text(text).unwrap();
    assert_eq!((score.token_count, score.far.min_distance), (16, 4));
    assert_eq!(score, scorer.score_tokens(&ids[..16]).unwrap());
}

#[test]
fn both_contracts_and_all_settings_agree() {
    let directory = tempfile::tempdir().unwrap();
    let maps = directory.path().join("maps");
    let options = ExportOptions { contract: Contract::Attentions, ..ExportOptions::default() };
    export(&common::default_model(), &maps, &options).unwrap();
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("LICENSE-APACHE")).unwrap();
    let cases: [&[(&str, &str)]; 4] = [
        &[("window", "700")],
        &[("window", "700"), ("min_distance", "0"), ("sink_tokens", "4")],
        &[("window", "513"), ("min_distance", "100"), ("variance_domain", "triangle")],
        &[("window", "64"), ("min_distance", "64")],
    ];
    for settings in cases {
        let scores = [&common::scorer_package(), &maps]
            .map(|package| Scorer::open(package, &config(settings)).unwrap().score_text(&text).unwrap());
        for (streamed, whole) in scores[0].heads.iter().zip(&scores[1].heads) {
            assert!((streamed.proportion - whole.proportion).abs() <= 1e-5 * whole.proportion, "{settings:?}");
            assert!((streamed.variance - whole.variance).abs() <= 1e-4 * whole.variance, "{settings:?}");
        }
    }
}

#[test]
fn the_distance_profile_tells_dependency_strength_at_every_power_of_two() {
    let directory = tempfile::tempdir().unwrap();
    let maps = directory.path().join("maps");
    let options = ExportOptions { contract: Contract::Attentions, ..ExportOptions::default() };
    export(&common::default_model(), &maps, &options).unwrap();
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("LICENSE-APACHE")).unwrap();
    let score = |package: &Path, settings: &[(&str, &str)]| {
        let config = config(&[&[("window", "700"), ("sink_tokens", "2")], settings].concat());
        Scorer::open(package, &config).unwrap().score_text(&text).unwrap()
    };
    let close = |found: f64, expected: f64| assert!((found - expected).abs() <= 1e-5 * expected, "{found}, {expected}");

    let streamed = score(&common::scorer_package(), &[("profile", "true")]);
    let profile = streamed.profile.clone().unwrap();
    assert_eq!((profile.heads.len(), profile.mean.len()), (9, distance_bucket(699) + 1));
    assert_eq!(Score { profile: None, ..streamed }, score(&common::scorer_package(), &[]));

    let whole = score(&maps, &[("profile", "true")]).profile.unwrap();
    for (streamed, whole) in profile.heads.iter().zip(&whole.heads) {
        streamed.iter().zip(whole).for_each(|(streamed, whole)| close(*streamed, *whole));
    }
    for bucket in 0..profile.mean.len() {
        let min_distance = bucket_start(bucket).to_string();
        let exact = score(&common::scorer_package(), &[("min_distance", &min_distance)]);
        close(profile.dependency_strength(bucket), exact.dependency_strength);
        for (head, exact) in profile.heads.iter().zip(&exact.heads) {
            close(head[bucket..].iter().sum(), exact.proportion);
        }
    }
}

#[test]
fn a_profile_of_sampled_rows_is_refused() {
    let config = config(&[("profile", "true"), ("rows", "64")]);
    let error = Scorer::open(&common::scorer_package(), &config).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidSetting);
    assert!(error.to_string().contains("all rows"), "{error}");
}

#[test]
fn a_window_keeps_its_bytes() {
    let golden: serde_json::Value = serde_json::from_str(include_str!("data/tokens.json")).unwrap();
    let text = golden["cases"][0]["text"].as_str().unwrap();
    let scorer = open(&common::scorer_package()).unwrap();
    let tokens = scorer.tokenize(text).unwrap();
    let count = tokens.ids().len();
    for split in 0..=count {
        let (front, back) = (tokens.bytes(&(0..split)), tokens.bytes(&(split..count)));
        assert_eq!(format!("{}{}", &text[front], &text[back]), text);
    }
    assert_eq!(scorer.tokenize("").unwrap().bytes(&(0..0)), 0..0);
}

#[test]
fn weights_in_memory_are_what_they_were_when_the_package_was_opened() {
    let (_directory, package) = package();
    let scorer = Scorer::open(&package, &config(&[("weights_in_memory", "true")])).unwrap();
    let ids: Vec<u32> = (0..300).map(|id| id * 151 % 49152).collect();
    let expected = open(&package).unwrap().score_tokens(&ids).unwrap();
    assert_eq!(scorer.score_tokens(&ids).unwrap(), expected);
    let path = package.join("model.onnx.data");
    let length = fs::metadata(&path).unwrap().len();
    fs::write(&path, vec![0; length as usize]).unwrap();
    assert_eq!(scorer.score_tokens(&ids).unwrap(), expected);
    fs::write(&path, "").unwrap();
    assert_eq!(scorer.score_tokens(&ids).unwrap(), expected);
    let error = Scorer::open(&package, &config(&[("weights_in_memory", "true")])).err().unwrap();
    assert!(error.to_string().contains("model.onnx.data does not hold"), "{error}");
}

#[test]
fn weights_that_change_while_they_are_in_use_are_an_error() {
    let ids: Vec<u32> = (0..300).map(|id| id * 151 % 49152).collect();
    let changes: [fn(&fs::File); 2] = [
        |weights| weights.set_len(weights.metadata().unwrap().len() / 2).unwrap(),
        |weights| weights.write_all_at(&[0; 4], 0).unwrap(),
    ];
    for change in changes {
        let (_directory, package) = package();
        let scorer = open(&package).unwrap();
        scorer.score_tokens(&ids).unwrap();
        change(&fs::File::options().write(true).open(package.join("model.onnx.data")).unwrap());
        let error = scorer.score_tokens(&ids).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Runtime);
        assert!(error.to_string().contains("model.onnx.data was written to"), "{error}");
    }
    // Another file under the same name leaves the open one as it is.
    let (_directory, package) = package();
    let scorer = open(&package).unwrap();
    fs::copy(package.join("model.onnx.data"), package.join("new")).unwrap();
    fs::rename(package.join("new"), package.join("model.onnx.data")).unwrap();
    scorer.score_tokens(&ids).unwrap();
}

#[test]
fn too_many_threads_are_refused() {
    let error = Scorer::open(&common::scorer_package(), &config(&[("threads", "20000")])).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidSetting);
    assert!(error.to_string().contains("threads cannot be 20000"), "{error}");
}

/// Opens a package with few file descriptors, in a process of its own.
#[test]
#[ignore = "the next test runs it"]
fn opened_without_descriptors() {
    let files: Vec<_> = std::iter::from_fn(|| fs::File::open("/dev/null").ok()).take(1 << 16).collect();
    let error = open(Path::new(&std::env::var("LONGATTN_TEST_PACKAGE").unwrap())).err().unwrap();
    drop(files);
    println!("{:?}: {error}", error.kind());
}

#[test]
fn a_lack_of_descriptors_is_no_damage() {
    let program = std::env::current_exe().unwrap();
    let inner =
        format!("ulimit -n 64; exec {} --exact opened_without_descriptors --ignored --nocapture", program.display());
    let mut shell = std::process::Command::new("sh");
    let output = shell.args(["-c", &inner]).env("LONGATTN_TEST_PACKAGE", common::scorer_package()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(told.contains("Too many open files") && !told.contains("InvalidModel"), "{told}");
}
