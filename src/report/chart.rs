//! The charts, drawn as SVG. Their colours stand out on white and on dark paper alike.

use std::fmt::Display;

use askama::Template;
use plotters::coord::Shift;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use crate::error::{Error, ErrorKind, Result};
use crate::report::category::in_order_to_show;
use crate::report::points::{Point, Points};
use crate::report::scale::Scale;
use crate::report::{CategoryReport, text};

/// The drawing library knows whole coordinates only; a finer grid keeps points and lines where they belong.
pub(super) const GRID: i32 = 4;

pub(super) const SELECTED: RGBColor = RGBColor(22, 131, 216);
pub(super) const OTHER: RGBAColor = RGBAColor(124, 124, 124, 0.8);
const CUT: RGBColor = RGBColor(213, 94, 0);
pub(super) const INK: RGBColor = RGBColor(118, 118, 118);

pub(super) const TEXT_SIZE: i32 = 12;
pub(super) const TITLE_SIZE: i32 = 15;
const MARK_SIZE: i32 = 3 * GRID;
const SMALL_MARK_SIZE: i32 = 2 * GRID;
/// With more points in a chart the marks are small.
const FEW_POINTS: usize = 500;
pub(super) const AXIS_WIDTH: i32 = 64;
const TICK_WIDTH: i32 = 50;
const AXIS_HEIGHT: i32 = 42;
const CHART_SIZE: (i32, i32) = (440, 320);
const PICTURE_SIZE: (i32, i32) = (900, 420);
const EXPLANATION: &str =
    "Each mark is a window of a long document. The windows whose attention reaches back far and evenly are selected.";
const PICTURE_PANELS: usize = 4;
const PICTURE_POINTS: usize = 400;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(super) type Plot<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// What a screen reader says of a chart.
pub struct Description {
    /// Unique in the page.
    pub id: String,
    pub title: String,
    pub details: String,
}

#[derive(Template)]
#[template(path = "chart.svg")]
struct Drawing<'a> {
    size: (i32, i32),
    fine_size: (i32, i32),
    description: &'a Description,
    shapes: &'a str,
}

/// Dependency strength against distribution uniformity: some points of one category.
pub fn scatter(category: &CategoryReport, points: &Points, description: &Description) -> Result<String> {
    draw(CHART_SIZE, description, |area| {
        let (head, plot) = area.split_vertically(26 * GRID);
        legend_of_points(&head, (AXIS_WIDTH, 12))?;
        draw_scatter(&plot, category, points)
    })
}

/// How many windows of one category have which long-distance dependency score.
pub fn histogram(category: &CategoryReport, description: &Description) -> Result<String> {
    draw(CHART_SIZE, description, |area| {
        let (head, plot) = area.split_vertically(26 * GRID);
        legend_of_bars(&head, (AXIS_WIDTH, 12))?;
        draw_histogram(&plot, category)
    })
}

/// A few categories side by side.
pub fn picture(categories: &[CategoryReport]) -> Result<String> {
    let description = Description {
        id: "longattn".to_owned(),
        title: "Windows selected by longattn".to_owned(),
        details: "For each category, how far and how evenly attention reaches back in its windows; the selected ones \
                  are marked."
            .to_owned(),
    };
    draw(PICTURE_SIZE, &description, |area| {
        let (head, panels) = area.split_vertically(80 * GRID);
        write(&head, (14, 22), EXPLANATION, TITLE_SIZE)?;
        legend_of_points(&head, (14, 50))?;
        if let Some(missing @ 1..) = categories.len().checked_sub(PICTURE_PANELS) {
            let words = text::counted(missing as u64, "category", "categories");
            write(&head, (230, 50), &format!("{words} not shown"), TEXT_SIZE)?;
        }
        draw_panels(&panels, &in_order_to_show(categories, PICTURE_PANELS))
    })
}

pub(super) fn draw(
    size: (i32, i32),
    description: &Description,
    paint: impl FnOnce(&Area) -> Result<()>,
) -> Result<String> {
    let fine_size = (size.0 * GRID, size.1 * GRID);
    let mut drawing = String::new();
    {
        let backend = SVGBackend::with_string(&mut drawing, (fine_size.0 as u32, fine_size.1 as u32));
        let area = backend.into_drawing_area();
        paint(&area)?;
        area.present().map_err(failure)?;
    }
    let (_, shapes) = drawing.split_once(">\n").ok_or_else(|| failure("nothing was drawn"))?;
    Drawing { size, fine_size, description, shapes }.render().map_err(failure)
}

pub(super) fn failure(cause: impl Display) -> Error {
    Error::new(ErrorKind::Internal, format!("cannot draw a chart: {cause}"))
}

fn draw_panels(area: &Area, categories: &[&CategoryReport]) -> Result<()> {
    let shown = &categories[..categories.len().min(PICTURE_PANELS)];
    let panels = area.split_evenly((1, shown.len().max(1)));
    for (panel, category) in panels.iter().zip(shown) {
        let (head, plot) = panel.split_vertically(44 * GRID);
        let selected = text::count(category.counts.selected);
        let windows = text::counted(category.counts.windows, "window", "windows");
        write(&head, (AXIS_WIDTH, 10), &text::name(&category.name, 20), TITLE_SIZE)?;
        write(&head, (AXIS_WIDTH, 30), &format!("{selected} of {windows} selected"), TEXT_SIZE)?;
        draw_scatter(&plot, category, &category.points.thinned(PICTURE_POINTS))?;
    }
    Ok(())
}

fn draw_scatter(area: &Area, category: &CategoryReport, points: &Points) -> Result<()> {
    let Some(spreads) = category.spreads else { return Ok(()) };
    let across = spreads.dependency_strength.scale("dependency strength");
    let up = spreads.distribution_uniformity.scale("distribution uniformity");
    let place = |point: &Point| (across.place(point.dependency_strength), up.place(point.distribution_uniformity));
    let mut plot = axes(area, &across, &up)?;
    let size = if points.len() > FEW_POINTS { SMALL_MARK_SIZE } else { MARK_SIZE };
    plot.draw_series(points.others.iter().map(|point| other_mark(place(point), size))).map_err(failure)?;
    plot.draw_series(points.selected.iter().map(|point| selected_mark(place(point), size))).map_err(failure)?;
    Ok(())
}

fn draw_histogram(area: &Area, category: &CategoryReport) -> Result<()> {
    let Some(spreads) = category.spreads else { return Ok(()) };
    let mut across = spreads.score_scale();
    let bars = &category.bars;
    for bar in bars {
        across.range = across.range.start.min(bar.from)..across.range.end.max(bar.to);
    }
    let highest = bars.iter().map(|bar| bar.selected + bar.others).max().unwrap_or(0);
    let up = Scale::counts("windows", highest);
    let mut plot = axes(area, &across, &up)?;
    for bar in bars {
        let (others, all) = (bar.others as f64, (bar.others + bar.selected) as f64);
        draw_block(&mut plot, [(bar.from, 0.0), (bar.to, others)], OTHER)?;
        draw_block(&mut plot, [(bar.from, others), (bar.to, all)], SELECTED)?;
    }
    let cut = category.cut.map(|cut| across.place(cut));
    cut.map_or(Ok(()), |cut| draw_cut(&mut plot, cut, &across, up.range.end))
}

fn draw_block(plot: &mut Plot, corners: [(f64, f64); 2], colour: impl Color) -> Result<()> {
    if corners[0].1 == corners[1].1 {
        return Ok(());
    }
    let mut block = Rectangle::new(corners, colour.filled());
    block.set_margin(0, 0, GRID as u32 / 2, GRID as u32 / 2);
    plot.draw_series([block]).map_err(failure)?;
    Ok(())
}

fn draw_cut(plot: &mut Plot, cut: f64, across: &Scale, top: f64) -> Result<()> {
    let line = PathElement::new([(cut, 0.0), (cut, top)], CUT.stroke_width(3 * GRID as u32 / 2));
    plot.draw_series([line]).map_err(failure)?;
    let in_left_half = cut < (across.range.start + across.range.end) / 2.0;
    let (side, gap) = if in_left_half { (HPos::Left, 5) } else { (HPos::Right, -5) };
    let label_style = style(TEXT_SIZE, CUT).pos(Pos::new(side, VPos::Top));
    let label = EmptyElement::at((cut, top)) + Text::new("cut", (gap * GRID, GRID), label_style);
    plot.draw_series([label]).map_err(failure)?;
    Ok(())
}

pub(super) fn axes<'a>(area: &Area<'a>, across: &Scale, up: &Scale) -> Result<Plot<'a>> {
    let room = area.dim_in_pixel().0 as i32 - AXIS_WIDTH * GRID;
    let mut plot = ChartBuilder::on(area)
        .margin_right(14 * GRID)
        .x_label_area_size(AXIS_HEIGHT * GRID)
        .y_label_area_size(AXIS_WIDTH * GRID)
        .build_cartesian_2d(across.range.clone(), up.range.clone())
        .map_err(failure)?;
    plot.configure_mesh()
        .x_labels(across.most_ticks.min((room / (TICK_WIDTH * GRID)).max(2) as usize))
        .y_labels(up.most_ticks)
        .x_desc(across.label())
        .y_desc(up.label())
        .x_label_formatter(&|place| across.tick(*place))
        .y_label_formatter(&|place| up.tick(*place))
        .label_style(style(TEXT_SIZE, INK))
        .axis_desc_style(style(TEXT_SIZE, INK))
        .axis_style(INK.mix(0.6).stroke_width(GRID as u32))
        .bold_line_style(INK.mix(0.25).stroke_width(GRID as u32 / 2))
        .light_line_style(TRANSPARENT)
        .set_all_tick_mark_size(4 * GRID)
        .draw()
        .map_err(failure)?;
    Ok(plot)
}

fn selected_mark<Place>(place: Place, size: i32) -> TriangleMarker<Place, i32> {
    TriangleMarker::new(place, 5 * size / 3, SELECTED)
}

fn other_mark<Place>(place: Place, size: i32) -> Circle<Place, i32> {
    Circle::new(place, size, OTHER.stroke_width(3 * GRID as u32 / 2))
}

fn square((x, y): (i32, i32), colour: impl Color) -> Rectangle<(i32, i32)> {
    Rectangle::new([(x - 5 * GRID, y - 5 * GRID), (x + 5 * GRID, y + 5 * GRID)], colour.filled())
}

fn legend_of_points(area: &Area, (x, y): (i32, i32)) -> Result<()> {
    let [selected, others] = legend_words(area, (x, y))?;
    area.draw(&selected_mark(selected, MARK_SIZE)).map_err(failure)?;
    area.draw(&other_mark(others, MARK_SIZE)).map_err(failure)
}

fn legend_of_bars(area: &Area, (x, y): (i32, i32)) -> Result<()> {
    let [selected, others] = legend_words(area, (x, y))?;
    area.draw(&square(selected, SELECTED)).map_err(failure)?;
    area.draw(&square(others, OTHER)).map_err(failure)
}

/// Writes the words and gives the places of their marks.
fn legend_words(area: &Area, (x, y): (i32, i32)) -> Result<[(i32, i32); 2]> {
    write(area, (x + 16, y), "selected", TEXT_SIZE)?;
    write(area, (x + 100, y), "not selected", TEXT_SIZE)?;
    Ok([x + 5, x + 89].map(|x| (x * GRID, y * GRID)))
}

pub(super) fn write(area: &Area, place: (i32, i32), words: &str, size: i32) -> Result<()> {
    let style = style(size, INK).pos(Pos::new(HPos::Left, VPos::Center));
    area.draw_text(words, &style, (place.0 * GRID, place.1 * GRID)).map_err(failure)
}

fn style(size: i32, colour: RGBColor) -> TextStyle<'static> {
    // The backend divides sizes by this number.
    ("sans-serif", f64::from(size * GRID) * 1.24).into_font().color(&colour)
}
