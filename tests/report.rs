//! The report of jobs of every size: always small, and its sums always balance.

use std::time::Duration;

use longattn::report::{CategoryReport, DocumentCounts, Example, ModelSummary, Report, WindowPoint, chart};
use proptest::prelude::*;

const MOST_BYTES: usize = 5_000_000;

/// Windows of which a third is selected.
fn windows(count: usize) -> Vec<WindowPoint> {
    let window = |place: usize| WindowPoint {
        dependency_strength: 0.15 + 0.1 * (place as f64 * 0.7).sin(),
        distribution_uniformity: -2e-7 * (place as f64 * 1.3).cos().abs(),
        long_distance_dependency_score: 3.0 * place as f64 / count as f64 - 2.0,
        tokens: 1000 + place as u64 % 7,
        selected: place >= count - count / 3,
    };
    (0..count).map(window).collect()
}

fn example(words: &str) -> Example {
    let words = words.to_owned();
    Example { id: words.clone(), source: words.clone(), text: words, ..Example::default() }
}

fn category(name: &str, count: usize, words: &str) -> CategoryReport {
    let examples = vec![example(words); 8];
    CategoryReport::new(name.to_owned(), &windows(count), examples.clone(), examples)
}

fn report(words: &str, categories: Vec<CategoryReport>) -> Report {
    Report {
        title: words.to_owned(),
        model: ModelSummary {
            name: words.to_owned(),
            architecture: words.to_owned(),
            layers: (0..1000).step_by(2).collect(),
            heads: 9,
        },
        window_tokens: 1000,
        settings: vec![(words.to_owned(), words.to_owned()); 40],
        documents: DocumentCounts { windowed: 1000, too_short: 234, rejected: 5 },
        rejects_file: Some(words.to_owned()),
        categories,
        windows: None,
        calls: 2,
        scored_tokens: 1_000_000,
        elapsed: Duration::from_secs(180),
    }
}

/// A report of categories with these numbers of windows.
fn report_of(counts: impl IntoIterator<Item = usize>) -> Report {
    let categories = counts.into_iter().enumerate();
    report("corpus", categories.map(|(place, count)| category(&format!("name {place}"), count, "text")).collect())
}

/// Windows, selected windows and selected tokens of each line of the table of categories, and of its last.
fn table(page: &str) -> (Vec<[u64; 3]>, [u64; 3]) {
    let table = page.split_once("cut (LDS)").unwrap().1.split_once("</table>").unwrap().0;
    let line = |row: &str| -> [u64; 3] {
        let cells = row.split("<td>").skip(1).map(|cell| cell.split('<').next().unwrap().replace(',', ""));
        cells.take(3).map(|cell| cell.parse().unwrap()).collect::<Vec<_>>().try_into().unwrap()
    };
    let mut lines: Vec<_> = table.split("<tr>").skip(1).map(line).collect();
    let total = lines.pop().unwrap();
    (lines, total)
}

fn sums(lines: &[[u64; 3]]) -> [u64; 3] {
    [0, 1, 2].map(|column| lines.iter().map(|line| line[column]).sum())
}

/// The numbers of one category of this many windows.
fn line(count: usize) -> [u64; 3] {
    let windows = windows(count);
    let selected = windows.iter().filter(|window| window.selected);
    [count as u64, selected.clone().count() as u64, selected.map(|window| window.tokens).sum()]
}

fn words() -> impl Strategy<Value = String> {
    let characters = prop_oneof![
        any::<char>(),
        prop::sample::select(vec!['<', '"', '&', '\'', '\0', '\n', '\u{202e}', '\u{301}', '𝕏', '\u{fffe}'])
    ];
    let text = prop::collection::vec(characters, 0..40);
    (text, 0..100_usize).prop_map(|(text, times)| String::from_iter(text).repeat(times))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_page_is_small_and_balances_whatever_is_in_it(
        words in words(),
        categories in prop_oneof![0..40_usize, 990..1010_usize, 1..20_000_usize],
        stride in 1..5000_usize,
        most in 1..2000_usize,
    ) {
        let counts: Vec<usize> = (0..categories).map(|place| place * stride % most / (1 + place % 50)).collect();
        let category = |(place, count): (usize, &usize)| category(&format!("{place}{words}"), *count, &words);
        let report = report(&words, counts.iter().enumerate().map(category).collect());
        let page = report.render().unwrap();
        prop_assert!(page.len() < MOST_BYTES, "{}", page.len());
        prop_assert!(chart(&report.categories).unwrap().len() < MOST_BYTES);
        let expected = sums(&counts.iter().copied().map(line).collect::<Vec<_>>());
        if categories > 0 {
            let (lines, total) = table(&page);
            prop_assert_eq!(total, expected);
            prop_assert_eq!(sums(&lines), expected);
        }
    }
}

#[test]
fn the_largest_page_is_small() {
    for character in ["\"", "<", "𝕏", "\u{ffff}"] {
        let words = character.repeat(100_000);
        let detailed = (0..40).map(|_| category(&words, 2000, &words));
        let listed = (0..2000).map(|_| category(&words, 3, ""));
        let page = report(&words, detailed.chain(listed).collect()).render().unwrap();
        assert!(page.len() < MOST_BYTES, "{character}: {}", page.len());
    }
}

#[test]
fn a_summary_is_small_whatever_it_sums_up() {
    let words = "word ".repeat(1_000_000);
    let category = category(&words, 200_000, &words);
    assert!(format!("{category:?}").len() < 200_000);
}

#[test]
fn thirty_categories_are_all_shown_in_detail_in_their_order() {
    let page = report_of(1..=30).render().unwrap();
    assert_eq!(page.matches("<section class=\"category\"").count(), 30);
    assert!(!page.contains("Charts and examples follow"));
    assert_eq!(table(&page).0, (1..=30).map(line).collect::<Vec<_>>());
}

#[test]
fn of_more_categories_the_largest_are_shown_in_detail() {
    let page = report_of(1..=31).render().unwrap();
    assert_eq!(page.matches("<section class=\"category\"").count(), 30);
    assert_eq!(page.matches("href=\"#category-").count(), 30);
    assert!(page.contains(
        "Charts and examples follow for the 30 categories with the most windows; of the other 1 this table is all."
    ));
    assert_eq!(table(&page).0, (1..=31).rev().map(line).collect::<Vec<_>>());
    assert!(page.contains("<h2 id=\"category-1\"><bdi>name 30</bdi></h2>") && !page.contains("<h2 id=\"category-31\""));
}

#[test]
fn of_still_more_categories_the_smallest_share_one_line() {
    let page = report_of((1..=1040).map(|place| place / 10)).render().unwrap();
    let (lines, total) = table(&page);
    assert_eq!(lines.len(), 1001);
    let smallest: Vec<_> = (1..=40).map(|place| line(place / 10)).collect();
    assert_eq!(lines[1000], sums(&smallest));
    assert_eq!(sums(&lines), total);
    for words in [
        "of the other 1,010 this table is all. Its last line sums up 40 categories, none of more than 4 windows.",
        "<bdi>40 other categories</bdi>",
        "in 1,040 categories",
    ] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn the_picture_shows_the_largest_of_many_categories() {
    let picture = chart(&report_of([5, 40, 6, 30, 20, 10]).categories).unwrap();
    for (name, shown) in [("name 0", false), ("name 1", true), ("name 2", false), ("name 3", true), ("name 5", true)] {
        assert_eq!(picture.contains(&format!(">\n{name}\n<")), shown, "{name}");
    }
    assert!(picture.contains("2 categories not shown"));
}

#[test]
fn time_is_told_of_all_calls_together() {
    let page = report_of([3]).render().unwrap();
    assert!(page.contains("it took 3 min 0 s in 2 calls, 5,556 tokens a second."));
    let page = Report { calls: 1, ..report_of([3]) }.render().unwrap();
    assert!(page.contains("it took 3 min 0 s, 5,556 tokens a second."));
}
