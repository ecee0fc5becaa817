"""What tests and benchmarks share: servers, processes, recorded requests and models."""
