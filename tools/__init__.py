"""What the project's own commands need; no part of the package."""
