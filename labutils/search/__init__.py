"""Searches over settings and the tracking of runs; the only room that knows Optuna and MLflow."""

import os

os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # before MLflow is imported: nothing about a run leaves the computer
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # a server that is not there is told within seconds
