"""A real Label Studio and the service beside it, started and stopped by programs."""
