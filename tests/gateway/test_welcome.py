"""Welcomes are put together from parts; what comes out is one message like any other."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from server.eventlog.recovery import Look, Own
from server.gateway.welcome import Welcome
from server.protocol.codec import Codec, pack, unpack_event

SNAPSHOT: dict[str, Any] = {"show": {"id": "sh_1"}, "drops": [{"id": "dr_1"}], "pinned": [], "viewers": 3}
OWN: list[dict[str, Any]] = [{"id": "rs_1", "quantity": 2, "expires_at": 1_700_000_000_123}]
WAITS: list[dict[str, Any]] = [{"drop": "dr_1", "position": 3, "quantity": 1}]


def look(snapshot: dict[str, Any] | None) -> Look:
    """Return a look at a show."""
    return Look(epoch="e", offset=41, server_time_at=1_700_000_000_000, stocks=[], snapshot=snapshot)


def decoded(codec: Codec, data: bytes) -> dict[str, Any]:
    """Return the message, read strictly: nothing may follow it."""
    told: dict[str, Any] = unpack_event(data) if codec is Codec.MSGPACK else msgspec.json.decode(data)
    assert told.pop("session").startswith("ws_")
    return told


@pytest.mark.parametrize("codec", list(Codec))
@pytest.mark.parametrize(("own", "waits"), [([], []), (OWN, []), (OWN, WAITS)])
def test_the_welcome_of_somebody_new(
    codec: Codec, own: list[dict[str, Any]], waits: list[dict[str, Any]]
) -> None:
    """The shared picture, the viewer's own reservations and places in queues make one snapshot."""
    data = Welcome(look(SNAPSHOT)).with_snapshot(codec, "ann", Own(pack(own), pack(waits)))
    assert decoded(codec, data) == {
        "type": "welcome",
        "viewer": "ann",
        "epoch": "e",
        "offset": 41,
        "server_time_at": 1_700_000_000_000,
        "recovered": False,
        "snapshot": {**SNAPSHOT, "reservations": own, "waitlist": waits},
    }


@pytest.mark.parametrize("codec", list(Codec))
def test_the_welcome_of_somebody_who_returned(codec: Codec) -> None:
    """The place is the one up to which the missed events follow."""
    data = Welcome(look(None)).with_missed(codec, "ann", 44, 3, Own(pack(OWN), pack(WAITS)))
    assert decoded(codec, data) == {
        "type": "welcome",
        "viewer": "ann",
        "epoch": "e",
        "offset": 44,
        "server_time_at": 1_700_000_000_000,
        "recovered": True,
        "missed": 3,
        "reservations": OWN,
        "waitlist": WAITS,
    }


def test_the_shared_part_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand joiners of one moment cost one encoding of the picture; nobody gets what is another's."""
    times = []
    encode = Codec.MSGPACK.encode

    def counted(message: dict[str, Any]) -> bytes:
        if "drops" in message:
            times.append(message)
        return encode(message)

    monkeypatch.setattr(Codec.MSGPACK, "encode", counted)
    welcome = Welcome(look(SNAPSHOT))
    for number in range(1000):
        own = [{"id": f"rs_{number}"}]
        data = welcome.with_snapshot(Codec.MSGPACK, f"v{number}", Own(pack(own), pack([])))
        assert decoded(Codec.MSGPACK, data)["snapshot"]["reservations"] == own
    assert len(times) == 1
