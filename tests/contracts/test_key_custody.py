"""What `ports.KeyCustody` guarantees, on every device; and the files of the software one."""

from __future__ import annotations

import hmac
import os
import stat
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringfence.core.envelope import WrappedKey
from ringfence.core.errors import ConfigurationError, IntegrityError
from ringfence.core.key_custody import KeyCustody
from ringfence.keys.files import erase_key_file, read_key_file, write_key_file
from ringfence.keys.software import KeyedHash, create_custody, open_custody
from ringfence.services.custody.record_keys import blind_record, blind_records
from tests.core.mutation import mutated

ALICE, BOB = b"alice-----------", b"bob-------------"
DATA_KEY = bytes(range(32))
OPENINGS = b"openings of a batch " * 30


def changed(original: bytes) -> st.SearchStrategy[bytes]:
    """Give bytes that are anything near the original but it."""
    return mutated(original).filter(lambda data: data != original)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory of keys for the classes `protected` and `public`."""
    path = tmp_path / "keys"
    create_custody(path, jurisdiction="US", classes=["protected", "public"])
    return path


@pytest.fixture(params=["software"])
def custody(request: pytest.FixtureRequest, directory: Path) -> KeyCustody:
    """Key custody of each device in turn."""
    return {"software": open_custody}[request.param](directory)


def test_data_key_is_unwrapped_as_it_was_wrapped(custody: KeyCustody) -> None:
    row = custody.wrap(data_class="protected", subject_ref=ALICE, data_key=DATA_KEY)
    assert (row.subject_ref, row.data_class, row.key_epoch) == (ALICE, "protected", 1)
    assert DATA_KEY not in row.key.wrapped + row.key.commitment
    assert custody.unwrap(row) == DATA_KEY


def test_same_data_key_is_wrapped_differently_each_time(custody: KeyCustody) -> None:
    rows = [custody.wrap(data_class="protected", subject_ref=ALICE, data_key=DATA_KEY) for _ in range(3)]
    assert len({row.key.wrapped for row in rows}) == 3
    assert {custody.unwrap(row) for row in rows} == {DATA_KEY}


def test_wrapped_key_opens_for_its_own_subject_and_class_alone(custody: KeyCustody) -> None:
    row = custody.wrap(data_class="protected", subject_ref=ALICE, data_key=DATA_KEY)
    for moved in (row._replace(subject_ref=BOB), row._replace(data_class="public")):
        with pytest.raises(IntegrityError):
            custody.unwrap(moved)
    assert custody.unwrap(row) == DATA_KEY


def test_two_subjects_wrapped_keys_cannot_be_swapped(custody: KeyCustody) -> None:
    alice = custody.wrap(data_class="protected", subject_ref=ALICE, data_key=DATA_KEY)
    bob = custody.wrap(data_class="protected", subject_ref=BOB, data_key=DATA_KEY)
    for swapped in (alice._replace(key=bob.key), alice._replace(key=WrappedKey(alice.key.wrapped, bytes(32)))):
        with pytest.raises(IntegrityError):
            custody.unwrap(swapped)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_wrapped_key_never_opens(custody: KeyCustody, data: st.DataObject) -> None:
    row = custody.wrap(data_class="protected", subject_ref=ALICE, data_key=DATA_KEY)
    wrapped, commitment = data.draw(
        st.one_of(
            st.tuples(changed(row.key.wrapped), st.just(row.key.commitment)),
            st.tuples(st.just(row.key.wrapped), changed(row.key.commitment)),
        )
    )
    with pytest.raises(IntegrityError):
        custody.unwrap(row._replace(key=WrappedKey(wrapped, commitment)))


def test_class_without_a_key_is_a_setting(custody: KeyCustody) -> None:
    row = custody.wrap(data_class="protected", subject_ref=ALICE, data_key=DATA_KEY)
    with pytest.raises(ConfigurationError, match="aggregate"):
        custody.wrap(data_class="aggregate", subject_ref=ALICE, data_key=DATA_KEY)
    for unknown in (row._replace(data_class="aggregate"), row._replace(key_epoch=2)):
        with pytest.raises(ConfigurationError):
            custody.unwrap(unknown)


def test_index_is_the_same_for_the_same_label_and_value_alone(custody: KeyCustody, directory: Path) -> None:
    index = custody.index("user", b"alice")
    assert len(index) == 16
    assert custody.index("user", b"alice") == open_custody(directory).index("user", b"alice") == index
    others = [custody.index("record", b"alice"), custody.index("user", b"bob"), custody.index("usera", b"lice")]
    assert len({index, *others}) == 4


def test_many_names_are_blinded_as_each_alone_is(custody: KeyCustody) -> None:
    names, datasets = ["self", "0a", "", "\u00e9"], ["posts", "posts", "watched", "posts"]
    alone = [blind_record(custody, dataset, b"s" * 16, name) for dataset, name in zip(datasets, names, strict=True)]
    assert blind_records(custody, datasets, b"s" * 16, names) == alone
    others = [blind_record(custody, "posts", b"t" * 16, "self"), blind_record(custody, "post", b"s" * 16, "self")]
    assert len({*alone, *others}) == 6
    assert custody.indexes("user", [b"alice", b"bob"]) == [
        custody.index("user", b"alice"),
        custody.index("user", b"bob"),
    ]


@given(st.binary(max_size=64), st.lists(st.binary(max_size=200), max_size=3))
def test_kept_state_of_a_code_gives_what_the_key_gives_each_time(key: bytes, values: list[bytes]) -> None:
    code = KeyedHash(key)
    assert [code.digest(value) for value in values] == [hmac.digest(key, value, "sha256") for value in values]


def test_code_under_a_key_longer_than_a_block_is_refused() -> None:
    assert len(KeyedHash(bytes(64)).digest(b"")) == 32
    with pytest.raises(ValueError, match="at most 64 bytes"):
        KeyedHash(bytes(65))


def test_index_needs_the_secret(custody: KeyCustody, tmp_path: Path) -> None:
    create_custody(tmp_path / "other", jurisdiction="US", classes=["protected"])
    assert open_custody(tmp_path / "other").index("user", b"alice") != custody.index("user", b"alice")


def test_openings_open_for_their_own_batch_alone(custody: KeyCustody) -> None:
    sealed = custody.seal_detail(lane=1, n=7, plaintext=OPENINGS)
    assert OPENINGS[:20] not in sealed
    assert custody.open_detail(lane=1, n=7, sealed=sealed) == OPENINGS
    for lane, n in ((1, 8), (2, 7), (17, 0)):
        with pytest.raises(IntegrityError):
            custody.open_detail(lane=lane, n=n, sealed=sealed)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_changed_openings_never_open(custody: KeyCustody, data: st.DataObject) -> None:
    sealed = custody.seal_detail(lane=1, n=7, plaintext=OPENINGS)
    with pytest.raises(IntegrityError):
        custody.open_detail(lane=1, n=7, sealed=data.draw(changed(sealed)))


# --- files -----------------------------------------------------------------------------------------------------------


def test_keys_are_the_same_after_opening_again(custody: KeyCustody, directory: Path) -> None:
    row = custody.wrap(data_class="public", subject_ref=ALICE, data_key=DATA_KEY)
    again = open_custody(directory)
    assert again.jurisdiction == custody.jurisdiction == "US"
    assert again.unwrap(row) == DATA_KEY
    detail = custody.seal_detail(lane=1, n=1, plaintext=OPENINGS)
    assert again.open_detail(lane=1, n=1, sealed=detail) == OPENINGS


def test_key_of_another_jurisdiction_does_not_unwrap(custody: KeyCustody, directory: Path) -> None:
    row = custody.wrap(data_class="protected", subject_ref=ALICE, data_key=DATA_KEY)
    (directory / "jurisdiction").write_bytes(b"DE")
    with pytest.raises(IntegrityError):
        open_custody(directory).unwrap(row)


def test_newest_key_epoch_wraps_and_older_ones_still_unwrap_while_their_keys_are_there(directory: Path) -> None:
    old = open_custody(directory).wrap(data_class="protected", subject_ref=ALICE, data_key=DATA_KEY)
    write_key_file(directory / "protected.2.kek", DATA_KEY)
    custody = open_custody(directory)
    new = custody.wrap(data_class="protected", subject_ref=ALICE, data_key=DATA_KEY)
    assert (old.key_epoch, new.key_epoch) == (1, 2)
    assert custody.unwrap(old) == custody.unwrap(new) == DATA_KEY
    erase_key_file(directory / "protected.1.kek")
    custody = open_custody(directory)
    assert custody.unwrap(new) == DATA_KEY
    with pytest.raises(ConfigurationError, match="key epoch 1"):
        custody.unwrap(old)


def test_erased_key_file_is_overwritten_first(tmp_path: Path) -> None:
    path, link = tmp_path / "old.key", tmp_path / "the same file by another name"
    write_key_file(path, DATA_KEY)
    os.link(path, link)
    erase_key_file(path)
    assert not path.exists()
    assert link.read_bytes() == bytes(32)


def test_keys_are_made_once(directory: Path) -> None:
    before = (directory / "protected.1.kek").read_bytes()
    with pytest.raises(ConfigurationError):
        create_custody(directory, jurisdiction="US", classes=["protected"])
    assert (directory / "protected.1.kek").read_bytes() == before


@pytest.mark.parametrize("data_class", ["../escaped", "Upper", ""])
def test_class_that_names_no_file_is_refused(tmp_path: Path, data_class: str) -> None:
    with pytest.raises(ConfigurationError):
        create_custody(tmp_path / "new", jurisdiction="US", classes=["protected", data_class])
    assert [*tmp_path.rglob("*")] == []


def test_files_can_be_read_by_their_owner_alone(directory: Path) -> None:
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.parametrize("name", ["protected.1.kek", "index.key", "detail.key", "jurisdiction"])
@pytest.mark.parametrize("fault", ["truncated", "longer", "readable by others", "missing"])
def test_spoiled_file_is_named_with_the_way_out(directory: Path, name: str, fault: str) -> None:
    open_custody(directory)
    path = directory / name
    content = path.read_bytes()
    if fault == "truncated":
        path.write_bytes(content[:-1])
    elif fault == "longer":
        path.write_bytes(content + b"\n")
    elif fault == "readable by others":
        path.chmod(0o640)
    else:
        path.unlink()
    if (name, fault) == ("protected.1.kek", "missing"):  # other classes' keys are there: told when it is needed
        with pytest.raises(ConfigurationError) as caught:
            open_custody(directory).wrap(data_class="protected", subject_ref=ALICE, data_key=DATA_KEY)
    else:
        with pytest.raises(ConfigurationError) as caught:
            open_custody(directory)
        assert name in caught.value.message
    assert caught.value.hint


def test_directory_without_keys_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ConfigurationError) as caught:
            open_custody(path)
        assert "ringfence init" in caught.value.hint


def test_key_file_is_never_overwritten_nor_read_through_a_folder(tmp_path: Path) -> None:
    path = tmp_path / "some.key"
    write_key_file(path, DATA_KEY)
    with pytest.raises(ConfigurationError, match="already"):
        write_key_file(path, bytes(32))
    assert read_key_file(path) == DATA_KEY
    with pytest.raises(ConfigurationError):
        read_key_file(tmp_path)
    with pytest.raises(ConfigurationError):
        erase_key_file(tmp_path / "nowhere.key")
