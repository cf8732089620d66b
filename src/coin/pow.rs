//! The two proof-of-work functions and the hash that everything else is named by. Never compares with a target.

use crate::base::Hash32;
use bitcoin_hashes::sha256d;

/// SHA256 twice: transaction ids, merkle nodes, block ids, and Bitcoin's proof of work.
pub fn sha256d(data: &[u8]) -> Hash32 {
    sha256d::Hash::hash(data).to_byte_array()
}

/// Litecoin's and Dogecoin's proof of work: scrypt with N = 1024, r = 1, p = 1, the header being both password and
/// salt.
pub fn scrypt(header: &[u8; 80]) -> Hash32 {
    let params = scrypt::Params::new(10, 1, 1).expect("N = 2^10, r = 1, p = 1 are valid scrypt parameters");
    let mut hash = [0; 32];
    scrypt::scrypt(header, header, &params, &mut hash).expect("32 bytes are a valid scrypt output");
    hash
}
