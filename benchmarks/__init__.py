"""The speed of the zoo, as ratios to the textbook's method measured in the same run."""
