"""The search for the best model: what to try, how each trial did, and what is made of the best."""
