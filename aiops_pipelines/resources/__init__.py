"""The outside world: each heavy library, file format and network call is met in exactly one file here.

Nothing here decides anything; the pillars do, and know none of these files.
"""
