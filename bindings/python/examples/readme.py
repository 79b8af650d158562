import zfsvol

with zfsvol.open("embedded:") as zfs:
    zfs.datasets.create_zvol("tank/db", 10 << 30, {"compression": "zstd"})
    zfs.snapshots.create("tank/db@empty")
    zfs.datasets.clone("tank/db-test", "tank/db@empty")
    print(list(zfs.names("tank")))
