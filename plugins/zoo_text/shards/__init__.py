"""Texts and labels in shards, larger than memory: read once, encoded once, then mapped.

``layout`` looks at the first rows, ``reading`` reads shards as batches of rows, ``table`` copies
the columns that are used into the cache, ``counting`` divides texts into parts and counts tokens,
``encoding`` writes token ids, and ``prepare`` makes the data of a task of it. No torch but there.
"""
