//! One job of a rig: from what `mining.notify` says to headers, hashes and the shares among them.

use serde_json::Value;

use crate::base::Hash32;
use crate::coin::block::header;
use crate::coin::difficulty::{Difficulty, Target};
use crate::coin::encode::decode_hex;
use crate::coin::merkle;
use crate::coin::params::Algorithm;
use crate::coin::pow::{Hasher, sha256d};

const ALGORITHM: Algorithm = Algorithm::Scrypt;

/// A job being searched.
#[derive(Clone, Debug)]
pub struct Work {
    job_id: String,
    prev_hash: Hash32,
    version: u32,
    bits: u32,
    ntime: u32,
    target: Target,
    extranonce2: Vec<u8>,
    root: Hash32,
    next_nonce: u32,
}

/// A share, as it is submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The job's name, as it was sent.
    pub job_id: String,
    /// The rig's part of the extranonce.
    pub extranonce2: Vec<u8>,
    /// Seconds since 1970.
    pub ntime: u32,
    /// The nonce.
    pub nonce: u32,
}

impl Work {
    /// Reads a notify's parameters; `None` where they make no sense. A job is searched with one `extranonce2`: a rig
    /// this slow never comes to the end of its nonces.
    pub fn parse(params: &Value, extranonce1: &[u8], extranonce2: &[u8], difficulty: Difficulty) -> Option<Work> {
        let text = |index: usize| params.get(index)?.as_str();
        let bytes = |index: usize| text(index).and_then(decode_hex);
        let word = |index: usize| bytes(index)?.try_into().ok().map(u32::from_be_bytes);
        let hash = |value: &Value| value.as_str().and_then(decode_hex)?.try_into().ok();
        let mut prev_hash: Hash32 = hash(params.get(1)?)?;
        // Stratum turns each of the eight words around.
        prev_hash.chunks_mut(4).for_each(<[u8]>::reverse);
        let branch: Vec<Hash32> = params.get(4)?.as_array()?.iter().map(hash).collect::<Option<_>>()?;
        let coinbase = [&bytes(2)?, extranonce1, extranonce2, &bytes(3)?].concat();
        Some(Work {
            job_id: text(0)?.to_string(),
            prev_hash,
            version: word(5)?,
            bits: word(6)?,
            ntime: word(7)?,
            target: difficulty.target(ALGORITHM),
            extranonce2: extranonce2.to_vec(),
            root: merkle::root(sha256d(&coinbase), &branch),
            next_nonce: 0,
        })
    }

    /// Makes `count` hashes and gives the shares among them.
    pub fn search(&mut self, count: u64) -> Vec<Found> {
        let mut found = Vec::new();
        let mut hasher = Hasher::new();
        for _ in 0..count {
            let nonce = self.next_nonce;
            self.next_nonce = nonce.wrapping_add(1);
            let header = header(self.version, &self.prev_hash, &self.root, self.ntime, self.bits, nonce);
            if self.target.is_met_by(&hasher.hash(ALGORITHM, &header)) {
                found.push(Found {
                    job_id: self.job_id.clone(),
                    extranonce2: self.extranonce2.clone(),
                    ntime: self.ntime,
                    nonce,
                });
            }
        }
        found
    }
}
