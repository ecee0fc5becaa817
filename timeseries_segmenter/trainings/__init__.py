"""When, by whom and how a project is trained. All that a crash may interrupt."""
