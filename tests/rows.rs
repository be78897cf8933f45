//! Scores estimated from a sample of rows, against exact ones, on this project's own sources.

mod common;

use std::fs;
use std::path::Path;

use longattn::config::Config;
use longattn::model::Scorer;
use longattn::score::Score;
use walkdir::WalkDir;

const WINDOW: usize = 2048;

fn scorer(settings: &[(&str, &str)]) -> Scorer {
    let mut config = Config { onnxruntime: Some(common::onnxruntime()), ..Config::default() };
    config.set("window", &WINDOW.to_string()).unwrap();
    settings.iter().for_each(|(key, value)| config.set(key, value).unwrap());
    Scorer::open(&common::scorer_package(), &config).unwrap()
}

/// Settings of `rows` from the smallest sample on. Few windows hold the rows that make errors large, so it takes many samples
/// to tell whether standard errors are honest.
const SAMPLES: [&str; 5] = ["256", "512", "600", "683", "800"];

fn windows(scorer: &Scorer) -> Vec<Vec<u32>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["src", "tests"].into_iter().flat_map(|folder| WalkDir::new(root.join(folder)).sort_by_file_name());
    let files = folders.map(|entry| entry.unwrap().into_path());
    let sources: String = files
        .filter(|file| file.extension().is_some_and(|end| end == "rs"))
        .map(|file| fs::read_to_string(file).unwrap())
        .collect();
    scorer.tokenize(&sources).unwrap().ids().chunks_exact(WINDOW).map(<[u32]>::to_vec).collect()
}

fn scores(scorer: &Scorer, windows: &[Vec<u32>]) -> Vec<Score> {
    windows.iter().map(|window| scorer.score_tokens(window).unwrap()).collect()
}

/// Root of the mean square of how far estimates are from exact values, relative to these.
fn relative_error(estimates: &[Score], exact: &[Score], value: fn(&Score) -> f64) -> f64 {
    let squares = estimates.iter().zip(exact).map(|(estimate, exact)| (value(estimate) / value(exact) - 1.0).powi(2));
    (squares.sum::<f64>() / exact.len() as f64).sqrt()
}

/// Share of the estimates that are within two standard errors of the exact value.
fn covered(estimates: &[Score], exact: &[Score], value: fn(&Score) -> f64, error: fn(&Score) -> f64) -> f64 {
    let within = |(estimate, exact): &(&Score, &Score)| (value(estimate) - value(exact)).abs() <= 2.0 * error(estimate);
    estimates.iter().zip(exact).filter(within).count() as f64 / exact.len() as f64
}

#[test]
fn estimates_are_close_and_their_errors_honest() {
    let exact = scorer(&[]);
    let windows = windows(&exact);
    assert!(windows.len() >= 40, "{} windows", windows.len());
    // The triangle's variance is a difference of two numbers of like size.
    for (domain, uniformity_bound) in [("map", 0.04), ("triangle", 0.06)] {
        let exact = scores(&scorer(&[("variance_domain", domain)]), &windows);
        let (mut strengths, mut uniformities) = (0.0, 0.0);
        for rows in SAMPLES {
            let estimates = scores(&scorer(&[("variance_domain", domain), ("rows", rows)]), &windows);
            let strength = |score: &Score| score.dependency_strength;
            let uniformity = |score: &Score| score.distribution_uniformity;
            assert!(relative_error(&estimates, &exact, strength) < 0.003);
            assert!(relative_error(&estimates, &exact, uniformity) < uniformity_bound);
            let strength = covered(&estimates, &exact, strength, |score| score.dependency_strength_error);
            let uniformity = covered(&estimates, &exact, uniformity, |score| score.distribution_uniformity_error);
            println!("{domain}, {rows}: {strength:.3} and {uniformity:.3} of {} windows are covered", exact.len());
            strengths += strength / SAMPLES.len() as f64;
            uniformities += uniformity / SAMPLES.len() as f64;
        }
        assert!(strengths >= 0.88 && uniformities >= 0.88, "{domain}: {strengths} and {uniformities} are covered");
    }
}

#[test]
fn no_sample_is_smaller_than_320_rows() {
    let exact = scorer(&[]);
    let estimates = scores(&scorer(&[("rows", "256")]), &windows(&exact)[..40]);
    assert!(estimates.iter().all(|score| (825..=840).contains(&score.rows)));
}

#[test]
fn errors_fall_with_the_number_of_rows() {
    let windows = windows(&scorer(&[]));
    let errors = |rows, error: fn(&Score) -> f64| {
        let scores = scores(&scorer(&[("rows", rows)]), &windows[..16]);
        scores.iter().map(error).sum::<f64>() / scores.len() as f64
    };
    // From 320 rows, the fewest, to 1152 of the 1536 with far keys.
    let strength = |score: &Score| score.dependency_strength_error / score.dependency_strength;
    assert!(errors("64", strength) > 2.5 * errors("1536", strength));
    assert!(errors("64", strength) < 0.003);
    let uniformity = |score: &Score| score.distribution_uniformity_error / -score.distribution_uniformity;
    assert!(errors("64", uniformity) > 2.0 * errors("1536", uniformity));
}

#[test]
fn all_rows_are_exact_however_they_are_asked_for() {
    let windows = windows(&scorer(&[]));
    let exact = scorer(&[]).score_tokens(&windows[0]).unwrap();
    assert_eq!((exact.rows, exact.dependency_strength_error, exact.distribution_uniformity_error), (WINDOW, 0.0, 0.0));
    for rows in ["2048", "1000000"] {
        assert_eq!(scorer(&[("rows", rows)]).score_tokens(&windows[0]).unwrap(), exact);
    }
    for short in [2, 3, 17] {
        let ids = &windows[0][..short];
        assert_eq!(scorer(&[("rows", "1")]).score_tokens(ids).unwrap(), scorer(&[]).score_tokens(ids).unwrap());
    }
    let nothing_far = [("rows", "64"), ("min_distance", "2048")];
    assert_eq!(scorer(&nothing_far).score_tokens(&windows[0]).unwrap().dependency_strength, 0.0);
}

#[test]
fn a_window_gets_the_same_sample_from_any_number_of_threads() {
    let windows = windows(&scorer(&[]));
    let score = |threads| scorer(&[("rows", "64"), ("threads", threads)]).score_tokens(&windows[3]).unwrap();
    assert_eq!(score("1"), score("2"));
    assert_eq!(score("2"), score("7"));
}

#[test]
fn sinks_and_every_distance_are_estimated_as_well() {
    let windows = windows(&scorer(&[]));
    for min_distance in ["0", "1", "37", "1500"] {
        let far = [("min_distance", min_distance), ("sink_tokens", "5")];
        let exact = scorer(&far).score_tokens(&windows[1]).unwrap();
        let estimate = scorer(&[far[0], far[1], ("rows", "512")]).score_tokens(&windows[1]).unwrap();
        let difference = (estimate.dependency_strength - exact.dependency_strength).abs();
        assert!(difference <= 5.0 * estimate.dependency_strength_error + 1e-9, "{difference} at {min_distance}");
    }
}
