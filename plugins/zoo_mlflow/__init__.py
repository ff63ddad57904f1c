"""MLflow: parameters, metrics, weights and report of runs. Needs ``seqzoo[mlflow]``."""
