"""What says which class a row has: the network, the forest and convolutions beside it, and their pool."""
