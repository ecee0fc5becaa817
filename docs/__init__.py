"""The documentation's pages, and `python -m docs.generate` for the parts of them that the code tells."""
