"""Makes the tiny SentencePiece models in tests/data/sentence_piece, trained on this project's pages, with ids of some texts.

    pip install sentencepiece==0.2.3
    python3 tests/python/make_sentence_piece.py
"""

import json
import pathlib

import sentencepiece

ROOT = pathlib.Path(__file__).parents[2]
TARGET = ROOT / "tests" / "data" / "sentence_piece"
TEXTS = [
    "",
    " ",
    "Long documents are long only in length.",
    "  Two   blanks, a tab\tand\nline ends.\r\n\n ",
    "Naïve cafés; ﬁne ½ ① Ａ 中文，日本語。 العربية e\u0301 \U0001f468\u200d\U0001f469",
    "for i in range(10):\n    print(i ** 2)  # 1234567",
    "<s> is text, </s> and <unk> too, and ▁ is a letter.",
    "attention " * 50,
]
KINDS = {
    # As those of Llama 2 are.
    "byte_pair": {"model_type": "bpe", "byte_fallback": True, "split_digits": True, "normalization_rule_name": "identity",
                  "remove_extra_whitespaces": False, "add_dummy_prefix": True},
    # As Gemma's are.
    "byte_pair_without_prefix": {"model_type": "bpe", "byte_fallback": True, "normalization_rule_name": "identity",
                                 "remove_extra_whitespaces": False, "add_dummy_prefix": False},
    # As T5's are.
    "unigram": {"model_type": "unigram", "normalization_rule_name": "nmt_nfkc"},
}


def main():
    TARGET.mkdir(exist_ok=True)
    pages = ",".join(str(page) for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])
    found = {"texts": TEXTS}
    for name, options in KINDS.items():
        sentencepiece.SentencePieceTrainer.train(
            input=pages, model_prefix=str(TARGET / name), vocab_size=600, max_sentence_length=20000, hard_vocab_limit=False,
            minloglevel=2, num_threads=1, **options)
        (TARGET / f"{name}.vocab").unlink()
        model = sentencepiece.SentencePieceProcessor(model_file=str(TARGET / f"{name}.model"))
        found[name] = [model.encode(text) for text in TEXTS]
    (TARGET / "ids.json").write_text(json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n")


main()
