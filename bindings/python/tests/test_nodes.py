"""Nodes, volumes, peers and policies."""

from __future__ import annotations

import io
import socket
import threading
from typing import Any, Dict, Iterator, List, Tuple

import pytest

import zfsvol
from zfsvol import Node, Peer, Policy, Transport

HERE = "11111111-1111-4111-8111-111111111111"
THERE = "22222222-2222-4222-8222-222222222222"


def machine(id: str, **options: Any) -> Node:
    with zfsvol.open("embedded:") as zfs:
        return Node(zfs, "tank/zfsvol", id, **options)


@pytest.fixture
def nodes() -> Iterator[Tuple[Node, Node]]:
    with machine(HERE) as here, machine(THERE) as there:
        yield here, there


def test_volumes_live_on_a_node() -> None:
    events: List[Dict[str, Any]] = []
    with machine(HERE, on_event=events.append) as node:
        assert node.info() == {"id": HERE, "root": "tank/zfsvol"}
        db = node.create("db", size=8 << 20, sparse=True, properties={"compression": "lz4"})
        files = node.create("ns:files", quota=1 << 30)
        assert [volume.name for volume in node] == ["db", "ns:files"] and node.damaged() == []
        assert (db.info()["size"], files.info()["quota"]) == (8 << 20, 1 << 30)
        db.snapshot("a")
        db.snapshot("b")
        copy = db.clone("copy", "a")
        assert [one["name"] for one in db.snapshots()] == ["a", "b"] and copy.exists()
        with pytest.raises(zfsvol.BusyError):
            db.rollback("a")
        db.rollback("b")
        files.snapshot("x")
        files.snapshot("y")
        assert files.retain(last=1)["destroyed"] == ["x"]
        db.resize(16 << 20)
        moved = files.rename("ns:moved")
        assert moved.dataset().startswith("tank/zfsvol/") and not files.exists()
        moved.destroy_snapshots(["y"])
        assert moved.destroy() and not moved.destroy()
        with pytest.raises(zfsvol.NotFoundError, match="no such volume"):
            moved.info()
        with node.zfs() as zfs:
            assert zfs.datasets.exists(db.dataset())
        with pytest.raises(zfsvol.ExistsError):
            node.create("db")
    assert [event["kind"] for event in events][:2] == ["created", "created"] and events[-1]["kind"] == "destroyed"


def test_many_volumes_at_once(nodes: Tuple[Node, Node]) -> None:
    node, _ = nodes
    with zfsvol.Key.raw(b"k" * 32) as key:
        made = node.create_many({"a": None, "b": zfsvol.Spec(size=1 << 20), "c": zfsvol.Spec(key=key)})
    assert [(one.name, one.error) for one in made] == [("a", None), ("b", None), ("c", None)] and made[1].result["size"] == 1 << 20
    again = node.create_many({"a": None, "d": None})
    assert isinstance(again[0].error, zfsvol.ExistsError) and again[1].error is None
    assert [one.error for one in node.snapshot_many(["a", "b"], "s")] == [None, None]
    assert [one.error for one in node.clone_many([("a", "s", "e"), ("b", None, "f")])] == [None, None]
    assert [one.result for one in node.destroy_many(["e", "f", "none"])] == [True, True, False]


def test_volume_moves_and_has_one_owner(nodes: Tuple[Node, Node]) -> None:
    here, there = nodes
    db = here.create("db", size=8 << 20, sparse=True)
    with db.device(writable=True) as device:
        device.write(0, b"hello")
        device.flush()
    with Peer.local(there) as peer, zfsvol.Bandwidth(1 << 30) as limit:
        assert peer.id() == THERE
        assert db.push(peer, bandwidth=limit).wait(30)["bytes"] > 0
        assert there.volume("db").info()["state"] == "replica"
        with pytest.raises(zfsvol.NotOwnerError):
            there.volume("db").snapshot("mine")
        db.handoff(peer).wait(30)
        assert (db.info()["state"], there.volume("db").info()["state"]) == ("replica", "owned")
        with pytest.raises(zfsvol.NotOwnerError):
            db.push(peer).wait(30)
        assert db.recover(peer).wait(30)["outcome"] == "nothing"
    with there.volume("db").device() as device:
        assert device.read(0, 5) == b"hello"
    assert db.takeover()["owner"] == HERE


def test_replica_is_destroyed_and_made_anew(nodes: Tuple[Node, Node]) -> None:
    here, there = nodes
    db, replica = here.create("db", size=8 << 20, sparse=True), there.volume("db")
    with db.device(writable=True) as device:
        device.write(0, b"hello")
        device.flush()
    assert not replica.destroy_replica()
    with Peer.local(there) as peer:
        for _ in range(2):
            db.push(peer).wait(30)
            with replica.device() as device:
                assert device.read(0, 5) == b"hello"
            assert replica.destroy_replica()
            assert there.list() == []
    with pytest.raises(zfsvol.InvalidError, match="this node has it"):
        db.destroy_replica()


def test_device_of_a_volume_has_a_path(nodes: Tuple[Node, Node]) -> None:
    here, there = nodes
    db, files = here.create("db", size=8 << 20, sparse=True), here.create("files")
    with pytest.raises(zfsvol.NotFoundError, match="nothing of it in /dev"):
        db.device_path()
    with pytest.raises(zfsvol.WrongTypeError):
        files.device_path()
    with Peer.local(there) as peer:
        db.push(peer).wait(30)
    with pytest.raises(zfsvol.NotOwnerError):
        there.volume("db").device_path(timeout=0)


@pytest.mark.parametrize("kind", ["pair", "socket", "files"])
def test_peer_is_reached_over_any_transport(nodes: Tuple[Node, Node], kind: str) -> None:
    here, there = nodes
    db = here.create("db", size=1 << 20)
    sockets = socket.socketpair()
    if kind == "pair":
        one, other = Transport.pair()
    elif kind == "socket":
        one, other = Transport.over(sockets[0]), Transport.over(sockets[1])
    else:
        ends = [Wrapped(end) for end in sockets]
        one, other = (Transport.over(end, close=end.close) for end in ends)
    with Policy.allow_all() as policy, there.serve(other, policy, identity="test") as served:
        with Peer.over(here, one) as peer:
            db.push(peer).wait(30)
        if kind != "pair":
            sockets[0].shutdown(socket.SHUT_RDWR)
        report = served.wait(30)
        assert report["caller"] == HERE and report["received"] > 0
    with pytest.raises(zfsvol.ConsumedError), Peer.over(here, one):
        pass
    for end in sockets:
        end.close()


def test_descriptor_that_is_none_leaves_nothing_behind(nodes: Tuple[Node, Node]) -> None:
    one, other = socket.socketpair()
    with one, other, pytest.raises(zfsvol.Error):
        Transport.over(Wrapped(one), 10_000, close=one.close)
    with pytest.raises(zfsvol.Error):
        zfsvol.stream.copy(io.BytesIO(b""), 10_000)


class Wrapped:
    """A file object that is no socket to the package."""

    def __init__(self, end: socket.socket) -> None:
        self.end = end

    def read(self, size: int, /) -> bytes:
        return self.end.recv(size)

    def write(self, data: bytes, /) -> int:
        return self.end.send(data)

    def close(self) -> None:
        try:
            self.end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def test_connections_are_made_when_they_are_needed(nodes: Tuple[Node, Node]) -> None:
    here, there = nodes
    policy = Policy.known_nodes({"cert-1": HERE}, Policy.allow_all())
    served: List[zfsvol.Transfer] = []
    frames: List[zfsvol.Frame] = []

    def connect() -> Transport:
        mine, theirs = socket.socketpair()
        with mine, theirs:
            served.append(there.serve(Transport.over(theirs), policy, identity="cert-1"))
            return Transport.over(mine, on_frame=frames.append)

    db = here.create("db", size=1 << 20)
    with Peer.connect(here, connect, connections=2) as peer:
        db.push(peer).wait(30)
    assert served and frames and frames[0].direction == zfsvol.Direction.SENT
    for one in served:
        one.close()

    def refuses() -> Transport:
        raise ConnectionRefusedError(111, "nobody is there")

    with pytest.raises(zfsvol.DisconnectedError):
        Peer.connect(here, refuses)
    policy.close()


def test_policy_of_a_function_is_asked(nodes: Tuple[Node, Node]) -> None:
    here, there = nodes
    asked: List[zfsvol.Request] = []
    gate = threading.Lock()

    def permit(request: zfsvol.Request) -> Any:
        with gate:
            asked.append(request)
        return "not on a Sunday" if request.action == zfsvol.Action.ACCEPT else True

    db = here.create("db", size=1 << 20)
    one, other = Transport.pair()
    with Policy.of(permit) as policy, there.serve(other, policy, identity="me") as served, Peer.over(here, one) as peer:
        db.push(peer).wait(30)
        with pytest.raises(zfsvol.NotPermittedError, match="not on a Sunday"):
            db.handoff(peer).wait(30)
        served.cancel()
    assert {request.node for request in asked} == {HERE} and asked[0].identity == "me" and asked[0].volume_id is None
    db.recover(Peer.local(there)).wait(30)
    assert db.info()["state"] == "owned"


def test_recovery_that_waits_for_a_peer_is_cancelled(nodes: Tuple[Node, Node]) -> None:
    here, there = nodes
    asked, answer = threading.Event(), threading.Event()
    served: List[zfsvol.Transfer] = []

    def permit(request: zfsvol.Request) -> bool:
        if request.action == zfsvol.Action.LOOK:
            asked.set()
            answer.wait(60)
        return True

    db = here.create("db", size=1 << 20)
    with Policy.of(permit) as policy:

        def connect() -> Transport:
            mine, theirs = Transport.pair()
            served.append(there.serve(theirs, policy))
            return mine

        with Peer.connect(here, connect) as peer:
            with db.recover(peer) as recovery:
                assert asked.wait(30) and recovery.progress().phase == zfsvol.Phase.COMPARING
                with pytest.raises(zfsvol.TimedOutError):
                    recovery.wait(0.01)
                recovery.cancel()
                with pytest.raises(zfsvol.CancelledError):
                    recovery.wait(30)
            answer.set()
            assert db.recover(peer).wait(30) == {"outcome": "nothing"}
            with pytest.raises(zfsvol.NotFoundError):
                here.volume("none").recover(peer).wait(30)
        for one in served:
            one.close()


def test_policies_refuse(nodes: Tuple[Node, Node]) -> None:
    here, there = nodes
    here.create("db", size=1 << 20)

    def anything(request: zfsvol.Request) -> bool:
        raise RuntimeError("broken")

    with Policy.read_only() as read_only, Policy.replicas(["other"]) as replicas:
        for policy in (read_only, replicas):
            one, other = Transport.pair()
            with there.serve(other, policy), Peer.over(here, one) as peer, pytest.raises(zfsvol.NotPermittedError):
                here.volume("db").push(peer).wait(30)
    one, other = Transport.pair()
    with Policy.known_nodes({"x": THERE}, Policy.allow_all()) as known, there.serve(other, known, identity="y"):
        with pytest.raises(zfsvol.NotPermittedError):
            Peer.over(here, one)


def test_node_of_somebody_else_is_refused() -> None:
    with zfsvol.open("embedded:") as zfs:
        Node(zfs, "tank/n", HERE).close()
        with pytest.raises(zfsvol.NotOwnerError):
            Node(zfs, "tank/n", THERE)
        with pytest.raises(zfsvol.Error):
            Node(zfs, "tank/m", "no uuid")
