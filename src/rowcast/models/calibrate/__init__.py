"""From scores to probabilities that hold: maps fitted on held-out scores, in numpy and in ONNX."""
