//! Reads a block back into what a node has to check, independently of how the pool wrote it.

use crate::base::Hash32;
use crate::coin::encode::{ReadError, Reader};
use crate::coin::pow::sha256d;
use crate::coin::script::Script;

/// A transaction of a block.
pub struct Transaction {
    /// As it lies in the block.
    pub bytes: Vec<u8>,
    /// Its id.
    pub txid: Hash32,
    /// Its id with witness.
    pub wtxid: Hash32,
    /// Previous output (id, index) and scriptSig of each input.
    pub inputs: Vec<(Hash32, u32, Vec<u8>)>,
    /// Amount in base units and script of each output.
    pub outputs: Vec<(u64, Script)>,
    /// The witness stack of the first input.
    pub witness: Vec<Vec<u8>>,
    /// Weight units (BIP141).
    pub weight: u64,
}

/// A whole block.
pub struct Block {
    /// Its header.
    pub header: [u8; 80],
    /// Header field: version.
    pub version: u32,
    /// Header field: the block before.
    pub prev_hash: Hash32,
    /// Header field: merkle root.
    pub root: Hash32,
    /// Header field: seconds since 1970.
    pub time: u32,
    /// Header field: compact target.
    pub bits: u32,
    /// Its transactions, the coinbase first.
    pub transactions: Vec<Transaction>,
}

impl Block {
    /// Reads all of `bytes`; anything left over or missing is an error.
    pub fn read(bytes: &[u8]) -> Result<Block, ReadError> {
        let mut reader = Reader::new(bytes);
        let header: [u8; 80] = reader.array()?;
        let mut fields = Reader::new(&header);
        let (version, prev_hash, root) = (fields.u32()?, fields.hash()?, fields.hash()?);
        let (time, bits) = (fields.u32()?, fields.u32()?);
        let count = reader.varint()?;
        let mut transactions = Vec::new();
        for _ in 0..count {
            transactions.push(Transaction::read(&mut reader)?);
        }
        reader.finish()?;
        Ok(Block { header, version, prev_hash, root, time, bits, transactions })
    }
}

impl Transaction {
    /// Reads one transaction, with or without witness (BIP144).
    pub fn read(reader: &mut Reader) -> Result<Transaction, ReadError> {
        let whole = reader.rest();
        let version: [u8; 4] = reader.array()?;
        let has_witness = reader.rest().starts_with(&[0, 1]);
        if has_witness {
            reader.take(2)?;
        }
        let body = reader.rest();
        let mut inputs = Vec::new();
        for _ in 0..reader.varint()? {
            let (id, index) = (reader.hash()?, reader.u32()?);
            inputs.push((id, index, reader.bytes()?.to_vec()));
            reader.u32()?;
        }
        let mut outputs = Vec::new();
        for _ in 0..reader.varint()? {
            outputs.push((reader.u64()?, Script::from_bytes(reader.bytes()?.to_vec())));
        }
        let body = &body[..body.len() - reader.rest().len()];
        let mut witness = Vec::new();
        if has_witness {
            for input in 0..inputs.len() {
                for _ in 0..reader.varint()? {
                    let item = reader.bytes()?;
                    if input == 0 {
                        witness.push(item.to_vec());
                    }
                }
            }
        }
        let lock_time: [u8; 4] = reader.array()?;
        let bytes = whole[..whole.len() - reader.rest().len()].to_vec();
        let stripped = [&version[..], body, &lock_time].concat();
        Ok(Transaction {
            txid: sha256d(&stripped),
            wtxid: sha256d(&bytes),
            weight: 3 * stripped.len() as u64 + bytes.len() as u64,
            bytes,
            inputs,
            outputs,
            witness,
        })
    }
}
