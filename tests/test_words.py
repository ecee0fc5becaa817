import pytest

from timeseries_segmenter.words import counted


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 annotated tasks"), (1, "1 annotated task"), (2000, "2,000 annotated tasks")]
)
def test_things_are_counted_in_the_form_that_suits_their_number(number: int, said: str) -> None:
    assert counted(number, "annotated task") == said
