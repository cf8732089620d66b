//! Proofs of work and targets, with no code of edgepool.

use bitcoin_hashes::sha256d;

/// A coin's proof of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofOfWork {
    Scrypt,
    Sha256d,
}

impl ProofOfWork {
    /// The hash of a header as a big-endian number, so that arrays compare as numbers do.
    pub fn hash(self, header: &[u8; 80]) -> [u8; 32] {
        let mut hash = [0; 32];
        match self {
            ProofOfWork::Scrypt => {
                let params = scrypt::Params::new(10, 1, 1).expect("Litecoin's parameters are sound");
                scrypt::scrypt(header, header, &params, &mut hash).expect("32 bytes is a length scrypt gives");
            }
            ProofOfWork::Sha256d => hash = sha256d(header),
        }
        hash.reverse();
        hash
    }

    /// The highest difficulty a hash is a share of, as cgminer reckons: 0xffff·2^224 over the hash for scrypt, and
    /// 0xffff·2^208 for sha256d.
    pub fn share_difficulty(self, pow: &[u8; 32]) -> f64 {
        let hash = pow.iter().fold(0.0, |number: f64, byte| number * 256.0 + f64::from(*byte));
        let exponent = match self {
            ProofOfWork::Scrypt => 224,
            ProofOfWork::Sha256d => 208,
        };
        65_535.0 * 2.0_f64.powi(exponent) / hash
    }

    /// Whether on regtest nothing is a share that is not a block too.
    pub fn makes_a_block_of_every_share(self) -> bool {
        self == ProofOfWork::Sha256d
    }

    /// A search that takes longer than this looks for what can't be there.
    pub fn most_hashes(self) -> u32 {
        match self {
            ProofOfWork::Scrypt => 500_000,
            ProofOfWork::Sha256d => 5_000_000,
        }
    }
}

pub fn sha256d(bytes: &[u8]) -> [u8; 32] {
    sha256d::hash(bytes).to_byte_array()
}

/// The target of compact bits, big-endian.
pub fn compact_target(bits: u32) -> [u8; 32] {
    let mut target = [0; 32];
    let (size, mantissa) = ((bits >> 24) as usize, bits & 0x7f_ffff);
    for (index, byte) in mantissa.to_be_bytes()[1..].iter().enumerate() {
        if let Some(place) = (32 + index).checked_sub(size).filter(|place| *place < 32) {
            target[place] = *byte;
        }
    }
    target
}
