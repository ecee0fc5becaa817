"""A page in Markdown as far as tests look at it: its headings, its links, and what is in code."""

import re
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
PROGRAMS = {"python", "mermaid"}  # languages of blocks that hold no commands


@dataclass(frozen=True)
class Page:
    """A file below the project's root."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def prose(self) -> str:
        """The text without its blocks of code."""
        return FENCE.sub("", self.text)

    @cached_property
    def spans(self) -> list[str]:
        """What is in code within a sentence or a cell of a table."""
        return [span.replace("\n", " ").replace("\\|", "|") for span in SPAN.findall(self.prose)]

    @cached_property
    def lines(self) -> list[str]:
        """The lines of all blocks of code."""
        blocks = [block for _, language, block in FENCE.findall(self.text) if language not in PROGRAMS]
        return [line.strip() for block in blocks for line in block.splitlines()]

    def blocks(self, language: str) -> list[str]:
        """The blocks of code in a language."""
        return [block for _, found, block in FENCE.findall(self.text) if found == language]

    @property
    def code(self) -> list[str]:
        """Spans and lines."""
        return [*self.spans, *self.lines]

    @cached_property
    def links(self) -> list[str]:
        return LINK.findall(SPAN.sub("", self.prose))

    @cached_property
    def anchors(self) -> set[str]:
        """Those of the headings, as GitHub makes them."""
        seen: Counter[str] = Counter()
        anchors = set()
        for heading in re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE):
            words = LINK.sub(lambda match: match[0].partition("]")[0][1:], heading)
            slug = re.sub(r"[^\w\- ]", "", words.lower()).replace(" ", "-")
            anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
        return anchors


DOCS = Path("docs")
PAGES = [
    Page(path)
    for path in sorted(
        [
            *map(
                Path, ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/RESULTS.md")
            ),
            *Path("examples").rglob("*.md"),
            *DOCS.rglob("*.md"),
        ]
    )
]
