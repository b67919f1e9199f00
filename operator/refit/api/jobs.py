"""What the operator tells a pod of Refit's: environment variables and mount paths, one home for both ends."""

from __future__ import annotations

DEPLOYMENT = "REFIT_MODELDEPLOYMENT"
"""The ModelDeployment as JSON (metadata.name, .namespace, .uid, .generation and spec), as it was when the Job was made."""
TRAINING_KEY = "REFIT_TRAINING_KEY"
"""What this is the training of; a run tagged with it is never made twice."""
TRACKING_URI = "MLFLOW_TRACKING_URI"
"""Address of the MLflow server."""
CPU_LIMIT = "REFIT_CPU_LIMIT"
"""Whole processors the container may use; the number of parallel jobs of a fit."""
TERMINATION_LOG = "REFIT_TERMINATION_LOG"
"""File whose content becomes the container's termination message."""
TERMINATION_LOG_PATH = "/dev/termination-log"
DATA_DIR = "REFIT_DATA_DIR"
"""Where a pvc:// or configmap:// source is mounted."""
DATA_PATH = "/data"

MODEL_NAME = "REFIT_MODEL_NAME"
MODEL_VERSION = "REFIT_MODEL_VERSION"
ARTIFACT_SHA256 = "REFIT_ARTIFACT_SHA256"
"""SHA-256 that the model file must have, in hexadecimal; else it is never loaded."""
MODEL_DIR = "REFIT_MODEL_DIR"
MODEL_PATH = "/mnt/models"
MODEL_FILE = "model.onnx"
GOLDEN_FILE = "golden.json"

DIGEST_MISMATCH = "DigestMismatch"
"""First word of the predictor's termination message when the file is not the one that passed the gate."""
SIGNATURE_MISMATCH = "SignatureMismatch"
"""First word of it when the file is no model of this contract."""

COLLECTOR_URL = "REFIT_COLLECTOR_URL"
"""Address of the collector; a predictor or monitor without it keeps and measures nothing."""
COLLECTOR_TOKEN_FILE = "REFIT_COLLECTOR_TOKEN_FILE"  # noqa: S105  # the name of a variable
"""File with the bearer token for it, read again whenever it is used: the kubelet renews it."""
TOKEN_DIR = "/var/run/secrets/refit.dev"  # noqa: S105  # a path
TOKEN_FILE = "collector-token"  # noqa: S105  # a file name
NAMESPACE = "REFIT_NAMESPACE"
REQUEST_LOG = "REFIT_REQUEST_LOG"
"""spec.serving.requestLog as JSON."""
SPILL_DIR = "REFIT_SPILL_DIR"
"""Directory where a predictor keeps events that the collector does not take yet."""
MEASUREMENT = "REFIT_MEASUREMENT"
"""What to measure, as JSON: see refit.api.orders."""
PROMETHEUS_URL = "REFIT_PROMETHEUS_URL"
"""Address of the Prometheus that answers monitoring.queries; empty if there is none."""
