"""A model version as a folder: written, exported to ONNX, checked, opened again."""
