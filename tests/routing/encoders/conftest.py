"""A tokenizer of a dozen words, made on the spot."""

from collections.abc import Callable
from pathlib import Path

import pytest

WORDS = ["integral", "simple", "sum", "cat", "list", "tree", "road", "seven"]


@pytest.fixture
def save_tokenizer() -> Callable[[Path], None]:
    """Writes tokenizer.json into a folder, which is made."""
    tokenizers = pytest.importorskip("tokenizers")
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    vocabulary = {word: number for number, word in enumerate([*special, *WORDS])}
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )

    def save(folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        tokenizer.save(str(folder / "tokenizer.json"))

    return save
