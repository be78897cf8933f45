//! Enumerations with names.

/// An enumeration whose values are spelled out in settings and files.
pub trait Choice: Copy + PartialEq + 'static {
    /// Every value with its name.
    const NAMES: &'static [(&'static str, Self)];

    /// The value's name.
    fn name(self) -> &'static str {
        let row = Self::NAMES.iter().find(|row| row.1 == self);
        row.map_or("", |row| row.0)
    }
}

impl Choice for bool {
    const NAMES: &'static [(&'static str, Self)] = &[("true", true), ("false", false)];
}
