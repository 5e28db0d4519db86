"""The sample systems' inference logs, made by a seeded generator that says so.

Synthetic: the questions are written by hand, retrieval is real (the index of that week, the real embedding
model), answers are sentences of the retrieved text, token counts are counted on real text. What happens when
is written in `data/stories/*.yaml`. Nothing in the pipelines imports this package.
"""
