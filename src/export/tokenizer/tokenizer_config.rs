//! What `transformers` keeps beside a vocabulary: `tokenizer_config.json`, `added_tokens.json`, `special_tokens_map.json`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use crate::error::Result;
use crate::export::files::Files;

const CONFIG: &str = "tokenizer_config.json";
const SPECIAL_TOKENS: &str = "special_tokens_map.json";
const ADDED_TOKENS: &str = "added_tokens.json";
const LIMIT: u64 = 50_000_000;

/// The keys of special tokens.
const TOKEN_KEYS: [&str; 7] =
    ["bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"];

/// The settings of a tokenizer, as far as they are there.
#[derive(Default)]
pub(super) struct TokenizerConfig {
    values: Map<String, Value>,
    added: BTreeMap<u32, AddedToken>,
}

impl TokenizerConfig {
    pub fn read(files: &dyn Files) -> Result<Self> {
        let object = |name: &str| -> Result<Map<String, Value>> {
            let Some(bytes) = files.whole(name, LIMIT)? else { return Ok(Map::new()) };
            serde_json::from_slice(&bytes)
                .map_err(|cause| files.invalid(name, format!("not a JSON object ({cause}): get the file again")))
        };
        let mut values = object(SPECIAL_TOKENS)?;
        values.extend(object(CONFIG)?);
        let mut config = Self { values, added: BTreeMap::new() };
        for (token, id) in object(ADDED_TOKENS)? {
            let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
            let id = id.ok_or_else(|| files.invalid(ADDED_TOKENS, format!("the id of {token:?} is no id")))?;
            let special = config.is_special(&token);
            config.added.insert(id, AddedToken::from(token, special).normalized(!special));
        }
        if let Some(added) = config.values.get("added_tokens_decoder").filter(|added| !added.is_null()) {
            let added: BTreeMap<u32, AddedToken> = serde_json::from_value(added.clone())
                .map_err(|cause| files.invalid(CONFIG, format!("added_tokens_decoder cannot be read: {cause}")))?;
            config.added.extend(added);
        }
        Ok(config)
    }

    pub fn flag(&self, key: &str) -> Option<bool> {
        self.values.get(key)?.as_bool()
    }

    /// A special token by its key, such as `bos_token`.
    pub fn token(&self, key: &str) -> Option<&str> {
        let value = self.values.get(key)?;
        value.as_str().or_else(|| value.get("content")?.as_str())
    }

    /// The class in `transformers`, the fast and the slow one under one name.
    pub fn class(&self) -> Option<&str> {
        let class = self.values.get("tokenizer_class")?.as_str()?;
        Some(class.strip_suffix("Fast").unwrap_or(class))
    }

    /// Tokens that a vocabulary has added, and those that are told of here, each once, by their ids as far as these are known.
    pub fn added_to(&self, mut own: Vec<AddedToken>) -> Vec<AddedToken> {
        own.retain(|token| self.added.values().all(|told| told.content != token.content));
        own.extend(self.added.values().cloned());
        own
    }

    /// The ids of the tokens that are told of here.
    pub fn added_ids(&self) -> impl Iterator<Item = (String, u32)> {
        self.added.iter().map(|(id, token)| (token.content.clone(), *id))
    }

    fn is_special(&self, token: &str) -> bool {
        let further = self.values.get("additional_special_tokens").and_then(Value::as_array);
        TOKEN_KEYS.iter().any(|key| self.token(key) == Some(token))
            || further.is_some_and(|further| further.iter().any(|other| other.as_str() == Some(token)))
    }
}
