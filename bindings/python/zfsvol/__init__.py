"""zfsvol: an embeddable volume engine for OpenZFS.

    >>> import zfsvol
    >>> with zfsvol.open("embedded:") as zfs:
    ...     zfs.datasets.create_filesystem("tank/data", {"compression": "zstd"})
    ...     zfs.snapshots.create("tank/data@monday")
    ...     list(zfs.names("tank"))
    ['tank', 'tank/data']

`open` gives a `Zfs`, whose parts are operations: `zfs.datasets`, `zfs.snapshots`, `zfs.pools`. `Node` has volumes that move between machines. `stream` and `rebuild` read send
streams without a kernel. `lzc` has the functions of libzfs_core. Sizes are in bytes and times in seconds, of the day since 1970. Everything that was opened is
closed by `with` or `close`, and can be used from any thread; failures are an `Error` of a class by kind.
"""

from . import errors, lzc, nvlist, rebuild, stream
from ._ffi import (
    Account,
    Action,
    Activity,
    Class,
    Direction,
    Encoding,
    Export,
    Features,
    Initialize,
    Kind,
    MountChoice,
    Offline,
    Order,
    Owner,
    Pass,
    Phase,
    Prefetch,
    Prune,
    Redundancy,
    Release,
    Rewind,
    Scrub,
    SendFlags,
    Status,
    Tree,
    Trim,
    UnmountFlags,
)
from ._handle import ClosedError, Handle
from ._library import LibraryError, lib
from .devices import Device
from .diff import Diff
from .doors import Call, Faults, Recording, Replay, Rule
from .errors import *  # noqa: F403
from .events import Events, History
from .holds import Cleanup
from .importable import Importable
from .keys import Key
from .listing import Listing, NameListing
from .mounts import Mounted
from .node import Node, Outcome
from .peer import Bandwidth, Peer
from .policy import Policy, Request
from .quotas import Accounts, Quota
from .receive import Receive
from .send import Send
from .topology import Topology
from .transfer import Progress, Transfer
from .transport import Frame, Transport
from .volume import Spec, Volume
from .zfs import Zfs, embedded, open

__version__ = nvlist.text_of(lib.version())
"""The version of the library that was loaded."""

__all__ = [
    "Account",
    "Accounts",
    "Action",
    "Activity",
    "Bandwidth",
    "Call",
    "Class",
    "Cleanup",
    "ClosedError",
    "Device",
    "Diff",
    "Direction",
    "Encoding",
    "Events",
    "Export",
    "Faults",
    "Features",
    "Frame",
    "Handle",
    "History",
    "Importable",
    "Initialize",
    "Key",
    "Kind",
    "LibraryError",
    "Listing",
    "MountChoice",
    "Mounted",
    "NameListing",
    "Node",
    "Offline",
    "Order",
    "Outcome",
    "Owner",
    "Pass",
    "Peer",
    "Phase",
    "Policy",
    "Prefetch",
    "Progress",
    "Prune",
    "Quota",
    "Receive",
    "Recording",
    "Redundancy",
    "Release",
    "Replay",
    "Request",
    "Rewind",
    "Rule",
    "Scrub",
    "Send",
    "SendFlags",
    "Spec",
    "Status",
    "Topology",
    "Transfer",
    "Transport",
    "Tree",
    "Trim",
    "UnmountFlags",
    "Volume",
    "Zfs",
    "embedded",
    "lzc",
    "nvlist",
    "open",
    "rebuild",
    "stream",
] + errors.__all__
