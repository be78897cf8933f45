//! Offsets into texts of any length, in four bytes each.

/// Rising offsets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Boundaries {
    /// Their lower 32 bits.
    low: Vec<u32>,
    /// Where in `low` the upper bits grow by one.
    carries: Vec<usize>,
}

impl Boundaries {
    /// Adds an offset, no smaller than the last.
    pub(super) fn push(&mut self, offset: usize) {
        while self.carries.len() < (offset as u64 >> 32) as usize {
            self.carries.push(self.low.len());
        }
        self.low.push(offset as u32);
    }

    pub(super) fn get(&self, index: usize) -> usize {
        let upper = self.carries.partition_point(|carry| *carry <= index) as u64;
        (upper << 32) as usize | self.low[index] as usize
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = usize> {
        (0..self.low.len()).map(|index| self.get(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_any_size_come_back() {
        let offsets = [0, 0, 7, 0xffff_ffff, 0x1_0000_0000, 0x1_0000_0000, 0x1_8000_0000, 0x5_0000_0007, 0x5_0000_0007];
        let mut boundaries = Boundaries::default();
        offsets.iter().for_each(|offset| boundaries.push(*offset));
        assert_eq!(boundaries.iter().collect::<Vec<_>>(), offsets);
    }
}
