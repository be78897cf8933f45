//! The chart of a calibration: how well each layer agrees with the truth.

use plotters::prelude::*;

use super::chart::{
    AXIS_WIDTH, Area, Description, GRID, INK, OTHER, SELECTED, TEXT_SIZE, TITLE_SIZE, axes, draw, failure, write,
};
use super::scale::Scale;
use super::text;
use crate::calibrate::{Agreement, Calibration, IntervalEstimate, Row, Truth};
use crate::error::Result;

const HEIGHT: i32 = 420;
const PANEL_WIDTH: i32 = 300;
/// Categories that have a panel.
const PANELS: usize = 4;
const THIRD: RGBColor = RGBColor(213, 94, 0);

/// One panel for each of the first categories and one for all.
pub fn picture(calibration: &Calibration) -> Result<String> {
    let names: Vec<_> = calibration.rows.iter().flat_map(|row| row.dependency_strength.categories.keys()).collect();
    let mut shown: Vec<Option<&str>> = Vec::new();
    for name in names.into_iter().map(String::as_str) {
        if shown.len() < PANELS && !shown.contains(&Some(name)) {
            shown.push(Some(name));
        }
    }
    if shown.len() > 1 {
        shown.push(None);
    }
    let (title, details) = match calibration.truth {
        Truth::Spliced => (
            "Which layer tells real windows from spliced ones",
            "AUC of dependency strength: how often it is higher for the real one of two windows. Bars are 95% intervals.",
        ),
        Truth::Gain => (
            "Which layer agrees with the information gain",
            "Rank correlation of dependency strength with the information gain. Bars are 95% intervals.",
        ),
    };
    let description =
        Description { id: "calibration".to_owned(), title: title.to_owned(), details: details.to_owned() };
    let sinks = sinks(calibration);
    draw((PANEL_WIDTH * shown.len().max(3) as i32, HEIGHT), &description, |area| {
        let (head, panels) = area.split_vertically(80 * GRID);
        write(&head, (14, 22), details, TITLE_SIZE)?;
        legend(&head, &sinks)?;
        for (panel, category) in panels.split_evenly((1, shown.len())).iter().zip(&shown) {
            let (head, plot) = panel.split_vertically(24 * GRID);
            write(&head, (AXIS_WIDTH, 10), &text::name(category.unwrap_or("all categories"), 30), TITLE_SIZE)?;
            draw_panel(&plot, calibration, &sinks, |agreement| match category {
                Some(name) => agreement.categories[*name],
                None => agreement.overall,
            })?;
        }
        Ok(())
    })
}

/// The settings of sinks, each once.
fn sinks(calibration: &Calibration) -> Vec<usize> {
    let mut sinks: Vec<_> = calibration.rows.iter().map(|row| row.setting.sink_tokens).collect();
    sinks.sort_unstable();
    sinks.dedup();
    sinks
}

/// The last setting of sinks stands out.
fn colour(place: usize, count: usize) -> RGBAColor {
    match count - place {
        1 => SELECTED.to_rgba(),
        2 => OTHER,
        _ => THIRD.mix(0.9 / (count - place - 2) as f64),
    }
}

fn legend(area: &Area, sinks: &[usize]) -> Result<()> {
    for (place, sink_tokens) in sinks.iter().enumerate() {
        let words = match sink_tokens {
            0 => "all tokens".to_owned(),
            1 => "without the first token".to_owned(),
            sinks => format!("without the first {sinks} tokens"),
        };
        let left = 14 + 190 * place as i32;
        let colour = colour(place, sinks.len());
        let mark = Circle::new(((left + 5) * GRID, 50 * GRID), 4 * GRID, colour.filled());
        area.draw(&mark).map_err(failure)?;
        write(area, (left + 16, 50), &words, TEXT_SIZE)?;
    }
    Ok(())
}

fn draw_panel(
    area: &Area,
    calibration: &Calibration,
    sinks: &[usize],
    estimate: impl Fn(&Agreement) -> IntervalEstimate,
) -> Result<()> {
    let truth = calibration.truth;
    let layers = calibration.rows.iter().map(|row| row.setting.layer as f64);
    let (first, last) = (layers.clone().fold(f64::INFINITY, f64::min), layers.fold(0.0, f64::max));
    let across = Scale::within("layer", first - 0.5..last + 0.5, 0);
    let (name, range) = match truth {
        Truth::Spliced => ("AUC", -0.02..1.02),
        Truth::Gain => ("rank correlation", -1.02..1.02),
    };
    let up = Scale::within(name, range, 1);
    let mut plot = axes(area, &across, &up)?;
    let chance = PathElement::new(
        [(across.range.start, truth.chance()), (across.range.end, truth.chance())],
        INK.mix(0.8).stroke_width(GRID as u32),
    );
    plot.draw_series([chance]).map_err(failure)?;
    for (place, sink_tokens) in sinks.iter().enumerate() {
        let colour = colour(place, sinks.len());
        // Intervals of one layer stand side by side.
        let beside = 0.16 * (place as f64 - (sinks.len() - 1) as f64 / 2.0);
        let rows = calibration.rows.iter().filter(|row| row.setting.sink_tokens == *sink_tokens);
        let point = |row: &Row| (row.setting.layer as f64 + beside, estimate(&row.dependency_strength));
        let points: Vec<_> = rows.map(point).collect();
        let line = PathElement::new(
            points.iter().map(|(layer, estimate)| (*layer, estimate.value)).collect::<Vec<_>>(),
            colour.stroke_width(GRID as u32),
        );
        plot.draw_series([line]).map_err(failure)?;
        let bars = points.iter().map(|(layer, estimate)| {
            PathElement::new(
                [(*layer, estimate.low), (*layer, estimate.high)],
                colour.stroke_width(3 * GRID as u32 / 2),
            )
        });
        plot.draw_series(bars).map_err(failure)?;
        let marks =
            points.iter().map(|(layer, estimate)| Circle::new((*layer, estimate.value), 3 * GRID, colour.filled()));
        plot.draw_series(marks).map_err(failure)?;
    }
    Ok(())
}
