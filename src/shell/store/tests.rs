//! What only the inside of the store can show.

use super::*;
use crate::pool::record::ClockMark;

#[test]
fn the_file_is_opened_anew_when_the_environment_was_given_up() {
    let scratch = std::env::temp_dir().join(format!("edgepool-reopen-{}", std::process::id()));
    let store = Store::open(&scratch, 1, &["ltc"]).unwrap();
    let batch = |pool_ms| Batch { clock: ClockMark { pool_ms, ..ClockMark::default() }, ..Batch::default() };
    store.commit(&[(0, &batch(1))]).unwrap();
    store.environment.replace(None);
    assert_eq!(store.load(0).unwrap().clock.unwrap().pool_ms, 1);
    let tried = std::cell::Cell::new(0);
    // As LMDB answers from a failed write of its head page on.
    let recovered = store.with(|_| match tried.replace(tried.get() + 1) {
        0 => Err(StoreError::Lmdb(MdbError::Panic)),
        _ => Ok(()),
    });
    assert!(recovered.is_ok() && tried.get() == 2);
    store.commit(&[(0, &batch(2))]).unwrap();
    assert_eq!(store.load(0).unwrap().clock.unwrap().pool_ms, 2);
    drop(store);
    fs::remove_dir_all(scratch).unwrap();
}
