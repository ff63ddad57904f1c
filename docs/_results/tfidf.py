"""TF-IDF and logistic regression on the reviews of IMDb, with scikit-learn alone.

``python docs/_results/tfidf.py aclImdb_v1.tar.gz`` prints the accuracy on the test part. Words and
pairs of words; ``C=10`` as in docs/own-data.md, chosen before the test part was read.
"""

from __future__ import annotations

import re
import sys
import tarfile

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

texts: dict[str, list[str]] = {"train": [], "test": []}
labels: dict[str, list[str]] = {"train": [], "test": []}
with tarfile.open(sys.argv[1]) as archive:
    for member in archive:
        if found := re.fullmatch(r"aclImdb/(train|test)/(pos|neg)/\d+_\d+\.txt", member.name):
            file = archive.extractfile(member)
            assert file is not None
            part, label = found.groups()
            texts[part].append(file.read().decode())
            labels[part].append(label)
features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
model = make_pipeline(features, LogisticRegression(C=10, max_iter=1000))
model.fit(texts["train"], labels["train"])
sys.stdout.write(f"{model.score(texts['test'], labels['test']):.4f}\n")
