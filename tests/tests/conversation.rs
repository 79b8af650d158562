//! What was recorded of each real release is what the embedded kernel says when it imitates that.

use zfsvol_core::embedded::{Embedded, Release};
use zfsvol_core::{Bytes, PoolName, Zfs};
use zfsvol_tests::conversation::{RECORDED, replayed, tell};

#[test]
fn the_embedded_kernel_says_what_each_release_was_recorded_to_say() {
    for (name, recording) in RECORDED {
        let release = match name {
            "2.1" => Release::V2_1,
            "2.3" => Release::V2_3,
            _ => Release::V2_4,
        };
        let kernel =
            Embedded::builder().release(release).pool("talk", Bytes::from_mib(256)).build();
        let pool: PoolName = "talk".parse().expect("a name");
        let said = tell(&Zfs::new(kernel), &pool.root());
        assert_eq!(said, replayed(recording), "OpenZFS {name}");
    }
}
