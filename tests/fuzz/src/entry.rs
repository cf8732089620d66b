//! Entries of the ledger: as the disk has them, as an export has them, and as a ledger follows them.

use edgepool::coin::script::Script;
use edgepool::pool::ledger::Ledger;
use edgepool::pool::record::Entry;
use edgepool::pool::spec::Terms;

/// Entries are the same after they were written and read, in both forms; a ledger that follows them adds up after
/// each, and a refused one changes nothing.
pub fn entry(bytes: &[u8]) {
    if let Ok(entry) = serde_json::from_slice::<Entry>(bytes) {
        let stored = postcard::to_allocvec(&entry).expect("an entry can be written");
        assert_eq!(postcard::from_bytes::<Entry>(&stored).expect("and read"), entry);
    }
    let mut ledger = Ledger::new(0, terms());
    let (mut rest, mut seq) = (bytes, 0);
    while let Ok((entry, after)) = postcard::take_from_bytes::<Entry>(rest) {
        rest = after;
        seq += 1;
        let exported = serde_json::to_string(&entry).expect("an entry can be exported");
        assert_eq!(serde_json::from_str::<Entry>(&exported).expect("and imported"), entry);
        let before = (ledger.totals(), ledger.blocks().len());
        if ledger.apply(seq, &entry).is_err() {
            assert_eq!(before, (ledger.totals(), ledger.blocks().len()), "what is refused changes nothing");
        }
        ledger.check().expect("a ledger adds up after each entry");
    }
}

fn terms() -> Terms {
    Terms { pool_script: Script::p2pkh(&[0xee; 20]), fee_ppm: 10_000, min_payout: 100_000, max_outputs: 10 }
}
