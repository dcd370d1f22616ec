"""Model inputs to the matrix that a learner sees: the same encoder in numpy and in ONNX."""
