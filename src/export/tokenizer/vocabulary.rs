//! Tokens and what each is for, as SentencePiece and GGUF number it.

use std::collections::HashSet;

use tokenizers::AddedToken;
use tokenizers::models::bpe::Vocab;

/// What a token is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenType {
    Normal = 1,
    Unknown = 2,
    Control = 3,
    UserDefined = 4,
}

/// Tokens by their ids.
pub(super) struct Vocabulary<'a> {
    pub tokens: Vec<&'a str>,
    /// One a token, as a [`TokenType`] is numbered.
    pub types: Vec<f64>,
}

impl Vocabulary<'_> {
    pub fn is(&self, id: usize, token_type: TokenType) -> bool {
        self.types[id] == f64::from(token_type as u8)
    }

    pub fn ids(&self) -> Vocab {
        self.tokens.iter().enumerate().map(|(id, &token)| (token.to_owned(), id as u32)).collect()
    }

    /// Tokens that are found in text before it is cut into words.
    pub fn added(&self) -> Vec<AddedToken> {
        let ids = 0..self.tokens.len();
        ids.filter_map(|id| {
            let special = self.is(id, TokenType::Control) || self.is(id, TokenType::Unknown);
            let added = special || self.is(id, TokenType::UserDefined);
            added.then(|| AddedToken::from(self.tokens[id], special).normalized(false))
        })
        .collect()
    }

    /// A token that stands in it twice.
    pub fn repeated(&self) -> Option<&str> {
        let mut known = HashSet::new();
        self.tokens.iter().find(|token| !known.insert(**token)).copied()
    }
}
