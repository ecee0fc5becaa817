"""The outside world: web requests, Label Studio, files, the training process."""
