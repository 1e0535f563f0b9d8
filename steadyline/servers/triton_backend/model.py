"""Triton's ``onnxruntime`` backend in Python: it serves ``<version>/model.onnx`` of a production repository.

The wheel with the real tritonserver has only the Python backend. This file, placed as
``backends/onnxruntime/model.py``, makes ``backend: "onnxruntime"`` work there, so that the model repository
is exactly what the official container serves with its own C++ backend. It runs in Triton's environment (numpy
< 2) and imports nothing of ours. It reads the parameter ``intra_op_thread_count`` of config.pbtxt like the
C++ backend, with 2 as its default.
"""

import json
import os
from typing import Any

import numpy as np
import onnxruntime as ort
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """One instance of one version; all requests of one call are run as one batch."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the model; a broken one raises, and Triton continues to serve the versions that it has."""
        config = json.loads(args["model_config"])
        parameters = config.get("parameters", {})
        threads = int(parameters.get("intra_op_thread_count", {}).get("string_value", "2"))
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # A spinning pool starves everything else that wants a core.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        path = os.path.join(args["model_repository"], args["model_version"], "model.onnx")
        self._session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self._inputs = [item["name"] for item in config["input"]]
        self._outputs = [item["name"] for item in config["output"]]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Join the requests along the batch, run the model once, and split the answers."""
        try:
            parts = {
                name: [pb_utils.get_input_tensor_by_name(request, name).as_numpy() for request in requests]
                for name in self._inputs
            }
            joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
            answers = self._session.run(self._outputs, joined)
        except Exception as error:  # the backend's contract: one error per request; the process continues
            failure = pb_utils.TritonError(f"onnxruntime: {error}")
            return [pb_utils.InferenceResponse(error=failure) for _ in requests]
        sizes = [len(array) for array in parts[self._inputs[0]]]
        edges = np.cumsum(sizes)[:-1]
        columns = [np.split(np.ascontiguousarray(answer), edges) for answer in answers]
        return [
            pb_utils.InferenceResponse(
                [
                    pb_utils.Tensor(name, column[row])
                    for name, column in zip(self._outputs, columns, strict=True)
                ]
            )
            for row in range(len(requests))
        ]
