"""Labelled texts from files of any usual kind. No torch here.

``load_table`` reads a file or folder, finds the columns and the kind of labels, makes the splits
and says in notes what it found and what it left out.
"""

from zoo_text.tables.load import LabeledTexts, load_columns, load_table
from zoo_text.tables.looks import looks_like_table

__all__ = ["LabeledTexts", "load_columns", "load_table", "looks_like_table"]
