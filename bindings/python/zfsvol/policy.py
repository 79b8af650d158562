"""Who may do what to which volume."""

from __future__ import annotations

import ctypes
from typing import Any, Callable, Mapping, NamedTuple, Optional, Union

from . import _callbacks, _ffi, nvlist
from ._call import Name, Names, made, sized, text, texts
from ._ffi import Action
from ._handle import Handle
from ._library import lib


class Request(NamedTuple):
    """What a policy is asked."""

    action: int
    """What is wanted: an `Action`. A newer library may ask about others: refuse those."""
    node: str
    """The UUID of the node that the caller says it is."""
    identity: str
    """Who the transport found it to be; empty where it did not say."""
    volume_id: Optional[str]
    """The UUID of the volume; None where there is none."""
    volume: str
    """The name of the volume."""


Permit = Callable[[Request], Union[bool, str]]
"""True permits. False refuses, and so does a text, which says why."""


def _permit(context: Optional[int], pointer: Any, reason: Optional[int], size: int) -> bool:
    found = pointer[0]
    action = Action(found.action) if found.action in list(Action) else found.action
    volume_id = nvlist.text_of(found.volume_id) if found.volume_id.ptr else None
    request = Request(action, nvlist.text_of(found.node), nvlist.text_of(found.identity), volume_id, nvlist.text_of(found.volume))
    answer = _callbacks.called(_callbacks.kept(context), request, default=False)
    if isinstance(answer, str) and size > 0:
        told = answer.encode("utf-8", "replace")[: size - 1].decode("utf-8", "ignore").encode() + b"\0"
        ctypes.memmove(reason or 0, told, len(told))
    return answer is True


_permit_function = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.POINTER(_ffi.zfsvol_request), ctypes.c_void_p, ctypes.c_size_t)(_permit)


class Policy(Handle):
    """Who may do what to which volume. It does not change, and serves any number of connections at once."""

    _free = lib.policy_free

    @classmethod
    def allow_all(cls) -> "Policy":
        """Everybody may do everything: where who can connect is trusted."""
        return cls(made(lib.policy_allow_all))

    @classmethod
    def read_only(cls) -> "Policy":
        """Everybody may look, and nobody may change anything."""
        return cls(made(lib.policy_read_only))

    @classmethod
    def replicas(cls, namespaces: Names) -> "Policy":
        """Everybody may push volumes of these namespaces, and nobody may hand over. The empty text stands for volumes that are in no namespace."""
        return cls(made(lib.policy_replicas, *texts(namespaces)))

    @classmethod
    def known_nodes(cls, nodes: Mapping[Any, Name], then: "Policy") -> "Policy":
        """Only these may connect, UUIDs of nodes by the identity that the transport finds, each as its node; what they may do then, the policy `then` says.

        Without this, whoever may connect can say that it is any node, and push what that node owns.
        """
        several = [_ffi.zfsvol_known_node(identity=text(identity), node=text(node)) for identity, node in nodes.items()]
        return cls(made(lib.policy_known_nodes, (_ffi.zfsvol_known_node * len(several))(*several), len(several), then))

    @classmethod
    def of(cls, permit: Permit, *, ignores_volume: bool = False) -> "Policy":
        """A policy of a function, which is asked before anything is done, from any thread. If it raises, it refuses.

        With `ignores_volume` its answers do not depend on the volume, which then is not looked up for this.
        """
        options = sized(
            _ffi.zfsvol_policy_options,
            context=_callbacks.keep(permit),
            permit=_permit_function,
            ignores_volume=ignores_volume,
            release=_callbacks.release,
        )
        return cls(made(lib.policy_from_callbacks, ctypes.byref(options)))
