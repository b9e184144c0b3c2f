"""A sentence-transformers model small enough for a test: BERT of random weights, 48 tokens long."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from sentence_transformers import SentenceTransformer
from sentence_transformers.base.modules import Normalize, Transformer
from sentence_transformers.sentence_transformer.modules import Pooling
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

DIMENSIONS, LONGEST = 32, 48
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WORDS = "copy list rename format sort prove derive refactor untangle diagnose the file of a report"


def tokenizer() -> Tokenizer:
    """WordPiece over a few words and letters; a trained one is another one each time."""
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    pieces = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters), *WORDS.split()]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    out = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    out.normalizer = normalizers.BertNormalizer()
    out.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    ends = [(name, out.token_to_id(name)) for name in ("[CLS]", "[SEP]")]
    out.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    return out


def make_encoder(folder: Path, kind: str = "bert", pooling: Any = "mean") -> Path:
    """Write a model and return its folder."""
    transformers.utils.logging.disable_progress_bar()
    torch.manual_seed(0)
    words = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer(), unk_token="[UNK]", pad_token="[PAD]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]", model_max_length=LONGEST,
    )  # fmt: skip
    sizes = {"vocab_size": len(words), "hidden_size": DIMENSIONS, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 2, "intermediate_size": 64, "pad_token_id": 0}
    sizes |= {"max_position_embeddings": LONGEST + 2}
    config = transformers.AutoConfig.for_model(kind, **sizes)
    transformers.AutoModel.from_config(config).save_pretrained(folder / "plain")
    words.save_pretrained(folder / "plain")
    parts = [
        Transformer(str(folder / "plain"), max_seq_length=LONGEST),
        Pooling(DIMENSIONS, pooling_mode=pooling),
        Normalize(),
    ]
    SentenceTransformer(modules=parts, device="cpu").save(
        str(folder / "encoder"), create_model_card=False
    )
    return folder / "encoder"


@cache
def _shared(folder: Path) -> Path:
    return make_encoder(folder)


def shared_encoder(factory: Any) -> Path:
    """Return the folder of the one model that tests share; nobody changes its files."""
    return _shared(Path(factory.getbasetemp()) / "tiny_encoder")
