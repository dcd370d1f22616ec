"""The Open Inference Protocol V2: what tritonclient, KServe and MLServer's clients speak."""
