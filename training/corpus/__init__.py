"""Any text source to cleaned, deduplicated documents to memory-mapped token shards."""

from training.corpus.builder import build
from training.corpus.config import CorpusConfig, SourceConfig
from training.corpus.sampling import iter_documents, sample_texts
from training.corpus.shards import DocumentHandle, Shard, TokenShards

__all__ = [
    "CorpusConfig",
    "DocumentHandle",
    "Shard",
    "SourceConfig",
    "TokenShards",
    "build",
    "iter_documents",
    "sample_texts",
]
