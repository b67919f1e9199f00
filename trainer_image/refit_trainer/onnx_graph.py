"""A small builder of ONNX graphs: nodes and constants that name themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET, ML_OPSET, IR_VERSION = 17, 3, 9
"""Versions that ONNX Runtime has known for years, so that an older server can read the file too."""
ML_DOMAIN = "ai.onnx.ml"
OWN = "refit:"
"""Every name within the graph begins so; the names of inputs are the data's own."""


class Graph:
    """Collects nodes; `add` returns the name of what a node puts out."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []
        self.inputs: list[ValueInfoProto] = []
        self.outputs: list[ValueInfoProto] = []

    def input(self, name: str, element: int) -> str:
        """A column of the request: [rows, 1]."""
        self.inputs.append(helper.make_tensor_value_info(name, element, [None, 1]))
        return name

    def constant(self, value: Any) -> str:
        name = f"{OWN}constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def add(self, kind: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        name = f"{OWN}{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, domain=domain, **attributes))
        return name

    def cast(self, value: str, element: int) -> str:
        return self.add("Cast", value, to=element)

    def concatenated(self, values: list[str]) -> str:
        return values[0] if len(values) == 1 else self.add("Concat", *values, axis=1)

    def output(self, value: str, name: str, element: int, shape: list[int | None]) -> None:
        """Gives a value the name by which it is answered."""
        self.nodes.append(helper.make_node("Identity", [value], [name], name=f"{OWN}{name}"))
        self.outputs.append(helper.make_tensor_value_info(name, element, shape))

    def model(self, metadata: dict[str, str]) -> ModelProto:
        graph = helper.make_graph(self.nodes, "refit", self.inputs, self.outputs, self.constants)
        made = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid(ML_DOMAIN, ML_OPSET)],
            ir_version=IR_VERSION,
            producer_name="refit",
        )
        helper.set_model_props(made, metadata)
        return made
