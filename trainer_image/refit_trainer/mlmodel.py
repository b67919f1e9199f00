"""The files of an MLflow model: the ONNX file and a description by which MLflow can load it.

Written by hand, since MLflow's own writer would import half of MLflow and then guess requirements for
seconds; a test loads the outcome with the real MLflow.
"""

from __future__ import annotations

import json
import platform
from importlib.metadata import version

import yaml

from refit.api import jobs
from refit.api.dataspec import ColumnType
from refit.api.signature import LABEL_OUTPUT, PREDICTION_OUTPUT, PROBABILITIES_OUTPUT
from refit_trainer.trainings import Trained

MODEL_FOLDER = "model"
REQUIREMENTS = ("onnx", "onnxruntime", "numpy", "pandas")
MLFLOW_VERSION = "3.17.2"
"""The version whose format this is; newer ones read it too."""


def model_files(trained: Trained) -> dict[str, bytes]:
    """Artifact path to bytes, under `model/`."""
    return {
        f"{MODEL_FOLDER}/{jobs.MODEL_FILE}": trained.onnx,
        f"{MODEL_FOLDER}/MLmodel": yaml.safe_dump(_description(trained), sort_keys=False).encode(),
        f"{MODEL_FOLDER}/requirements.txt": ("\n".join(_requirements()) + "\n").encode(),
        f"{MODEL_FOLDER}/python_env.yaml": yaml.safe_dump(
            {"python": platform.python_version(), "build_dependencies": [], "dependencies": ["-r requirements.txt"]}
        ).encode(),
    }


def _description(trained: Trained) -> dict[str, object]:
    onnx = {
        "data": jobs.MODEL_FILE,
        "onnx_version": version("onnx"),
        "providers": ["CPUExecutionProvider"],
        "code": None,
    }
    inputs = [
        _tensor("float32" if column.type is ColumnType.NUMBER else "object", column.name, [-1, 1])
        for column in trained.signature.inputs
    ]
    classes = len(trained.signature.classes)
    outputs = (
        [_tensor("int64", LABEL_OUTPUT, [-1]), _tensor("float32", PROBABILITIES_OUTPUT, [-1, classes])]
        if classes
        else [_tensor("float32", PREDICTION_OUTPUT, [-1, 1])]
    )
    return {
        "flavors": {
            "onnx": onnx,
            "python_function": {
                "loader_module": "mlflow.onnx",
                "data": jobs.MODEL_FILE,
                "env": {"virtualenv": "python_env.yaml"},
                "python_version": platform.python_version(),
            },
        },
        "mlflow_version": MLFLOW_VERSION,
        "signature": {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None},
    }


def _tensor(kind: str, name: str, shape: list[int]) -> dict[str, object]:
    return {"type": "tensor", "tensor-spec": {"dtype": kind, "shape": shape}, "name": name}


def _requirements() -> list[str]:
    return [f"mlflow>={MLFLOW_VERSION}", *(f"{name}=={version(name)}" for name in REQUIREMENTS)]
