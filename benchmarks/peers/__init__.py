"""Other servers of models, beside Rowcast. Each ``serve_`` file runs in its own environment: see setup-peers.sh."""
