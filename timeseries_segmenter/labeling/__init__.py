"""Label Studio's words to arrays and back: no network, no disk, no torch."""
