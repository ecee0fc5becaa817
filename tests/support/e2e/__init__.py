"""A real Label Studio, its editor in a browser, and files to open in it."""
