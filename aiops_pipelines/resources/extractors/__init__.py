"""Bytes of a format into Markdown-like text: one file a format, told by its ending in `extraction`."""
