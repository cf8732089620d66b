//! How a rotten card is noticed: short checks on records that may change, and links that chain the journal.
//! Guards against chance, not against somebody who can write the file.

use bitcoin_hashes::sha256;

use crate::base::Hash32;

/// Bytes of the check that follows a record.
const CHECK: usize = 4;

/// A value as it is stored under `key`: itself and the first bytes of sha256(key ‖ value).
pub(super) fn sealed(key: &[u8], value: &[u8]) -> Vec<u8> {
    [value, &check(key, value)].concat()
}

/// The value of what [`sealed`] made; `None` when either it or the key is not what it was.
pub(super) fn opened<'v>(key: &[u8], stored: &'v [u8]) -> Option<&'v [u8]> {
    let (value, found) = stored.split_last_chunk::<CHECK>()?;
    (check(key, value) == *found).then_some(value)
}

fn check(key: &[u8], value: &[u8]) -> [u8; CHECK] {
    *sha256(&[key, value]).first_chunk().expect("a hash is longer than its check")
}

/// What follows `before` in the chain of a journal: sha256(before ‖ number ‖ entry).
pub(super) fn link(before: &Hash32, seq: u64, entry: &[u8]) -> Hash32 {
    sha256(&[before, &seq.to_be_bytes(), entry])
}

fn sha256(parts: &[&[u8]]) -> Hash32 {
    let mut engine = sha256::Hash::engine();
    parts.iter().for_each(|part| bitcoin_hashes::HashEngine::input(&mut engine, part));
    sha256::Hash::from_engine(engine).to_byte_array()
}
