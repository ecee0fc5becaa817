"""The training report: its content, the pictures of it, and its page."""
