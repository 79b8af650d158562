//! A sample of what `make crashpoints` tries: whatever moves a volume is interrupted, put right, and done again.

use zfsvol_tests::crash::{self, Options};

#[test]
fn whoever_dies_there_is_one_writer_and_nothing_is_lost() {
    let options = Options {
        on_module: false,
        filter: String::new(),
        only: None,
        sample: Some(200),
        twice: 50,
        seed: 5,
        threads: 2,
    };
    let report = crash::run(&options).expect("a kernel in the process");
    assert!(report.is_clean(), "{report}");
}
