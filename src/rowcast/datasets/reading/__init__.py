"""An upload becomes a stored table: sniffed, checked, parsed. Runs in a child process."""
