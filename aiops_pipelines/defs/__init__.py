"""Dagster and nothing else: what runs when, in which order, on which partitions.

Each pillar has one file; thinking is done by the pillars, opening files by the resources.
"""
