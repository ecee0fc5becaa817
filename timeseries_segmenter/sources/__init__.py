"""Where tasks and their series come from, and what may be asked of whom: the security boundary."""
