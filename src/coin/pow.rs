//! The two proof-of-work functions and the hash that everything else is named by. Never compares with a target.

use super::params::Algorithm;
use crate::base::Hash32;
use bitcoin_hashes::sha256d;
use edgepool_scrypt::Pad;

/// SHA256 twice: transaction ids, merkle nodes, block ids, and Bitcoin's proof of work.
pub fn sha256d(data: &[u8]) -> Hash32 {
    sha256d::Hash::hash(data).to_byte_array()
}

/// Computes proofs of work with memory that it keeps: in steady state it allocates nothing. The memory, 128 KiB, is
/// taken with the first hash that needs it, so a pool of a coin without scrypt never pays for it.
#[derive(Debug, Default)]
pub struct Hasher {
    scrypt: Pad,
}

impl Hasher {
    /// Without working memory yet.
    pub const fn new() -> Hasher {
        Hasher { scrypt: Pad::new() }
    }

    /// The proof-of-work hash of a header, in internal byte order.
    pub fn hash(&mut self, algorithm: Algorithm, header: &[u8; 80]) -> Hash32 {
        match algorithm {
            Algorithm::Scrypt => self.scrypt.hash(header),
            Algorithm::Sha256d | Algorithm::EasySha256d => sha256d(header),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    #[test]
    fn every_header_has_the_scrypt_hash_that_another_implementation_gives_it() {
        let parameters = scrypt::Params::new(10, 1, 1).unwrap();
        let mut rng = Rng::new(7);
        // One hasher for all: what an earlier hash left in its memory is of no consequence.
        let mut hasher = Hasher::new();
        for _ in 0..500 {
            let header: [u8; 80] = std::array::from_fn(|_| rng.next_u64() as u8);
            let mut expected = [0; 32];
            scrypt::scrypt(&header, &header, &parameters, &mut expected).unwrap();
            assert_eq!(hasher.hash(Algorithm::Scrypt, &header), expected);
        }
    }
}
