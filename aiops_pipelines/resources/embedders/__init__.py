"""One file per embedding model; `resources/embedder.py` knows them by name."""
