"""Estimators of scikit-learn that read texts: zoo's trainings in pipelines and grid searches.

>>> from zoo.sklearn import TextClassifier
>>> texts, labels = [f"a {word} film, {n}" for n in range(30) for word in ("fine", "dull")], [1, 0]
>>> classifier = TextClassifier(epochs=1, hidden_size=4, threads=1).fit(texts, labels * 30)
>>> classifier.classes_.tolist()
[0, 1]
"""

from zoo.sklearn.classifier import TextClassifier
from zoo.sklearn.regressor import TextRegressor

__all__ = ["TextClassifier", "TextRegressor"]
