//! Types that tables give to fields, so that an output may give them too.

use super::kind::Kind;
use super::record::{Fields, TOKEN_IDS};

/// What fields are in all files that have them, where all files of a corpus are tables. Of other corpora, and of fields whose
/// types differ from file to file, nothing: then the values decide.
#[derive(Clone, Debug, Default)]
pub struct FieldTypes(Kind);

impl FieldTypes {
    /// What tables have in common, but for texts and token ids, which records have apart.
    pub(super) fn of(tables: impl Iterator<Item = Kind>, fields: &Fields) -> Self {
        let carried = |table: Kind| {
            let text = fields.text_name(|name| table.field(name).is_some());
            Self(table).without(text.into_iter().chain([TOKEN_IDS])).0
        };
        Self(tables.map(carried).fold(Kind::Null, Kind::agree).agreed())
    }

    /// Of rows that have them in a field.
    #[must_use]
    pub fn within(self, field: &str) -> Self {
        match self.0 {
            Kind::Null => self,
            fields => Self(Kind::Object(vec![(field.to_owned(), fields)])),
        }
    }

    /// Of rows that have something else in some fields.
    #[must_use]
    pub fn without<'a>(mut self, names: impl IntoIterator<Item = &'a str>) -> Self {
        if let Kind::Object(fields) = &mut self.0 {
            names.into_iter().for_each(|name| fields.retain(|field| field.0 != name));
        }
        self
    }

    pub(super) fn into_kind(self) -> Kind {
        self.0
    }
}
