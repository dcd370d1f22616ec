"""Each adapter talks to one technology; only wiring knows them."""
