"""The predictor: one ONNX model behind V1 and V2."""
