//! A submitted block taken apart into what the rules look at. Judges nothing but the serialisation.

use crate::base::Hash32;
use crate::coin::auxpow::{VERSION_FLAG, check::Proof};
use crate::coin::block::HEADER;
use crate::coin::coinbase::{COMMITMENT_TAG, TxOut};
use crate::coin::encode::{ReadError, Reader, varint_len};
use crate::coin::params::Coin;
use crate::coin::pow::sha256d;
use crate::coin::script::Script;

/// What an input of a coinbase spends: output 2^32 − 1 of the transaction 0.
const NO_OUTPUT: u32 = u32::MAX;

/// Why bytes are not a block or a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecodable;

impl From<ReadError> for Undecodable {
    fn from(_: ReadError) -> Undecodable {
        Undecodable
    }
}

/// A block's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub bytes: [u8; HEADER],
    pub version: u32,
    pub prev: Hash32,
    pub root: Hash32,
    pub time: u32,
    pub bits: u32,
}

/// A block, its transactions in their order.
#[derive(Clone, Debug)]
pub struct Block<'a> {
    pub header: Header,
    /// The work of a parent block, where the header says that there is one.
    pub proof: Option<Proof<'a>>,
    pub transactions: Vec<Transaction<'a>>,
    /// Bytes of all of it.
    pub size: usize,
}

/// A transaction.
#[derive(Clone, Debug)]
pub struct Transaction<'a> {
    pub txid: Hash32,
    pub wtxid: Hash32,
    pub inputs: Vec<Input<'a>>,
    pub outputs: Vec<TxOut>,
    /// Bytes with witness.
    pub size: usize,
    /// Bytes without.
    pub stripped_size: usize,
}

/// One input with what belongs to it.
#[derive(Clone, Debug)]
pub struct Input<'a> {
    /// The transaction whose output is spent.
    pub spent: Hash32,
    /// Which of its outputs.
    pub index: u32,
    pub script: &'a [u8],
    pub witness: Vec<&'a [u8]>,
}

impl<'a> Block<'a> {
    /// Reads a whole block of a coin; nothing may be left over.
    pub fn decode(bytes: &'a [u8], coin: &Coin) -> Result<Block<'a>, Undecodable> {
        let mut reader = Reader::new(bytes);
        let header = Header::read(&mut reader)?;
        let has_proof = coin.auxpow.is_some() && header.version & VERSION_FLAG != 0;
        let proof = has_proof.then(|| Proof::read(&mut reader)).transpose()?;
        let mut transactions = Vec::new();
        for _ in 0..reader.varint()? {
            transactions.push(Transaction::read(&mut reader)?);
        }
        reader.finish()?;
        Ok(Block { header, proof, transactions, size: bytes.len() })
    }

    /// Weight units (BIP 141).
    pub fn weight(&self) -> usize {
        let frame = HEADER + varint_len(self.transactions.len() as u64);
        4 * frame + self.transactions.iter().map(Transaction::weight).sum::<usize>()
    }
}

impl Header {
    fn read(reader: &mut Reader<'_>) -> Result<Header, Undecodable> {
        let bytes: [u8; HEADER] = reader.array()?;
        let mut fields = Reader::new(&bytes);
        Ok(Header {
            bytes,
            version: fields.u32()?,
            prev: fields.hash()?,
            root: fields.hash()?,
            time: fields.u32()?,
            bits: fields.u32()?,
        })
    }
}

impl<'a> Transaction<'a> {
    /// Reads one transaction, with or without witness (BIP 144).
    pub fn read(reader: &mut Reader<'a>) -> Result<Transaction<'a>, Undecodable> {
        let whole = reader.rest();
        let version = reader.take(4)?;
        let has_witness = reader.rest().first() == Some(&0);
        if has_witness && reader.take(2)? != [0, 1] {
            return Err(Undecodable);
        }
        let body = reader.rest();
        let mut inputs = Vec::new();
        for _ in 0..reader.varint()? {
            inputs.push(Input::read(reader)?);
        }
        let mut outputs = Vec::new();
        for _ in 0..reader.varint()? {
            outputs.push(TxOut { value: reader.u64()?, script: Script::from_bytes(reader.bytes()?.to_vec()) });
        }
        let body = read_of(body, reader);
        if has_witness {
            for input in &mut inputs {
                for _ in 0..reader.varint()? {
                    input.witness.push(reader.bytes()?);
                }
            }
            // The form with witness is only for transactions that have one; so each has one serialisation.
            if inputs.iter().all(|input| input.witness.is_empty()) {
                return Err(Undecodable);
            }
        }
        let lock_time = reader.take(4)?;
        let whole = read_of(whole, reader);
        Ok(Transaction {
            txid: sha256d(&[version, body, lock_time].concat()),
            wtxid: sha256d(whole),
            inputs,
            outputs,
            size: whole.len(),
            stripped_size: version.len() + body.len() + lock_time.len(),
        })
    }

    pub fn is_coinbase(&self) -> bool {
        matches!(self.inputs.as_slice(), [input] if input.spent == [0; 32] && input.index == NO_OUTPUT)
    }

    pub fn has_witness(&self) -> bool {
        self.size != self.stripped_size
    }

    /// Weight units (BIP 141).
    pub fn weight(&self) -> usize {
        3 * self.stripped_size + self.size
    }

    /// What a coinbase commits to: the last output of that form counts.
    pub fn commitment(&self) -> Option<Hash32> {
        let of = |output: &TxOut| output.script.as_bytes().strip_prefix(&COMMITMENT_TAG)?.first_chunk().copied();
        self.outputs.iter().rev().find_map(of)
    }
}

impl<'a> Input<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Input<'a>, Undecodable> {
        let input = Input { spent: reader.hash()?, index: reader.u32()?, script: reader.bytes()?, witness: Vec::new() };
        // The sequence, of which nothing here makes use.
        reader.take(4)?;
        Ok(input)
    }
}

/// What was read since `from` was the rest.
fn read_of<'a>(from: &'a [u8], reader: &Reader<'a>) -> &'a [u8] {
    let (read, _) = from.split_at(from.len() - reader.rest().len());
    read
}
