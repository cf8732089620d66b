//! The ground floor: bounds, time, slots, chance and amounts. Knows nothing of coins or pools.

pub mod amount;
pub mod limits;
pub mod rng;
pub mod slots;
pub mod time;
pub mod written;

/// A 32-byte hash in internal byte order, as it is hashed and serialised. People see it reversed.
pub type Hash32 = [u8; 32];

/// The way people, nodes and explorers print a hash: hexadecimal, most significant byte first.
pub fn display_hash(hash: &Hash32) -> String {
    let mut reversed = *hash;
    reversed.reverse();
    hex::encode(reversed)
}

/// The inverse of [`display_hash`]; `None` unless `text` is exactly 64 hexadecimal digits.
pub fn parse_hash(text: &str) -> Option<Hash32> {
    let mut hash = [0; 32];
    hex::decode_to_slice(text, &mut hash).ok()?;
    hash.reverse();
    Some(hash)
}
