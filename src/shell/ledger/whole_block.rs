//! A block as its bytes, for nodes that tell no transactions in words: header, the proof of a merge-mined one, and the
//! transactions. Checks nothing of it: the node has.

use super::chain_reader::{Output, ReadBlock, ReadTransaction};
use crate::base::display_hash;
use crate::coin::auxpow::{VERSION_FLAG, check};
use crate::coin::block::HEADER;
use crate::coin::encode::{ReadError, Reader};
use crate::coin::transaction::Transaction;

/// See the module.
pub(super) struct WholeBlock {
    /// What the header says, and the coinbase.
    pub(super) head: ReadBlock,
    /// All of them, the coinbase first.
    transactions: Vec<Transaction>,
}

impl WholeBlock {
    /// Reads a block; of a coin that is merge-mined some carry a proof. The error is in words.
    pub(super) fn read(bytes: &[u8], has_auxpow: bool) -> Result<WholeBlock, String> {
        let wrong = |error: ReadError| error.to_string();
        let header: [u8; HEADER] = Reader::new(bytes).array().map_err(wrong)?;
        let number = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
        let is_merged = has_auxpow && number(0) & VERSION_FLAG != 0;
        let body = if is_merged { check::split(bytes).map_err(wrong)?.2 } else { &bytes[HEADER..] };
        let mut reader = Reader::new(body);
        let count = reader.varint().map_err(wrong)?;
        let script = coinbase_script(reader.rest()).map_err(wrong)?.to_vec();
        let mut transactions = Vec::new();
        for _ in 0..count {
            transactions.push(Transaction::read(&mut reader).map_err(|error| error.to_string())?);
        }
        reader.finish().map_err(wrong)?;
        let outputs = transactions.first().map(outputs).ok_or("it is empty")?;
        let first = ReadTransaction { coinbase: Some(script), outputs };
        let head = ReadBlock { time_s: number(68).into(), bits: number(72), first };
        Ok(WholeBlock { head, transactions })
    }

    /// Id and outputs of each transaction, the coinbase first.
    pub(super) fn transactions(&self) -> impl Iterator<Item = (String, Vec<Output>)> {
        self.transactions.iter().map(|transaction| (display_hash(&transaction.txid), outputs(transaction)))
    }
}

fn outputs(transaction: &Transaction) -> Vec<Output> {
    let output = |out: &crate::coin::coinbase::TxOut| Output { script: out.script.clone(), amount: out.value };
    transaction.outputs.iter().map(output).collect()
}

/// The script of the first input of the first transaction.
fn coinbase_script(transactions: &[u8]) -> Result<&[u8], ReadError> {
    let mut reader = Reader::new(transactions);
    reader.u32()?;
    // Where the count of inputs would be, a zero announces a flag byte.
    if reader.rest().first() == Some(&0) {
        reader.take(2)?;
    }
    reader.varint()?;
    reader.take(36)?;
    reader.bytes()
}
