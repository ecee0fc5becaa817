"""One project's model, where labeling and learning meet: no network, no disk."""
