"""How good held-out predictions are: metrics with intervals, curves, importance."""
