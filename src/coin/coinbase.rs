//! Building a coinbase around the extranonce that rigs vary. Never decides what is paid: outputs come as they are to
//! be written.

use super::{
    encode::{varint_len, write_bytes, write_height, write_varint},
    script::{Script, sigops},
};
use crate::base::{Hash32, limits::COINBASE_SCRIPT};
use bitcoin_hashes::{HashEngine, sha256d};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What opens the output that commits to the witnesses (BIP 141): OP_RETURN, a push of 36 bytes, and their tag.
pub const COMMITMENT_TAG: [u8; 6] = [0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed];
/// Marker and flag of a transaction with witness.
const WITNESS_FLAG: [u8; 2] = [0, 1];
/// The coinbase's witness: one item, the reserved value of 32 zero bytes.
const WITNESS: [u8; 34] = {
    let mut witness = [0; 34];
    witness[0] = 1;
    witness[1] = 32;
    witness
};
const LOCK_TIME: [u8; 4] = [0; 4];
/// Longest push that is one opcode.
const LONGEST_PUSH: usize = 75;

/// One output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxOut {
    /// Base units.
    pub value: u64,
    /// Who is paid.
    pub script: Script,
}

/// Everything that a coinbase is made of.
#[derive(Clone, Debug)]
pub struct CoinbaseSpec<'a> {
    /// The transaction's version.
    pub version: i32,
    /// The height of the block.
    pub height: u32,
    /// Raw script bytes after the height: the push of a merged-mining commitment, or nothing.
    pub aux: &'a [u8],
    /// Raw bytes after the extranonce: the pool's name.
    pub tag: &'a [u8],
    /// Bytes of both extranonces together, 1 to 75.
    pub extranonce_len: usize,
    /// The payments, in their order.
    pub outputs: &'a [TxOut],
    /// The witness commitment, where the block has one: written as the last output, and the witness with it.
    pub commitment: Option<Hash32>,
}

/// Why a coinbase can't be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CoinbaseError {
    /// The scriptSig would have this many bytes, above the 100 that consensus allows.
    ScriptTooLong(usize),
    /// The extranonce is empty or longer than one push.
    ExtranonceLength(usize),
    /// There is no output at all.
    NoOutputs,
}

impl fmt::Display for CoinbaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CoinbaseError::ScriptTooLong(length) => {
                write!(f, "the coinbase script has {length} bytes of {COINBASE_SCRIPT}: shorten the coinbase tag")
            }
            CoinbaseError::ExtranonceLength(length) => {
                write!(f, "an extranonce of {length} bytes is not between 1 and {LONGEST_PUSH}")
            }
            CoinbaseError::NoOutputs => f.write_str("a coinbase needs an output"),
        }
    }
}

impl std::error::Error for CoinbaseError {}

/// A coinbase in two halves, between which the extranonce belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coinbase {
    /// The serialisation without witness, up to the extranonce.
    pub first: Vec<u8>,
    /// The serialisation without witness, from after the extranonce.
    pub second: Vec<u8>,
    committed: bool,
    sigops: u64,
}

impl Coinbase {
    /// Serialises `spec`.
    pub fn build(spec: &CoinbaseSpec) -> Result<Coinbase, CoinbaseError> {
        let extranonce_push = u8::try_from(spec.extranonce_len)
            .ok()
            .filter(|length| (1..=LONGEST_PUSH).contains(&usize::from(*length)))
            .ok_or(CoinbaseError::ExtranonceLength(spec.extranonce_len))?;
        if spec.outputs.is_empty() && spec.commitment.is_none() {
            return Err(CoinbaseError::NoOutputs);
        }
        let mut script = Vec::with_capacity(COINBASE_SCRIPT);
        write_height(&mut script, spec.height);
        script.extend_from_slice(spec.aux);
        script.push(extranonce_push);
        let script_len = script.len() + spec.extranonce_len + spec.tag.len();
        if script_len > COINBASE_SCRIPT {
            return Err(CoinbaseError::ScriptTooLong(script_len));
        }

        let mut first = Vec::with_capacity(42 + script.len());
        first.extend_from_slice(&spec.version.to_le_bytes());
        first.push(1);
        first.extend_from_slice(&[0; 32]);
        first.extend_from_slice(&[0xff; 4]);
        write_varint(&mut first, script_len as u64);
        first.extend_from_slice(&script);

        let mut second = spec.tag.to_vec();
        second.extend_from_slice(&[0xff; 4]);
        write_varint(&mut second, (spec.outputs.len() + usize::from(spec.commitment.is_some())) as u64);
        for output in spec.outputs {
            second.extend_from_slice(&output.value.to_le_bytes());
            write_bytes(&mut second, output.script.as_bytes());
        }
        if let Some(commitment) = &spec.commitment {
            second.extend_from_slice(&0u64.to_le_bytes());
            write_varint(&mut second, (COMMITMENT_TAG.len() + commitment.len()) as u64);
            second.extend_from_slice(&COMMITMENT_TAG);
            second.extend_from_slice(commitment);
        }
        second.extend_from_slice(&LOCK_TIME);

        // The extranonce is pushed data, in which nothing is counted: zeros stand for it.
        script.resize(script.len() + spec.extranonce_len, 0);
        script.extend_from_slice(spec.tag);
        let paid: u64 = spec.outputs.iter().map(|output| sigops(output.script.as_bytes())).sum();
        Ok(Coinbase { first, second, committed: spec.commitment.is_some(), sigops: sigops(&script) + paid })
    }

    /// The transaction id with these extranonces, which together have the length that was reserved.
    pub fn txid(&self, extranonce1: &[u8], extranonce2: &[u8]) -> Hash32 {
        self.check_lengths(extranonce1, extranonce2);
        let mut engine = sha256d::Hash::engine();
        for part in [&self.first, extranonce1, extranonce2, &self.second] {
            engine.input(part);
        }
        sha256d::Hash::from_engine(engine).to_byte_array()
    }

    /// The transaction without witness, as its id is hashed and as proofs of merged mining show it.
    pub fn stripped(&self, extranonce1: &[u8], extranonce2: &[u8]) -> Vec<u8> {
        self.check_lengths(extranonce1, extranonce2);
        [&self.first, extranonce1, extranonce2, &self.second].concat()
    }

    /// The transaction as it stands in a block: with its witness if it has a commitment.
    pub fn for_block(&self, extranonce1: &[u8], extranonce2: &[u8]) -> Vec<u8> {
        if !self.committed {
            return self.stripped(extranonce1, extranonce2);
        }
        self.check_lengths(extranonce1, extranonce2);
        let (version, inputs) = self.first.split_at(4);
        let (outputs, lock_time) = self.second.split_at(self.second.len() - LOCK_TIME.len());
        [version, &WITNESS_FLAG, inputs, extranonce1, extranonce2, outputs, &WITNESS, lock_time].concat()
    }

    /// Bytes in a block, given the length of both extranonces together.
    pub fn size(&self, extranonce_len: usize) -> u64 {
        let witness = if self.committed { WITNESS_FLAG.len() + WITNESS.len() } else { 0 };
        self.stripped_size(extranonce_len) + witness as u64
    }

    /// Weight units in a block (BIP 141), given the length of both extranonces together.
    pub fn weight(&self, extranonce_len: usize) -> u64 {
        3 * self.stripped_size(extranonce_len) + self.size(extranonce_len)
    }

    /// Signature operations of its scripts, before any scaling: each pay-to-public-key-hash output is one.
    pub fn sigops(&self) -> u64 {
        self.sigops
    }

    /// Bytes as rigs see it, without witness, given the length of both extranonces together.
    pub fn stripped_size(&self, extranonce_len: usize) -> u64 {
        (self.first.len() + extranonce_len + self.second.len()) as u64
    }

    fn check_lengths(&self, extranonce1: &[u8], extranonce2: &[u8]) {
        let given = extranonce1.len() + extranonce2.len();
        debug_assert_eq!(self.first.last().copied().map(usize::from), Some(given), "extranonces fill their push");
    }
}

/// Bytes that one more output adds to a coinbase, as long as the count of outputs keeps its length.
pub fn output_size(script: &Script) -> usize {
    let length = script.as_bytes().len();
    8 + varint_len(length as u64) + length
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec<'a>(aux: &'a [u8], tag: &'a [u8], outputs: &'a [TxOut]) -> CoinbaseSpec<'a> {
        CoinbaseSpec { version: 2, height: 840_000, aux, tag, extranonce_len: 12, outputs, commitment: None }
    }

    fn paying(script: Script) -> Vec<TxOut> {
        vec![TxOut { value: 1, script }]
    }

    #[test]
    fn a_script_above_a_hundred_bytes_is_refused() {
        let outputs = paying(Script::p2pkh(&[1; 20]));
        // Height 4, merged-mining tag 45, extranonce 13: 38 are left.
        let (aux, tag) = ([0; 45], [b'x'; 39]);
        assert!(Coinbase::build(&spec(&aux, &tag[..38], &outputs)).is_ok());
        assert_eq!(Coinbase::build(&spec(&aux, &tag, &outputs)), Err(CoinbaseError::ScriptTooLong(101)));
    }

    #[test]
    fn a_coinbase_without_extranonce_or_outputs_is_refused() {
        let outputs = paying(Script::p2pkh(&[1; 20]));
        for extranonce_len in [0, 76, 256, usize::MAX] {
            let refused = Coinbase::build(&CoinbaseSpec { extranonce_len, ..spec(&[], &[], &outputs) });
            assert_eq!(refused, Err(CoinbaseError::ExtranonceLength(extranonce_len)));
        }
        assert_eq!(Coinbase::build(&spec(&[], &[], &[])), Err(CoinbaseError::NoOutputs));
    }

    #[test]
    fn an_output_is_as_large_as_what_it_adds() {
        let cases = [(Script::p2pkh(&[1; 20]), 34), (Script::p2sh(&[1; 20]), 32)];
        let segwit = [(20, 31), (32, 43)].map(|(length, size)| (Script::witness(0, &vec![1; length]).unwrap(), size));
        for (script, size) in cases.into_iter().chain(segwit) {
            let one = paying(script.clone());
            let two = [one.clone(), one.clone()].concat();
            let measure = |outputs: &[TxOut]| Coinbase::build(&spec(&[], &[], outputs)).unwrap().stripped_size(12);
            assert_eq!(measure(&two) - measure(&one), size);
            assert_eq!(output_size(&script) as u64, size);
        }
    }

    #[test]
    fn signature_operations_are_those_of_every_script_but_not_of_the_extranonce() {
        let outputs = [paying(Script::p2pkh(&[1; 20])), paying(Script::p2sh(&[1; 20]))].concat();
        let count = |tag: &[u8]| Coinbase::build(&spec(&[2, 0xac, 0xac], tag, &outputs)).unwrap().sigops();
        assert_eq!(count(b""), 1);
        assert_eq!(count(&[0xac, 0xae]), 22);
    }
}
