"""Arrays to segments: the network, its training and its decoding. Knows nothing of Label Studio."""
