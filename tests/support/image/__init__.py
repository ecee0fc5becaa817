"""A container engine, and the service as its image runs it."""
