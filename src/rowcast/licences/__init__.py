"""Licensed installations: what a customer may use, and a statement of what was used. Off unless a licence is set."""
