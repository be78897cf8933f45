//! The axes of a chart: which numbers fit, and how to write them.

use std::ops::Range;

use crate::report::text;

/// An axis that shows its numbers as multiples of a power of ten, so that even tiny ones are short.
#[derive(Clone, Debug, PartialEq)]
pub struct Scale {
    name: &'static str,
    power: i32,
    decimals: usize,
    /// The ends of the axis, as [`Scale::place`] gives them.
    pub range: Range<f64>,
    /// How many numbers to write, at most.
    pub most_ticks: usize,
}

impl Scale {
    /// An axis with room for these numbers.
    pub fn of(name: &'static str, values: impl Iterator<Item = f64> + Clone) -> Self {
        let largest = values.clone().map(f64::abs).fold(0.0, f64::max);
        let power = power_of_ten(largest);
        let placed = values.map(|value| value / 10f64.powi(power));
        let lowest = placed.clone().fold(f64::INFINITY, f64::min);
        let highest = placed.fold(f64::NEG_INFINITY, f64::max);
        let range = widened(lowest, highest);
        let decimals = decimals(range.end - range.start);
        Self { name, power, decimals, range, most_ticks: 6 }
    }

    /// An axis from zero for counts up to `highest`, with some room above.
    pub fn counts(name: &'static str, highest: u64) -> Self {
        let top = highest + highest / 6 + 1;
        let most_ticks = usize::try_from(top).map_or(6, |top| top.min(6));
        Self { name, power: 0, decimals: 0, range: 0.0..top as f64, most_ticks }
    }

    /// An axis from one number to another.
    pub fn within(name: &'static str, range: Range<f64>, decimals: usize) -> Self {
        Self { name, power: 0, decimals, range, most_ticks: 12 }
    }

    /// Where a number stands on the axis.
    pub fn place(&self, value: f64) -> f64 {
        value / 10f64.powi(self.power)
    }

    /// What a place on the axis is called.
    pub fn tick(&self, place: f64) -> String {
        if self.decimals == 0 && place >= 0.0 {
            return text::count(place.round() as u64);
        }
        text::fixed(place, self.decimals)
    }

    /// What the axis shows, with the power of ten that its numbers lack.
    pub fn label(&self) -> String {
        if self.power == 0 { self.name.to_owned() } else { format!("{} (×10{})", self.name, superscript(self.power)) }
    }
}

fn power_of_ten(largest: f64) -> i32 {
    if largest == 0.0 || (0.01..1e4).contains(&largest) {
        return 0;
    }
    // Beyond 300 the power itself would not be a normal number.
    (largest.log10().floor() as i32).clamp(-300, 300)
}

fn widened(lowest: f64, highest: f64) -> Range<f64> {
    let span = highest - lowest;
    let size = lowest.abs().max(highest.abs());
    let margin = match () {
        _ if span > 1e-9 * size.max(1e-3) => 0.06 * span,
        _ if size > 1e-9 => 0.2 * size,
        _ => 1.0,
    };
    lowest - margin..highest + margin
}

fn decimals(span: f64) -> usize {
    (1.0 - span.log10().floor()).clamp(0.0, 12.0) as usize
}

fn superscript(number: i32) -> String {
    let raised = |character| match character {
        '-' => '⁻',
        digit => "⁰¹²³⁴⁵⁶⁷⁸⁹".chars().nth(digit as usize - '0' as usize).unwrap_or(digit),
    };
    number.to_string().chars().map(raised).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(values: &[f64]) -> Scale {
        Scale::of("score", values.iter().copied())
    }

    #[test]
    fn tiny_numbers_are_shown_as_multiples_of_a_power_of_ten() {
        let axis = scale(&[-1.8e-7, -2e-8]);
        assert_eq!(axis.label(), "score (×10⁻⁷)");
        assert!((axis.place(-1.8e-7) + 1.8).abs() < 1e-9);
        assert_eq!(axis.tick(-1.5), "-1.5");
    }

    #[test]
    fn ordinary_numbers_are_shown_as_they_are() {
        let axis = scale(&[0.15, 0.35]);
        assert_eq!((axis.label().as_str(), axis.tick(0.2).as_str()), ("score", "0.20"));
        assert!(axis.range.start < 0.15 && axis.range.end > 0.35);
    }

    #[test]
    fn every_number_is_inside_a_finite_axis() {
        let hard: [&[f64]; 8] = [
            &[0.0],
            &[0.25],
            &[0.25, 0.25 + 1e-17],
            &[-1e308, 1e308],
            &[5e-324],
            &[-5e-324, 5e-324],
            &[-1e-7],
            &[1e15],
        ];
        for values in hard {
            let axis = scale(values);
            assert!(axis.range.start.is_finite() && axis.range.end.is_finite(), "{values:?}");
            for &value in values {
                let place = axis.place(value);
                assert!(axis.range.start < place && place < axis.range.end, "{value} in {axis:?}");
            }
        }
    }

    #[test]
    fn counts_have_whole_ticks_only() {
        assert_eq!(Scale::counts("windows", 1).most_ticks, 2);
        assert_eq!(Scale::counts("windows", 600).range, 0.0..701.0);
        assert_eq!(Scale::counts("windows", 600).tick(1200.0), "1,200");
    }
}
