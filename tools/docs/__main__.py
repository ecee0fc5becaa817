"""Brings the generated parts of all pages up to date: `make docs`."""

from tools.docs.pages import pages, rendered


def main() -> None:
    """Write the pages that changed, and name them."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        new = rendered(text)
        if new != text:
            page.write_text(new, encoding="utf-8")
            print(f"{page} is brought up to date")


if __name__ == "__main__":
    main()
