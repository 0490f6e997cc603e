"""Image encoders: a registry of names, their weights, and embedding a section.

Importing this package is quick: torch and timm are imported when weights are read.
"""

from reg2st.features.encoders.catalogue import (
    ENCODERS,
    encoder,
    fetch_weights,
    load_encoder,
    path_name,
)
from reg2st.features.encoders.embed import (
    Embeddings,
    Grid,
    embed_places,
    embed_section,
    read_embeddings,
    read_tiles,
)
from reg2st.features.encoders.encoder import Encoder, LoadedEncoder

__all__ = [
    "ENCODERS",
    "Embeddings",
    "Encoder",
    "Grid",
    "LoadedEncoder",
    "embed_places",
    "embed_section",
    "encoder",
    "fetch_weights",
    "load_encoder",
    "path_name",
    "read_embeddings",
    "read_tiles",
]
