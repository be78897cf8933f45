//! What a run found, as one HTML page that needs nothing else: no network, no other files. Its own scripts, which the page's
//! policy names by their digests, try other cuts; without scripts all else is there.

mod bars;
mod calibration;
mod category;
mod chart;
mod page;
mod points;
mod scale;
mod statistics;
mod text;
mod whole_text;
mod windows;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::calibrate::Calibration;
use crate::error::{Error, ErrorKind, Result};

pub use category::{CategoryReport, Example, WindowPoint, WindowText};
pub use whole_text::WholeText;
pub use windows::{ExploredWindow, Windows};

/// All that the page tells of one job. Sums and counts are taken from the windows, so they always balance.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// What the page is called, such as the corpus' name.
    pub title: String,
    /// The model that scored the windows.
    pub model: ModelSummary,
    /// Tokens of one window.
    pub window_tokens: usize,
    /// The settings that the job used, keys and values in the order to show them.
    pub settings: Vec<(String, String)>,
    /// What became of the documents.
    pub documents: DocumentCounts,
    /// The file that names the rejected documents, as the reader of the page can reach it.
    pub rejects_file: Option<String>,
    /// The categories in the order to show them. Where they are many, those with the most windows come first and have charts and
    /// examples; the next ones have a line each, and the last ones one line together.
    pub categories: Vec<CategoryReport>,
    /// The windows to try other cuts on in the page; none for a page without.
    pub windows: Option<Windows>,
    /// How many calls the job took: 1, and one more each time that it was resumed.
    pub calls: u64,
    /// Tokens that all calls together put through the model.
    pub scored_tokens: u64,
    /// How long all calls together took.
    pub elapsed: Duration,
}

/// The model that scored the windows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelSummary {
    /// The checkpoint's own name.
    pub name: String,
    /// The checkpoint's architecture, such as `llama`.
    pub architecture: String,
    /// The scored layers, from 0.
    pub layers: Vec<usize>,
    /// Query heads of a layer.
    pub heads: usize,
}

/// What became of the documents that were read: every one of them is counted once.
#[derive(Clone, Copy, Debug, Default)]
pub struct DocumentCounts {
    /// Documents that gave at least one window.
    pub windowed: u64,
    /// Documents with fewer tokens than a window.
    pub too_short: u64,
    /// Documents that could not be used, such as malformed records.
    pub rejected: u64,
}

impl Report {
    /// The page, as UTF-8 text of less than 5 MB, however many windows and categories there are and however long their names.
    /// The same report gives the same bytes.
    ///
    /// # Errors
    /// `NonFinite` where a window has numbers that are NaN or infinite.
    pub fn render(&self) -> Result<String> {
        check_finite(&self.categories)?;
        page::render(self)
    }
}

/// One stand-alone SVG picture of 900 by 420 points: dependency strength against distribution uniformity, a panel for
/// each of four categories, the selected windows marked. Of more categories those with the most windows are shown.
///
/// # Errors
/// `NonFinite` where a window has numbers that are NaN or infinite.
pub fn chart(categories: &[CategoryReport]) -> Result<String> {
    check_finite(categories)?;
    chart::picture(categories)
}

/// One stand-alone SVG picture: how well each layer agrees with the truth, with intervals, a panel for each of the first four
/// categories and one for all, and a line for each setting of sinks.
pub fn calibration_chart(calibration: &Calibration) -> Result<String> {
    calibration::picture(calibration)
}

fn check_finite(categories: &[CategoryReport]) -> Result<()> {
    let Some(broken) = categories.iter().find(|category| !category.is_finite()) else { return Ok(()) };
    let message = format!("category \"{}\" has a window with NaN or infinite numbers", broken.name);
    Err(Error::new(ErrorKind::NonFinite, message))
}

impl DocumentCounts {
    /// All documents that were read.
    pub fn read(&self) -> u64 {
        self.windowed + self.too_short + self.rejected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::{Cut, Method, Standardize};

    fn window(place: usize, of: usize) -> WindowPoint {
        let share = place as f64 / of as f64;
        WindowPoint {
            dependency_strength: 0.15 + 0.2 * share,
            distribution_uniformity: -2e-7 + 1.8e-7 * (place as f64 * 0.7).sin().abs(),
            long_distance_dependency_score: 3.0 * share - 1.5,
            tokens: 32768,
            selected: share >= 0.75,
        }
    }

    fn windows(of: usize) -> Vec<WindowPoint> {
        (0..of).map(|place| window(place, of)).collect()
    }

    /// A category without examples.
    fn plain(name: &str, windows: &[WindowPoint]) -> CategoryReport {
        CategoryReport::new(name.to_owned(), windows, Vec::new(), Vec::new())
    }

    fn category(name: &str, of: usize) -> CategoryReport {
        let example = |id: &str, place| Example {
            id: id.to_owned(),
            source: "books.jsonl, line 7".to_owned(),
            text: "It was a dark and stormy night. ".repeat(20),
            window: window(place, of),
            ..Example::default()
        };
        let (best, worst) = (example("best-window", of - 1), example("worst-window", 0));
        CategoryReport::new(name.to_owned(), &windows(of), vec![best], vec![worst])
    }

    fn report() -> Report {
        Report {
            title: "My corpus".to_owned(),
            model: ModelSummary {
                name: "SmolLM2-135M-Instruct".to_owned(),
                architecture: "llama".to_owned(),
                layers: vec![12, 13, 14],
                heads: 9,
            },
            window_tokens: 32768,
            settings: vec![("min_distance".to_owned(), "8192".to_owned())],
            documents: DocumentCounts { windowed: 1000, too_short: 234, rejected: 5 },
            rejects_file: Some("rejects.jsonl".to_owned()),
            categories: vec![category("books", 100), category("code", 40)],
            windows: None,
            calls: 1,
            scored_tokens: 1_000_000,
            elapsed: Duration::from_secs(100),
        }
    }

    fn one(category: CategoryReport) -> Report {
        Report { categories: vec![category], ..report() }
    }

    /// The windows of categories of these numbers, with names, ids and texts of these words.
    fn with_windows(words: &str, counts: &[usize]) -> Report {
        let mut explored = Windows::new(&Method::new(Standardize::ZScore, 0.5, Cut::Ratio(0.25)));
        let categories = counts.iter().map(|&of| {
            explored.add(words, of, |place| ExploredWindow {
                id: format!("{words}{place}"),
                source: place as u32,
                point: window(of - 1 - place, of),
            });
            let whole_text = WholeText::of(&words.repeat(100), 10_000);
            let example = Example {
                id: words.to_owned(),
                text: words.to_owned(),
                whole_text,
                distance_profile: vec![1.0 / 3.0; 20],
                ..Example::default()
            };
            CategoryReport::new(words.to_owned(), &windows(of), vec![example], Vec::new())
        });
        let categories = categories.collect();
        explored.name_sources(|_| words.to_owned());
        Report { categories, windows: Some(explored), ..report() }
    }

    #[test]
    fn windows_to_try_other_cuts_on_are_inert_and_scripts_are_those_of_the_policy() {
        let page = with_windows("</script><script>hurt()</script><!--<b onclick='hurt()'>", &[9, 5]).render().unwrap();
        assert_eq!(page.matches("<script").count(), 3);
        assert_eq!(page.matches("</script").count(), 3);
        assert!(!page.contains("<b ") && !page.contains("<!--"));
        let policy = page.split_once("script-src ").unwrap().1.split_once('"').unwrap().0;
        for script in page.split("<script>").skip(1).map(|rest| rest.split_once("</script>").unwrap().0) {
            let digest = windows::encode(&<sha2::Sha256 as sha2::Digest>::digest(script));
            assert!(policy.contains(&format!("'sha256-{digest}'")));
        }
        assert!(!policy.contains("unsafe"));
    }

    #[test]
    fn a_page_with_all_windows_that_have_room_is_small() {
        let page = with_windows(&"\"<𝕏".repeat(60), &vec![2000; 40]).render().unwrap();
        assert!(page.len() < 5_000_000, "{}", page.len());
        assert!(page.contains("other_categories\":10"));
    }

    /// Names of the elements that are open at the end, or the first end tag that closes the wrong one.
    fn open_elements(markup: &str) -> std::result::Result<Vec<&str>, &str> {
        const EMPTY: [&str; 2] = ["meta", "br"];
        let mut open = Vec::new();
        for tag in markup.split('<').skip(1) {
            let inside = tag.split('>').next().unwrap_or(tag);
            let name = inside.split([' ', '\n']).next().unwrap_or(inside);
            match name.strip_prefix('/') {
                Some(ended) if open.pop() != Some(ended) => return Err(ended),
                Some(_) => {}
                None if inside.ends_with('/') || inside.starts_with('!') || EMPTY.contains(&name) => {}
                None => open.push(name),
            }
        }
        Ok(open)
    }

    fn assert_sound(page: &str) {
        assert_eq!(open_elements(page), Ok(vec![]));
        assert!(!page.contains("NaN") && !page.contains("inf\""));
        let allowed = |character: char| !character.is_control() || character == '\n';
        assert!(page.chars().all(allowed));
    }

    #[test]
    fn the_check_of_elements_can_fail() {
        assert_eq!(open_elements("<p>a<br>b</p><rect/>"), Ok(vec![]));
        assert_eq!(open_elements("<div><p>a</p>"), Ok(vec!["div"]));
        assert_eq!(open_elements("<div><p>a</div>"), Err("div"));
    }

    #[test]
    fn the_headline_says_what_was_found() {
        let page = report().render().unwrap();
        assert_sound(&page);
        for words in [
            "<title>My corpus</title>",
            "<strong>35 of 140 windows selected: 1,146,880 tokens</strong> from 1,239 documents in 2 categories.",
            "Scored by SmolLM2-135M-Instruct (llama, layers 12 to 14, 9 heads) in windows of 32,768 tokens; it took \
             1 min 40 s, 10,000 tokens a second.",
            "<code>rejects.jsonl</code>",
            "<code>min_distance</code></th><td><bdi>8192</bdi>",
        ] {
            assert!(page.contains(words), "{words}");
        }
    }

    #[test]
    fn numbers_balance() {
        let page = report().render().unwrap();
        let numbers = |from: &str, to: &str| -> Vec<u64> {
            let table = page.split_once(from).unwrap().1.split_once(to).unwrap().0;
            let cells = table.split("<td>").skip(1).map(|cell| cell.split('<').next().unwrap().replace(',', ""));
            cells.filter_map(|cell| cell.parse().ok()).collect()
        };
        for (from, total) in [("Documents read", 1239), ("Windows scored", 140), ("Tokens scored", 140 * 32768)] {
            let tally = numbers(from, "</table>");
            assert_eq!(tally[0], total);
            assert_eq!(tally[1..].iter().sum::<u64>(), total);
        }
        assert_eq!(numbers("cut (LDS)", "<tfoot>")[..3], [100, 25, 25 * 32768]);
        assert_eq!(numbers("<tfoot>", "</tfoot>"), [140, 35, 35 * 32768]);
    }

    #[test]
    fn a_category_has_its_cut_its_spreads_and_its_examples() {
        let page = one(category("books", 100)).render().unwrap();
        for words in [
            "100 windows, 25 selected, with scores from 0.750 up.",
            "<td>0.1500</td><td>0.2490</td><td>0.3480</td>",
            "<td>-2.00e-7</td>",
            "<td>-1.500</td><td>-0.015</td><td>1.470</td>",
            "best-window",
            "worst-window",
            "books.jsonl, line 7",
        ] {
            assert!(page.contains(words), "{words}");
        }
        assert_eq!(page.matches("<svg").count(), 2);
        let excerpt = page.split_once("<blockquote dir=\"auto\">").unwrap().1.split_once('<').unwrap().0;
        assert_eq!(excerpt.chars().count(), 201);
    }

    #[test]
    fn every_window_is_one_mark_of_its_kind() {
        let page = one(category("books", 100)).render().unwrap();
        let (scatter, histogram) = page.split_once("id=\"histogram-1-title\"").unwrap();
        let in_legend = 1;
        assert_eq!(scatter.matches("<polygon").count(), 25 + in_legend);
        assert_eq!(scatter.matches("<circle").count(), 75 + in_legend);
        assert!(histogram.contains(">\ncut\n<"));
    }

    #[test]
    fn texts_cannot_break_out() {
        let hostile = "</script></title><b x='\">&\0\u{202e}";
        let example = Example {
            id: hostile.to_owned(),
            source: hostile.to_owned(),
            text: hostile.to_owned(),
            window: window(0, 8),
            ..Example::default()
        };
        let hurt = CategoryReport::new(hostile.to_owned(), &windows(8), vec![example.clone()], vec![example]);
        let report = Report {
            title: hostile.to_owned(),
            model: ModelSummary {
                name: hostile.to_owned(),
                architecture: hostile.to_owned(),
                ..ModelSummary::default()
            },
            settings: vec![(hostile.to_owned(), hostile.to_owned())],
            rejects_file: Some(hostile.to_owned()),
            ..one(hurt)
        };
        for page in [report.render().unwrap(), chart(&report.categories).unwrap()] {
            assert_sound(&page);
            assert!(!page.contains("<b ") && !page.contains("script>"));
        }
    }

    #[test]
    fn nothing_outside_the_page_is_needed() {
        let page = report().render().unwrap();
        for forbidden in ["<script", "<link", "<img", "@import", "url(", " src=", "href=\"http"] {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
    }

    #[test]
    fn hard_cases_still_give_a_page() {
        let equal = plain("equal", &[window(3, 4); 30]);
        let zero = plain("", &[WindowPoint::default(); 3]);
        let huge = WindowPoint {
            dependency_strength: 1e308,
            distribution_uniformity: -1e308,
            long_distance_dependency_score: -1e308,
            tokens: 1,
            selected: true,
        };
        let tiny = WindowPoint { dependency_strength: 5e-324, ..WindowPoint::default() };
        let apart = plain("", &[huge, tiny]);
        let named = category(&"книга ".repeat(10_000), 1);
        for category in [CategoryReport::default(), category("one", 1), equal, zero, apart, named] {
            let report = one(category);
            assert_sound(&report.render().unwrap());
            assert_sound(&chart(&report.categories).unwrap());
        }
        assert_sound(&Report::default().render().unwrap());
        assert_sound(&chart(&[]).unwrap());
    }

    #[test]
    fn an_unselected_category_has_no_cut() {
        let mut nothing = windows(40);
        nothing.iter_mut().for_each(|window| window.selected = false);
        let page = one(plain("nothing", &nothing)).render().unwrap();
        assert!(page.contains("40 windows, 0 selected."));
        assert!(page.contains("<td>none</td>") && !page.contains(">\ncut\n<"));
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        let mut broken = windows(4);
        broken[2].distribution_uniformity = f64::NAN;
        let broken = plain("broken", &broken);
        for error in [one(broken.clone()).render().unwrap_err(), chart(&[broken]).unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::NonFinite);
            assert!(error.to_string().contains("broken"));
        }
    }

    #[test]
    fn many_windows_give_a_small_page_that_says_so() {
        let page = one(category("web", 100_000)).render().unwrap();
        assert!(page.len() < 600_000, "{}", page.len());
        assert!(page.contains("500 of 25,000 selected and 500 of 75,000 other windows"));
        assert!(!report().render().unwrap().contains("evenly spaced"));
    }

    #[test]
    fn the_same_report_gives_the_same_bytes_whatever_the_order_of_windows() {
        let in_order = windows(5000);
        let reversed: Vec<_> = in_order.iter().rev().copied().collect();
        let [there, back] = [in_order, reversed].map(|windows| one(plain("web", &windows)));
        assert_eq!(there.render().unwrap(), back.render().unwrap());
        assert_eq!(chart(&there.categories).unwrap(), chart(&back.categories).unwrap());
    }

    #[test]
    fn the_picture_has_a_panel_for_each_category() {
        let picture = chart(&report().categories).unwrap();
        assert_sound(&picture);
        assert!(picture.contains("width=\"900\" height=\"420\""));
        for words in
            [">\nbooks\n<", ">\n25 of 100 windows selected\n<", ">\ncode\n<", ">\n10 of 40 windows selected\n<"]
        {
            assert!(picture.contains(words), "{words}");
        }
        assert!(!picture.contains("not shown"));
        assert!(chart(&vec![category("many", 4); 7]).unwrap().contains("3 categories not shown"));
    }
}
