"""What networks that never saw a series say about it, and what follows: weights, prices, the search."""
