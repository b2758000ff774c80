"""DynamoDB's condition expressions, as far as the reading adapters use them.

Source: DynamoDB API Reference, "Query", and Developer Guide, "Condition and filter expressions, operators, and
functions in DynamoDB". What is not supported raises ExpressionError: no condition may pass unread.
"""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

type Value = Mapping[str, Any]
# Returns an attribute of an item by its name; None if the item has none.
type Attributes = Callable[[str], Value | None]
type Condition = Callable[[Attributes], bool]
type DocumentPath = tuple[str, ...]

# Below and above every sort key that our items have.
LOWEST: Final = ""
HIGHEST: Final = "\U0010ffff"
_TOKEN: Final = re.compile(r"\s*(<=|>=|<>|[=<>(),]|[#:]?\w+)")
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class ExpressionError(ValueError):
    """An expression that is wrong, or that this module does not support."""


def parse_condition(expression: str, names: Mapping[str, str], values: Mapping[str, Value]) -> Condition:
    """Return a key condition or a filter as a function of an item's attributes."""
    return _Parser(expression, names, values).parse()


def parse_projection(expression: str, names: Mapping[str, str]) -> list[DocumentPath]:
    """Return the attributes that a projection returns, as paths: an attribute, or one within a map."""
    return [
        tuple(names[part] if part.startswith("#") else part for part in path.strip().split("."))
        for path in expression.split(",")
    ]


class KeyRange(NamedTuple):
    """The keys that a key condition selects. The sort keys are text, `low` and `high` are included."""

    pk: str
    low: str
    high: str
    # Excluded from the range although they are within it: a bound of < or >.
    without: frozenset[str]


def parse_key_condition(expression: str, names: Mapping[str, str], values: Mapping[str, Value]) -> KeyRange:
    """Return the range that a key condition selects."""
    parser = _Parser(expression, names, values)
    parser.parse()
    pk, low, high, without = None, LOWEST, HIGHEST, set()
    for path, sign, operands in parser.comparisons:
        texts = [str(one["S"]) for one in operands]
        match path, sign:
            case "pk", "=":
                pk = texts[0]
            case "sk", "=":
                low = high = texts[0]
            case "sk", "BETWEEN":
                low, high = texts
            case "sk", "BEGINS_WITH":
                low, high = texts[0], texts[0] + HIGHEST
            case "sk", "<" | "<=":
                high = texts[0]
            case "sk", ">" | ">=":
                low = texts[0]
            case _:
                raise ExpressionError(f"{path} {sign} is no key condition")
        if sign in {"<", ">"}:
            without.add(texts[0])
    if pk is None or not parser.is_conjunction:
        raise ExpressionError("a key condition names one partition key")
    return KeyRange(pk, low, high, frozenset(without))


class _Parser:
    """Recursive descent: OR of ANDs of NOTs of comparisons."""

    def __init__(self, expression: str, names: Mapping[str, str], values: Mapping[str, Value]) -> None:
        self._tokens = _tokens(expression)
        self._names, self._values = names, values
        self._at = 0
        # Every comparison as it was read: the attribute, the sign, what it is compared with.
        self.comparisons: list[tuple[str, str, list[Value]]] = []
        self.is_conjunction = True

    def parse(self) -> Condition:
        condition = self._any()
        if self._next_token() is not None:
            raise ExpressionError(f"{self._next_token()} is not expected")
        return condition

    def _any(self) -> Condition:
        found = [self._all()]
        while self._accepts("OR"):
            self.is_conjunction = False
            found.append(self._all())
        return found[0] if len(found) == 1 else lambda item: any(one(item) for one in found)

    def _all(self) -> Condition:
        found = [self._one()]
        while self._accepts("AND"):
            found.append(self._one())
        return found[0] if len(found) == 1 else lambda item: all(one(item) for one in found)

    def _one(self) -> Condition:
        if self._accepts("NOT"):
            self.is_conjunction = False
            negated = self._one()
            return lambda item: not negated(item)
        if self._accepts("("):
            inner = self._any()
            self._expect(")")
            return inner
        word = self._take()
        return self._function(word) if self._next_token() == "(" else self._comparison(word)

    def _function(self, name: str) -> Condition:
        self._expect("(")
        path = self._name(self._take())
        match name:
            case "attribute_exists" | "attribute_not_exists":
                self._expect(")")
                self.comparisons.append((path, name.upper(), []))
                exists = name == "attribute_exists"
                return lambda item: (item(path) is not None) is exists
            case "begins_with":
                self._expect(",")
                prefix = self._value(self._take())
                self._expect(")")
                self.comparisons.append((path, "BEGINS_WITH", [prefix]))
                return lambda item: (found := item(path)) is not None and str(found["S"]).startswith(prefix["S"])
            case _:
                raise ExpressionError(f"the function {name} is not supported")

    def _comparison(self, word: str) -> Condition:
        path, sign = self._name(word), self._take().upper()
        operands = self._operands(sign)
        self.comparisons.append((path, sign, operands))
        others = [_comparable(one) for one in operands]
        if sign == "BETWEEN":
            low, high = others
            return lambda item: (found := item(path)) is not None and low <= _comparable(found) <= high
        if sign == "IN":
            return lambda item: (found := item(path)) is not None and _comparable(found) in others
        compare, other = _COMPARISONS[sign], others[0]
        return lambda item: (found := item(path)) is not None and compare(_comparable(found), other)

    def _operands(self, sign: str) -> list[Value]:
        if sign == "BETWEEN":
            low = self._value(self._take())
            self._expect("AND")
            return [low, self._value(self._take())]
        if sign == "IN":
            self._expect("(")
            found = [self._value(self._take())]
            while self._accepts(","):
                found.append(self._value(self._take()))
            self._expect(")")
            return found
        if sign not in _COMPARISONS:
            raise ExpressionError(f"{sign} is no comparison")
        return [self._value(self._take())]

    def _name(self, token: str) -> str:
        return self._names[token] if token.startswith("#") else token

    def _value(self, token: str) -> Value:
        if token not in self._values:
            raise ExpressionError(f"{token} is no value")
        return self._values[token]

    def _next_token(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self) -> str:
        token = self._next_token()
        if token is None:
            raise ExpressionError("the expression ends too early")
        self._at += 1
        return token

    def _accepts(self, word: str) -> bool:
        token = self._next_token()
        if token is None or token.upper() != word:
            return False
        self._at += 1
        return True

    def _expect(self, word: str) -> None:
        if not self._accepts(word):
            raise ExpressionError(f"{word} is expected, not {self._next_token()}")


def _tokens(expression: str) -> list[str]:
    found, at = [], 0
    expression = expression.strip()
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        if match is None:
            raise ExpressionError(f"{expression[at:]} is not supported")
        found.append(match[1])
        at = match.end()
    return found


def _comparable(value: Value) -> tuple[str, Any]:
    """Return a value that compares as DynamoDB compares it: text by its UTF-8 bytes, never with a number."""
    ((kind, content),) = value.items()
    match kind:
        case "S":
            return kind, content.encode()
        case "N":
            return kind, int(content)
        case _:
            return kind, content
