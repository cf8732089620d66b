//! The two proof-of-work functions and the hash that everything else is named by. Never compares with a target.

use super::params::Algorithm;
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

/// Computes proofs of work, one or many, with working memory that it keeps: in steady state it allocates nothing. The
/// memory is taken with the first hash that needs it, so a pool of a coin without scrypt never pays for it.
#[derive(Debug, Default)]
pub struct Hasher {}

impl Hasher {
    /// Without working memory yet.
    pub const fn new() -> Hasher {
        Hasher {}
    }

    /// The proof-of-work hash of a header, in internal byte order.
    pub fn hash(&mut self, algorithm: Algorithm, header: &[u8; 80]) -> Hash32 {
        match algorithm {
            Algorithm::Scrypt => scrypt(header),
            Algorithm::Sha256d | Algorithm::EasySha256d => sha256d(header),
        }
    }

    /// Replaces what `hashes` holds by the hash of each header, in their order. Faster than one by one.
    pub fn hash_many(&mut self, algorithm: Algorithm, headers: &[[u8; 80]], hashes: &mut Vec<Hash32>) {
        hashes.clear();
        hashes.extend(headers.iter().map(|header| self.hash(algorithm, header)));
    }
}
