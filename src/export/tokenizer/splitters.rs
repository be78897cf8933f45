//! How byte-level tokenizers cut text into words, by the names that GGUF files have for it.
//!
//! The patterns are those of the models' own `tokenizer.json`, of which llama.cpp's own are adaptations.

/// How a family of byte-level tokenizers cuts text into words.
pub(super) struct Splitter {
    pub names: &'static [&'static str],
    /// Applied one after the other, each to the pieces that the ones before it left.
    pub patterns: &'static [&'static str],
    /// The same, where bytes have become letters.
    pub letter_patterns: &'static [&'static str],
    /// Whether letters and their marks are composed before (NFC).
    pub composed: bool,
    /// Whether a word that is a token as a whole is taken without merging.
    pub whole_words: bool,
    /// Whether texts begin with a token of their own where the checkpoint does not say.
    pub begin: bool,
}

/// The splitter of a name.
pub(super) fn find(name: &str) -> Option<&'static Splitter> {
    SPLITTERS.iter().find(|splitter| splitter.names.contains(&name))
}

/// The names of all splitters, for messages.
pub(super) fn names() -> Vec<&'static str> {
    SPLITTERS.iter().flat_map(|splitter| splitter.names).copied().collect()
}

const PUNCTUATION: &str = r"[\p{P}\$\+<=>\^~\|]+";
const DIGIT: &str = r"\p{N}";
const THREE_DIGITS: &str = "[0-9][0-9][0-9]";
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const GPT4O: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const KIMI_K2: &str = r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const BAILING: &str =
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+";
const SEED_CODER: &str =
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+";
const BLOOM: &str = r" ?[^(\s|.,!?…。，、।۔،)]+";
const DEEPSEEK_CHINESE: &str = "[一-龥ࠀ-一가-\u{d7ff}]+";
const DEEPSEEK_LETTERS: &str = r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+";
const DEEPSEEK_3: &str = r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"##;

const PLAIN: Splitter =
    Splitter { names: &[], patterns: &[], letter_patterns: &[], composed: false, whole_words: false, begin: false };

const SPLITTERS: &[Splitter] = &[
    Splitter { names: &["default"], patterns: &[PUNCTUATION, GPT2, r"\p{N}+", THREE_DIGITS], ..PLAIN },
    Splitter {
        names: &[
            "gpt-2",
            "gpt2",
            "phi-2",
            "jais",
            "trillion",
            "exaone4",
            "gigachat",
            "a.x-4.0",
            "mellum",
            "jina-es",
            "jina-de",
            "jina-v1-en",
            "jina-v2-en",
            "jina-v2-es",
            "jina-v2-de",
            "jina-v2-code",
            "roberta-bpe",
        ],
        patterns: &[GPT2],
        ..PLAIN
    },
    Splitter { names: &["mpt", "olmo"], patterns: &[GPT2], composed: true, ..PLAIN },
    Splitter {
        names: &["smollm", "starcoder", "refact", "codeshell", "exaone", "minerva-7b"],
        patterns: &[DIGIT, GPT2],
        ..PLAIN
    },
    Splitter { names: &["command-r"], patterns: &[DIGIT, GPT2], composed: true, ..PLAIN },
    Splitter {
        names: &["llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"],
        patterns: &[LLAMA3],
        whole_words: true,
        begin: true,
        ..PLAIN
    },
    Splitter { names: &["dbrx", "smaug-bpe", "chatglm-bpe", "glm4"], patterns: &[LLAMA3], ..PLAIN },
    Splitter {
        names: &["qwen2", "deepseek-r1-qwen", "megrez", "stablelm2", "hunyuan"],
        patterns: &[QWEN2],
        composed: true,
        ..PLAIN
    },
    Splitter { names: &["tekken"], patterns: &[TEKKEN], whole_words: true, begin: true, ..PLAIN },
    Splitter { names: &["gpt-4o", "llama4"], patterns: &[GPT4O], whole_words: true, ..PLAIN },
    Splitter { names: &["kimi-k2"], patterns: &[KIMI_K2], ..PLAIN },
    Splitter {
        names: &["deepseek-llm"],
        patterns: &[
            r"[\r\n]",
            DEEPSEEK_LETTERS,
            "\\s?[!-/:-~！-／：-～‘-‟\u{3000}-。]+",
            r"\s+$",
            DEEPSEEK_CHINESE,
            DIGIT,
        ],
        ..PLAIN
    },
    Splitter {
        names: &["deepseek-coder"],
        patterns: &[r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", DEEPSEEK_CHINESE, DIGIT],
        ..PLAIN
    },
    Splitter {
        names: &["deepseek-v3", "hunyuan-dense"],
        patterns: &[r"\p{N}{1,3}", "[一-龥\u{3040}-ゟ゠-ヿ]+", DEEPSEEK_3],
        ..PLAIN
    },
    Splitter {
        names: &["falcon"],
        patterns: &[r"[\p{P}\$\+<=>\^~\|`]+", GPT2],
        letter_patterns: &[r"\p{N}+", THREE_DIGITS],
        ..PLAIN
    },
    Splitter { names: &["poro-chat", "bloom", "gpt3-finnish"], patterns: &[BLOOM], ..PLAIN },
    Splitter { names: &["viking"], patterns: &[BLOOM, DIGIT], ..PLAIN },
    Splitter { names: &["superbpe"], patterns: &[r"\p{N}+", r"(?=(\d{3})+(?!\d))"], ..PLAIN },
    Splitter { names: &["bailingmoe"], patterns: &[BAILING], ..PLAIN },
    Splitter { names: &["seed-coder"], patterns: &[SEED_CODER], ..PLAIN },
    Splitter {
        names: &["chameleon"],
        patterns: &[
            "<sentinel:[0-9]+>",
            "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z",
            r"([\t\n]|    |  )",
            DIGIT,
            r"[\p{P}!-/:-@\[-`{-~]",
            GPT2,
        ],
        begin: true,
        ..PLAIN
    },
];
