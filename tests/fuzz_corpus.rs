//! Everything that the fuzzer ever found worth keeping is read again. How to look for more is said in
//! `tests/fuzz/Cargo.toml`.

use std::fs;
use std::path::Path;

#[path = "fuzz/src/lib.rs"]
mod targets;

macro_rules! replays {
    ($($target:ident)*) => {
        $(#[test]
        fn $target() {
            replay(stringify!($target), targets::$target);
        })*

        #[test]
        fn every_corpus_has_its_target() {
            let mut corpora: Vec<_> =
                fs::read_dir(CORPUS).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            corpora.sort();
            assert_eq!(corpora, [$(stringify!($target)),*]);
        }
    };
}

const CORPUS: &str = "tests/fuzz/corpus";

replays!(address entry http jsonrpc line pool stratum template);

fn replay(target: &str, read: fn(&[u8])) {
    let files: Vec<_> =
        fs::read_dir(Path::new(CORPUS).join(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty());
    for file in files {
        let bytes = fs::read(&file).unwrap();
        // A panic of the target says what; this says with which file.
        let outcome = std::panic::catch_unwind(|| read(&bytes));
        assert!(outcome.is_ok(), "{} is not survived", file.display());
    }
}
