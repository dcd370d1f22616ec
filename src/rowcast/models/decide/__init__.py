"""What follows from a prediction: green, yellow or red, and what it earns. Set by the owner, apart from the model."""
