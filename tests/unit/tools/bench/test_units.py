"""Capacity units, against examples that were computed by hand from DynamoDB's rule."""

from typing import Any

import pytest

from tools.bench.units import item_size, number_size, read_units, write_units


@pytest.mark.parametrize(
    ("number", "size"),
    [
        pytest.param("0", 1, id="no significant digit"),
        pytest.param("7", 2, id="one digit"),
        pytest.param("12", 2, id="two digits share a byte"),
        pytest.param("123", 3, id="three digits"),
        pytest.param("1000", 2, id="trailing zeros are trimmed"),
        pytest.param("-12", 3, id="a minus sign"),
        pytest.param("0.050", 2, id="a fraction with zeros on both sides"),
        pytest.param("10.5", 3, id="a zero between digits counts"),
        pytest.param("1E+3", 2, id="an exponent does not count"),
    ],
)
def test_a_number_has_a_byte_for_two_significant_digits(number: str, size: int) -> None:
    assert number_size(number) == size


@pytest.mark.parametrize(
    ("value", "size"),
    [
        pytest.param({"S": "äb"}, 3, id="text is UTF-8"),
        pytest.param({"B": b"1234"}, 4, id="bytes"),
        pytest.param({"BOOL": False}, 1, id="a boolean"),
        pytest.param({"NULL": True}, 1, id="null"),
        pytest.param({"SS": ["a", "bc"]}, 3, id="a set of texts"),
        pytest.param({"NS": ["1", "123"]}, 5, id="a set of numbers"),
        pytest.param({"L": []}, 3, id="an empty list"),
        pytest.param({"L": [{"S": "ab"}, {"N": "1"}]}, 3 + 3 + 3, id="a list"),
        pytest.param({"M": {"ab": {"S": "c"}, "d": {"L": []}}}, 3 + (1 + 2 + 1) + (1 + 1 + 3), id="a map"),
    ],
)
def test_an_item_has_the_size_of_its_names_and_values(value: dict[str, Any], size: int) -> None:
    assert item_size({"name": value}) == 4 + size


def test_a_type_that_dynamodb_does_not_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="X is not a type"):
        item_size({"name": {"X": 1}})


@pytest.mark.parametrize(
    ("sizes", "how", "units"),
    [
        pytest.param([], {"consistent": True}, 1, id="nothing was found"),
        pytest.param([4096], {"consistent": True}, 1, id="4 KB"),
        pytest.param([4000, 97], {"consistent": True}, 2, id="a query rounds the sum up"),
        pytest.param([2000, 2000], {"consistent": False}, 0.5, id="an eventually consistent read costs half"),
        pytest.param([10], {"consistent": True, "transaction": True}, 2, id="a transaction costs twice"),
    ],
)
def test_read_units(sizes: list[int], how: dict[str, bool], units: float) -> None:
    assert read_units(sizes, **how) == units


@pytest.mark.parametrize(
    ("old", "new", "transaction", "units"),
    [
        pytest.param(None, 1024, False, 1, id="1 KB"),
        pytest.param(None, 1025, False, 2, id="a byte more"),
        pytest.param(3000, 10, False, 3, id="the old item is larger"),
        pytest.param(10, 3000, True, 6, id="a transaction costs twice"),
        pytest.param(None, None, False, 1, id="a failed condition on an item that does not exist"),
        pytest.param(2048, 2048, True, 4, id="a condition check"),
    ],
)
def test_write_units(old: int | None, new: int | None, transaction: bool, units: int) -> None:
    def item(size: int | None) -> dict[str, Any] | None:
        return None if size is None else {"pk": {"S": "x" * (size - 2)}}

    assert write_units(item(old), item(new), transaction=transaction) == units
