"""When, by whom and how a project is trained: everything that a crash may interrupt."""
