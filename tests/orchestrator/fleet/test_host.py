"""What was sent to a machine is kept within a bound, and never dropped while an order uses it."""

import json
import os
import time
from collections import namedtuple
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.fleet.host import UNUSED_S, Host
from orchestrator.fleet.order import Answer, Order, this_build
from orchestrator.fleet.parcels import Fetch, cached, parcel_of, unpacked
from orchestrator.fleet.worker import answered

SENT = {"old": b"a" * 100, "older": b"b" * 100, "new": b"c" * 100, "seed": b"d" * 100}
OF = {"new": ("new",), "old": ("old",), "older": ("older", "old")}


def _reader(files: Mapping[str, Path]) -> Fetch:
    return lambda sha256: files[sha256].read_bytes()


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A machine to which three folders were sent, and a file of a run, two of them long ago."""
    monkeypatch.setenv("SPLITBED_CACHE", str(tmp_path / "cache"))
    host = Host.here()
    for age, (name, files) in enumerate(OF.items()):
        (folder := tmp_path / name).mkdir()
        for file in files:
            (folder / file).write_bytes(SENT[file])
        parcel, sources = parcel_of(folder)
        whole = unpacked(parcel, host.folder, _reader(sources)).parent
        then_s = time.time() - age * (UNUSED_S + 1)
        for one in (*whole.rglob("*"), whole):
            os.utime(one, (then_s, then_s))
    (seed := tmp_path / "seed").write_bytes(SENT["seed"])
    (blob,) = parcel_of(seed)[0].files.values()
    cached(blob, host.folder, lambda _: seed.read_bytes())
    return host


def kept(host: Host) -> set[str]:
    names = {content: name for name, content in SENT.items()}
    return {names[file.read_bytes()] for file in (host.folder / "files").iterdir()}


def test_the_longest_unused_go_until_what_is_kept_is_within_the_bound(host: Host) -> None:
    host.prune(400)
    assert kept(host) == {*SENT}
    host.prune(300)
    assert kept(host) == {"old", "new", "seed"}  # of which the older folder had a copy, too
    host.prune(0)
    assert kept(host) == {"new", "seed"}  # they were used within a day
    assert {one.name for one in (host.folder / "parcels").glob("*/*")} == {"new"}


def test_nothing_goes_that_an_order_may_use(host: Host) -> None:
    with host.using():
        host.prune(0)
        assert kept(host) == {*SENT}
    host.prune(0)
    assert kept(host) == {"new", "seed"}


def test_what_nobody_uses_makes_room_for_an_order(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "free")
    full = {"old", "older"}
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(5e8 if kept(host) & full else 5e9))
    asked = {"model": "shapesnet"}
    order = Order(key="k", words="8 Mbit/s", build=this_build(), asked=asked, looks=True)
    answer = Answer.from_json(answered(json.dumps(order.plain()).encode(), lambda _: b"")[0])
    assert answer.unfit == ()
