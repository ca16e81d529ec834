"""Reads one user's export, record by record, in the memory of one record.

- Every leaf comes out exactly once. What a source of the charter matches is a record of its dataset; whatever none
  matches goes, leaf by leaf, to the catch-all dataset as {"path": pointer, "value": value}.
- `null` and `[]` where a source expects records, and `null`, `{}` and `[]` above one, say that there is nothing: they
  give no record, except below a key that is data itself ("*"), where they go to the catch-all.
- A number stays what it was: an integer an `int`, any other a `float`. A number that neither 64 bits nor a float hold
  exactly is kept as its decimal text; one that a float cannot hold at all (1e999) is refused.
- Names occurring twice in one object, NaN, half surrogate pairs, bytes that are not UTF-8, too deep or too long
  values, anything after the end and an early end are refused.
- Nothing is skipped or repaired. An error rises in the middle of the iteration, after records were given: who stores
  them must hold a user's records back until the export has ended.
- A message never holds a value. Its place does hold keys, which in a dynamic object are data: it is for operators.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, Final, NamedTuple

import ijson
from ijson.backends import yajl2_c

from ringfence.core.charter import Dataset
from ringfence.core.charter.catalog import SourceMatcher, SourceNode
from ringfence.core.errors import InvalidInputError
from ringfence.legacy.checked_stream import ByteStream, CheckedStream
from ringfence.legacy.limits import DEFAULT_LIMITS, MEBIBYTE, ReadLimits

Json = Any  # what JSON can say: null, a truth value, a number, text, a list or an object of these

INTEGER_MIN: Final = -(1 << 63)
INTEGER_MAX: Final = (1 << 64) - 1
KEY_OVERHEAD: Final = 64
POINTERS_SIZE_MAX: Final = 2 * MEBIBYTE
"""Characters of the pointers of items that are held together: long keys around many values would make them endless."""
_PLACE_CHARACTERS_MAX: Final = 500
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_PARSER_ERRORS: Final = (InvalidInputError, ijson.JSONError, ValueError, ArithmeticError, OSError)


class Item(NamedTuple):
    """One record of an export.

    Attributes:
        dataset: a dataset of the charter.
        record: fields and values, as they were.
        pointer: RFC 6901 pointer of where it was in the export.
    """

    dataset: str
    record: dict[str, Json]
    pointer: str


class Items(NamedTuple):
    """Records of one export that stand together: those of a list, or a single one.

    Attributes:
        dataset: a dataset of the charter.
        records: see `Item`.
        pointer: of the list, or of the single record.
        is_list: which of the two it is.
    """

    dataset: str
    records: list[dict[str, Json]]
    pointer: str
    is_list: bool

    def pointer_of(self, place: int) -> str:
        """Give the pointer of one of the records."""
        return f"{self.pointer}/{place}" if self.is_list else self.pointer

    def each(self) -> Iterator[Item]:
        """Give the records one by one."""
        for place, record in enumerate(self.records):
            yield Item(self.dataset, record, self.pointer_of(place))


def gather_items(items: Iterable[Item], *, position: Callable[[], int]) -> Iterator[list[Items]]:
    """Give items in lists, each of what one block of the stream held, or less where their pointers are long.

    Where the export turns out to be broken, what stood before the fault is given first: it may hold another one.

    Args:
        items: of an export that is being read.
        position: says how many bytes of it were read.

    Raises:
        InvalidInputError: as the items do.
    """
    gathered: list[Items] = []
    start, pointers_size = position(), 0
    fault: InvalidInputError | None = None
    try:
        for item in items:
            if gathered and (position() != start or pointers_size > POINTERS_SIZE_MAX):
                yield gathered
                gathered = []
                start, pointers_size = position(), 0
            gathered.append(Items(item.dataset, [item.record], item.pointer, is_list=False))
            pointers_size += len(item.pointer)
    except InvalidInputError as error:
        fault = error
    if gathered:
        yield gathered
    if fault is not None:
        raise fault


def read_export(
    stream: ByteStream, *, name: str, matcher: SourceMatcher, limits: ReadLimits = DEFAULT_LIMITS
) -> Iterator[Item]:
    """Give the records of one export in the order of the file.

    Args:
        stream: the JSON text, UTF-8; read once, in blocks, and not closed.
        name: what errors call the export.
        matcher: says which paths of keys are which dataset.
        limits: sizes that are taken.

    Raises:
        InvalidInputError: the export is not what it should be; its place is `NAME#/json/pointer`, at the value that
            was being read. Records given before it must not be stored.
    """
    checked = CheckedStream(stream, limits=limits)
    reader = _ExportReader(checked, matcher=matcher, limits=limits)
    try:
        yield from reader.read()
    except _PARSER_ERRORS as error:
        pointer = _printable(reader.error_pointer())
        message = _describe(error)
    else:
        return
    # Outside of the handler: the parser's own words quote the text around the fault, and must not be chained.
    raise InvalidInputError(message, place=f"{name}#{pointer}")


class _ExportReader:
    """The walk over one export's events: `_walk...` outside of any record, `_take...` at one, `_object` inside."""

    def __init__(self, stream: CheckedStream, *, matcher: SourceMatcher, limits: ReadLimits) -> None:
        self._stream = stream
        self._events: Iterator[tuple[str, Json]] = yajl2_c.basic_parse(stream, buf_size=limits.block_size_bytes)
        self._root = matcher.root
        self._catch_all = matcher.catch_all.name
        self._limits = limits
        self._pointer = ""  # of the value being read, down to a record
        self._inside: list[str] = []  # from there to the fault, innermost first
        self._containers = 0  # in the record being read
        self._string_characters_max = limits.string_characters_max
        self._open_keys_size = 0

    def error_pointer(self) -> str:
        """Give the pointer of the value that was being read when an error rose."""
        return self._pointer + "".join("/" + escape_key(key) for key in reversed(self._inside))

    def read(self) -> Iterator[Item]:
        """Give every record; one JSON value is expected and nothing after it."""
        event, value = next(self._events)
        yield from self._walk(self._root, event, value, pointer="", depth=0, wild_key=None)
        for _ in self._events:  # the parser itself refuses what follows the end
            raise InvalidInputError("found a second value; expected the end")

    # -- outside of any record ----------------------------------------------------------------------------------------

    def _walk(
        self, node: SourceNode | None, event: str, value: Json, *, pointer: str, depth: int, wild_key: str | None
    ) -> Iterator[Item]:
        """Read one value at a node of the charter's sources; None: no source goes there."""
        dataset = None if node is None else node.dataset
        if dataset is not None:
            yield from self._take(dataset, event, value, pointer=pointer, depth=depth, wild_key=wild_key)
        elif event == "start_map":
            yield from self._walk_object(node, pointer=pointer, depth=depth + 1, wild_key=wild_key)
        elif event == "start_array":
            yield from self._walk_list(node, pointer=pointer, depth=depth + 1, wild_key=wild_key)
        elif event != "null" or node is None or wild_key is not None:
            yield self._leaf(self._scalar(value), pointer)

    def _walk_object(
        self, node: SourceNode | None, *, pointer: str, depth: int, wild_key: str | None
    ) -> Iterator[Item]:
        self._check_depth(depth)
        keys: set[str] = set()
        open_keys_size = self._open_keys_size
        for event, key in self._events:
            if event == "end_map":
                break
            child_pointer = self._pointer = f"{pointer}/{escape_key(key)}"
            self._hold_key(key, keys)
            child, child_wild_key = None, wild_key
            if node is not None:
                child = node.children.get(key)
                if child is None and node.any_child is not None:
                    child, child_wild_key = node.any_child, key
            event, value = next(self._events)
            yield from self._walk(child, event, value, pointer=child_pointer, depth=depth, wild_key=child_wild_key)
            self._begin_record()
        self._pointer = pointer
        self._open_keys_size = open_keys_size
        if not keys and (node is None or wild_key is not None):
            yield self._leaf({}, pointer)

    def _walk_list(self, node: SourceNode | None, *, pointer: str, depth: int, wild_key: str | None) -> Iterator[Item]:
        self._check_depth(depth)
        index = 0
        here = self._pointer = f"{pointer}/0"
        for event, value in self._events:
            if event == "end_array":
                break
            yield from self._walk(None, event, value, pointer=here, depth=depth, wild_key=None)
            self._begin_record()
            index += 1
            here = self._pointer = f"{pointer}/{index}"
        self._pointer = pointer
        if not index and (node is None or wild_key is not None):
            yield self._leaf([], pointer)

    def _leaf(self, value: Json, pointer: str) -> Item:
        return Item(self._catch_all, {"path": pointer, "value": value}, pointer)

    def _hold_key(self, key: str, keys: set[str]) -> None:
        """Remember a key for as long as its object is open, within what open objects may hold."""
        if key in keys:
            raise InvalidInputError("found a name twice in one object; expected each once")
        keys.add(key)
        self._open_keys_size += len(key) + KEY_OVERHEAD
        if self._open_keys_size > self._limits.open_keys_size_max:
            raise InvalidInputError(
                f"found over {self._limits.open_keys_size_max} characters of names around one record; expected fewer"
            )

    # -- at a record --------------------------------------------------------------------------------------------------

    def _take(
        self, dataset: Dataset, event: str, value: Json, *, pointer: str, depth: int, wild_key: str | None
    ) -> Iterator[Item]:
        """Read the value that a source ends at."""
        if event == "start_array" and dataset.records_many:
            yield from self._take_list(dataset, pointer=pointer, depth=depth + 1, wild_key=wild_key)
            return
        value = self._value(event, value, depth)
        self._begin_record()
        if value is None or value == []:
            if wild_key is not None:
                yield self._leaf(value, pointer)
            return
        record = value if type(value) is dict else {"value": value}
        if wild_key is not None:
            yield from self._keep_key(record, dataset.key_field, wild_key, pointer)
        yield Item(dataset.name, record, pointer)

    def _take_list(self, dataset: Dataset, *, pointer: str, depth: int, wild_key: str | None) -> Iterator[Item]:
        """Read a list of records: where nearly all of an export's bytes are."""
        self._check_depth(depth)
        name, key_field = dataset.name, dataset.key_field
        index = 0
        self._pointer = f"{pointer}/0"
        for event, value in self._events:
            if event == "start_map":
                record = self._object(depth + 1)
            elif event == "end_array":
                break
            else:
                record = {"value": self._value(event, value, depth)}
            self._begin_record()
            here = self._pointer
            if wild_key is not None:
                yield from self._keep_key(record, key_field, wild_key, here)
            yield Item(name, record, here)
            index += 1
            self._pointer = f"{pointer}/{index}"
        self._pointer = pointer
        if not index and wild_key is not None:
            yield self._leaf([], pointer)

    def _keep_key(self, record: dict[str, Json], key_field: str, wild_key: str, pointer: str) -> Iterator[Item]:
        """Put the dynamic key into the record; a field of the same name goes to the catch-all and is not lost."""
        if key_field in record:
            yield self._leaf(record[key_field], f"{pointer}/{escape_key(key_field)}")
        record[key_field] = wild_key

    def _begin_record(self) -> None:
        """Count sizes anew: what was read so far is no longer held."""
        self._containers = 0
        self._stream.mark = self._stream.position

    # -- inside a record ----------------------------------------------------------------------------------------------

    def _object(self, depth: int) -> dict[str, Json]:
        """Read an object of a record, after its start."""
        self._check_container(depth)
        events, string_characters_max = self._events, self._string_characters_max
        record: dict[str, Json] = {}
        key: str | None = None
        try:
            for event, key in events:
                if event == "end_map":
                    return record
                if key in record:
                    raise InvalidInputError("found a name twice in one object; expected each once")
                event, value = next(events)
                if event == "string" and len(value) <= string_characters_max:
                    record[key] = value
                else:
                    record[key] = self._value(event, value, depth)
        except _PARSER_ERRORS:
            if key is not None:
                self._inside.append(key)
            raise
        raise InvalidInputError("found the end inside an object; expected the rest of it")

    def _list(self, depth: int) -> list[Json]:
        """Read a list of a record, after its start."""
        self._check_container(depth)
        elements: list[Json] = []
        try:
            for event, value in self._events:
                if event == "end_array":
                    return elements
                elements.append(self._value(event, value, depth))
        except _PARSER_ERRORS:
            self._inside.append(str(len(elements)))
            raise
        raise InvalidInputError("found the end inside a list; expected the rest of it")

    def _value(self, event: str, value: Json, depth: int) -> Json:
        """Read a value of a record, after its first event; `depth` is that of what it is in."""
        if event == "start_map":
            return self._object(depth + 1)
        if event == "start_array":
            return self._list(depth + 1)
        return self._scalar(value)

    def _scalar(self, value: Json) -> Json:
        kind = type(value)
        if kind is int or kind is Decimal:
            return exact_number(value, characters_max=self._limits.number_characters_max)
        if kind is str and len(value) > self._string_characters_max:
            raise InvalidInputError(
                f"found over {self._string_characters_max} characters in one string; expected fewer"
            )
        return value

    def _check_container(self, depth: int) -> None:
        self._containers += 1
        if self._containers > self._limits.record_containers_max:
            raise InvalidInputError(
                f"found over {self._limits.record_containers_max} objects and lists in one record; expected fewer"
            )
        self._check_depth(depth)

    def _check_depth(self, depth: int) -> None:
        if depth > self._limits.depth_max:
            raise InvalidInputError(f"found over {self._limits.depth_max} levels inside each other; expected fewer")


def exact_number(number: int | Decimal, *, characters_max: int) -> int | float | str:
    """Give the number as an integer of 64 bits or a float that says exactly the same, else as its decimal text."""
    if isinstance(number, int):
        if INTEGER_MIN <= number <= INTEGER_MAX:
            return number
    else:
        nearest = float(number)
        if math.isinf(nearest) or (nearest == 0.0 and number != 0):
            raise InvalidInputError("found a number beyond what a float holds; expected at most 1.8e308 in size")
        if Decimal(repr(nearest)) == number:
            return nearest
    text = str(number)
    if len(text) > characters_max:
        raise InvalidInputError(f"found a number of over {characters_max} characters; expected fewer")
    return text


def _describe(error: Exception) -> str:
    """Say what was found without a word of the content: the parser's messages quote it after their first line."""
    if isinstance(error, InvalidInputError):
        return error.message
    if isinstance(error, OSError):
        return (
            f"found that the rest cannot be read ({error.strerror or type(error).__name__}); expected a readable file"
        )
    if isinstance(error, UnicodeDecodeError):
        return "found bytes that are not UTF-8; expected JSON in UTF-8"
    if isinstance(error, ijson.JSONError):
        words = error.args[0] if error.args else ""
        words = words.decode("ascii", "replace") if isinstance(words, bytes) else str(words)
        first_line = words.splitlines()[0] if words else "parse error"
        return f"found what is not JSON ({first_line.rstrip('.')}); expected JSON"
    return "found a number that cannot be represented; expected one with fewer digits"


def escape_key(key: str) -> str:
    """Escape a key for a JSON pointer (RFC 6901)."""
    if "~" in key or "/" in key:
        return key.replace("~", "~0").replace("/", "~1")
    return key


def _printable(pointer: str) -> str:
    """Make a pointer safe to print: no control characters, and not endless."""
    pointer = _UNPRINTABLE.sub(lambda found: f"\\u{ord(found.group()):04x}", pointer)
    if len(pointer) > _PLACE_CHARACTERS_MAX:
        return pointer[:_PLACE_CHARACTERS_MAX] + "..."
    return pointer
