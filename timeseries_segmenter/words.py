"""Words that people read, in the form that suits what is said with them."""


def counted(number: int, noun: str) -> str:
    """A number of things: `1 task`, `2,000 tasks`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
