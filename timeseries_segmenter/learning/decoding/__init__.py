"""Class probabilities to segments, and how sure these are."""
