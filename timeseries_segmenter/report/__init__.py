"""What a training run learned: as data, words, pictures and a page."""
