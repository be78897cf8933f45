//! Random numbers that are the same on every machine. Logarithms and cosines are those of the crate `libm`, because those of
//! the platforms differ in their last bits.

/// Random numbers by SplitMix64 (Steele, Lea and Flood, 2014), seeded by any number.
pub(crate) struct Random(pub u64);

impl Random {
    /// Any number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Above 0, up to 1.
    pub fn uniform(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }

    /// A whole number from 0 to one less than `count`, which is at least 1.
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.next()) * count as u128) >> 64) as usize
    }

    /// Puts items in a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// By Box and Muller.
    #[cfg(test)]
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * libm::log(self.uniform())).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.uniform())
    }

    /// Student's distribution with 8 degrees of freedom, by the polar method of Bailey (1994): roots and quotients are
    /// the same on every machine, as logarithms need not be.
    pub fn student8(&mut self) -> f64 {
        let (x, square) = self.in_circle();
        x * (8.0 * (1.0 / square.sqrt().sqrt() - 1.0) / square).sqrt()
    }

    /// Student's distribution with 4 degrees of freedom, likewise.
    pub fn student4(&mut self) -> f64 {
        let (x, square) = self.in_circle();
        x * (4.0 * (1.0 / square.sqrt() - 1.0) / square).sqrt()
    }

    /// One coordinate of a point in the unit circle, and its squared distance from the centre.
    fn in_circle(&mut self) -> (f64, f64) {
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                return (x, square);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn students_have_their_degrees_of_freedom() {
        const PROBABILITIES: [f64; 5] = [0.5, 0.1, 0.05, 0.01, 0.001];
        // Two-sided quantiles, as tables give them.
        let draw = |student: fn(&mut Random) -> f64| {
            let mut random = Random(2);
            (0..200_000).map(|_| student(&mut random)).collect::<Vec<_>>()
        };
        for (drawn, quantiles) in [
            (draw(Random::student8), [0.706, 1.860, 2.306, 3.355, 5.041]),
            (draw(Random::student4), [0.741, 2.132, 2.776, 4.604, 8.610]),
        ] {
            for (quantile, probability) in quantiles.into_iter().zip(PROBABILITIES) {
                let beyond = drawn.iter().filter(|value| value.abs() > quantile).count() as f64 / drawn.len() as f64;
                let error = 5.0 * (probability / drawn.len() as f64).sqrt();
                assert!((beyond - probability).abs() < error, "{beyond} beyond {quantile}");
            }
            assert!(drawn.iter().sum::<f64>().abs() / (drawn.len() as f64) < 0.02);
        }
    }

    #[test]
    fn a_shuffle_keeps_every_item_and_favours_none() {
        let mut random = Random(1);
        let mut first = [0; 5];
        for _ in 0..10_000 {
            let mut items = [0, 1, 2, 3, 4];
            random.shuffle(&mut items);
            first[items[0]] += 1;
            items.sort_unstable();
            assert_eq!(items, [0, 1, 2, 3, 4]);
        }
        // A count has the standard deviation 40.
        assert!(first.iter().all(|count| (1840..2160).contains(count)), "{first:?}");
    }
}
