"""Limits are read as people write them, and what is none is refused with what is accepted."""

import pytest

from fixtures.record.time_limits import ACCEPTED, Limits, parse_limits


@pytest.mark.parametrize(
    ("text", "limits"), [("150", Limits(150, 300)), ("150,150", Limits(150, 150)), (" 1e2, 2.5e2", Limits(100, 250))]
)
def test_whoever_gives_the_first_alone_goes_on_for_as_long_again(text, limits):
    assert parse_limits(text) == parse_limits(str(limits)) == limits


@pytest.mark.parametrize("text", ["", "never", "150,", "150,100", "0", "-1,1", "nan", "150,inf", "1,2,3"])
def test_what_is_no_pair_of_limits_is_refused(text):
    with pytest.raises(ValueError, match=ACCEPTED):
        parse_limits(text)
