"""Models: learn, evaluate, bundle, register, serve under a name."""
