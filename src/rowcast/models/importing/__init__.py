"""Models that others made, as versions: from formats that hold no code."""
