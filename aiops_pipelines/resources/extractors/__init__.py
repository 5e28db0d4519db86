"""Bytes of a format into Markdown-like text: one file a format, known by ending in `resources/extraction.py`."""
