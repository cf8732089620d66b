//! Parent blocks of the easiest target, mined on the spot.

use edgepool::{
    base::Hash32,
    coin::{
        auxpow::{self, AuxTree},
        block,
        coinbase::{Coinbase, CoinbaseSpec, TxOut},
        difficulty::Target,
        merkle,
        params::Algorithm,
        pow::sha256d,
        script::Script,
    },
};

/// The easiest bits of regtest, which every second hash meets.
pub const EASY_BITS: u32 = 0x207f_ffff;

/// A parent block of the coinbase and three other transactions, as far as a proof shows it.
pub struct Parent {
    pub coinbase: Vec<u8>,
    pub branch: Vec<Hash32>,
    pub header: [u8; 80],
}

impl Parent {
    /// Mines a block with this version and coinbase.
    pub fn mine(version: u32, coinbase: Vec<u8>, algorithm: Algorithm) -> Parent {
        let branch = merkle::branch(&[[1; 32], [2; 32], [3; 32]]);
        let root = merkle::root(sha256d(&coinbase), &branch);
        Parent { coinbase, branch, header: mine(version, &root, algorithm, true) }
    }

    /// Mines a block whose coinbase commits to `tree`.
    pub fn of(tree: &AuxTree, algorithm: Algorithm) -> Parent {
        let outputs = [TxOut { value: 1, script: Script::p2pkh(&[7; 20]) }];
        let spec = CoinbaseSpec {
            version: 2,
            height: 700,
            aux: &tree.tag(),
            tag: b"/edgepool/",
            extranonce_len: 8,
            outputs: &outputs,
            commitment: Some([9; 32]),
        };
        let coinbase = Coinbase::build(&spec).unwrap();
        Parent::mine(0x2000_0000, coinbase.stripped(&[4; 4], &[5; 4]), algorithm)
    }

    pub fn proof(&self, (chain_branch, slot): (Vec<Hash32>, u32)) -> Vec<u8> {
        auxpow::proof(&self.coinbase, &self.branch, &chain_branch, slot, &self.header)
    }
}

/// A header that meets the easy target, or one that misses it.
pub fn mine(version: u32, root: &Hash32, algorithm: Algorithm, meets: bool) -> [u8; 80] {
    let target = Target::from_compact(EASY_BITS).unwrap();
    (0..)
        .map(|nonce| block::header(version, &[6; 32], root, 1_700_000_000, EASY_BITS, nonce))
        .find(|header| target.is_met_by(&algorithm.pow_hash(header)) == meets)
        .unwrap()
}
