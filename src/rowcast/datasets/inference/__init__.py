"""What each column holds, with the reason in words. Runs in a child process."""
