//! What is put around a vocabulary: added tokens, and the tokens that texts begin and end with.

use tokenizers::processors::template::{SpecialToken, TemplateProcessing};
use tokenizers::{AddedToken, Result, Tokenizer};

/// A token and its id.
pub(super) type Token<'a> = (u32, &'a str);

/// The tokenizer with added tokens, and with a token before each text and one behind it, where there are any.
pub(super) fn framed(
    mut tokenizer: Tokenizer,
    added: Vec<AddedToken>,
    begin: Option<Token>,
    end: Option<Token>,
) -> Result<Tokenizer> {
    tokenizer.add_tokens(added)?;
    if begin.is_some() || end.is_some() {
        tokenizer.with_post_processor(Some(template(begin, end)?));
    }
    Ok(tokenizer)
}

fn template(begin: Option<Token>, end: Option<Token>) -> Result<TemplateProcessing> {
    // The template names tokens by words of its own, because tokens may hold characters that templates give a meaning to.
    let named = |name: &str, token: Option<Token>| {
        token.map(|(id, token)| SpecialToken::new(name.to_owned(), vec![id], vec![token.to_owned()])).transpose()
    };
    let around = |text: &str| {
        let before = begin.map_or("", |_| "BEGIN ");
        let behind = end.map_or("", |_| " END");
        format!("{before}{text}{behind}")
    };
    let pair =
        around("$A") + " " + &around("$B").replace("BEGIN", "BEGIN:1").replace("$B", "$B:1").replace("END", "END:1");
    let tokens: Vec<_> = [named("BEGIN", begin)?, named("END", end)?].into_iter().flatten().collect();
    let mut builder = TemplateProcessing::builder();
    builder.try_single(around("$A"))?.try_pair(pair)?.special_tokens(tokens);
    Ok(builder.build()?)
}
