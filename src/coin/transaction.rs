//! Reading a transaction from its bytes: what it spends, what it pays, and its id. Never runs a script, checks no
//! signature, and reads no transaction of Litecoin's extension block (MWEB).

use std::fmt;

use bitcoin_hashes::{HashEngine, sha256d};

use super::coinbase::TxOut;
use super::encode::{ReadError, Reader};
use super::script::Script;
use crate::base::Hash32;

/// The bit of the flag byte that says that witnesses follow (BIP 144).
const WITNESS: u8 = 1;
/// The bit that says that MWEB data follows (LIP 3).
const MWEB: u8 = 8;
/// Bytes that an input takes at least: the coin, an empty script and a sequence.
const SMALLEST_INPUT: usize = 41;
/// Bytes that an output takes at least: the value and an empty script.
const SMALLEST_OUTPUT: usize = 9;

/// The coin that an input spends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Input {
    /// The transaction that made the coin, in internal byte order.
    pub txid: Hash32,
    /// Index of the coin among its outputs.
    pub vout: u32,
}

/// A transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The hash of the serialisation without witnesses, in internal byte order.
    pub txid: Hash32,
    /// What it spends; never empty.
    pub inputs: Vec<Input>,
    /// What it pays.
    pub outputs: Vec<TxOut>,
}

/// Why bytes are not a transaction that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionError {
    /// They can't be read.
    Read(ReadError),
    /// It spends nothing.
    NoInputs,
    /// It carries data of the extension block.
    Mweb,
    /// It has parts that nobody here knows.
    Flag(u8),
}

impl fmt::Display for TransactionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TransactionError::Read(error) => write!(f, "the transaction {error}"),
            TransactionError::NoInputs => f.write_str("the transaction spends no coin"),
            TransactionError::Mweb => f.write_str(
                "the transaction uses MWEB coins: send the wallet's MWEB balance to a legacy or segwit address of its own",
            ),
            TransactionError::Flag(flag) => write!(f, "the transaction has unknown parts (flag {flag})"),
        }
    }
}

impl std::error::Error for TransactionError {}

impl From<ReadError> for TransactionError {
    fn from(error: ReadError) -> TransactionError {
        TransactionError::Read(error)
    }
}

impl Transaction {
    /// Reads one transaction, which must fill `bytes`.
    pub fn parse(bytes: &[u8]) -> Result<Transaction, TransactionError> {
        let mut reader = Reader::new(bytes);
        let read = Transaction::read(&mut reader).and_then(|read| Ok(reader.finish().map(|()| read)?));
        match read {
            // A count of no inputs looks like the announcement of a flag byte, and the outputs' count like the flag.
            Err(_) if is_without_inputs(bytes) => Err(TransactionError::NoInputs),
            read => read,
        }
    }

    /// Reads one transaction off the front of what may be more.
    pub fn read(reader: &mut Reader<'_>) -> Result<Transaction, TransactionError> {
        let version: [u8; 4] = reader.array()?;
        // Where the count of inputs would be, a zero announces a flag byte.
        let has_witness = reader.rest().first() == Some(&0) && {
            reader.u8()?;
            match reader.u8()? {
                0 => return Err(TransactionError::NoInputs),
                WITNESS => true,
                flag if flag & MWEB != 0 => return Err(TransactionError::Mweb),
                flag => return Err(TransactionError::Flag(flag)),
            }
        };
        let body = reader.rest();
        let inputs = read_list(reader, SMALLEST_INPUT, read_input)?;
        if inputs.is_empty() {
            return Err(TransactionError::NoInputs);
        }
        let outputs = read_list(reader, SMALLEST_OUTPUT, read_output)?;
        let body = &body[..body.len() - reader.rest().len()];
        if has_witness {
            for _ in &inputs {
                for _ in 0..reader.varint()? {
                    reader.bytes()?;
                }
            }
        }
        let lock_time: [u8; 4] = reader.array()?;
        let mut engine = sha256d::Hash::engine();
        for part in [&version, body, &lock_time] {
            engine.input(part);
        }
        Ok(Transaction { txid: sha256d::Hash::from_engine(engine).to_byte_array(), inputs, outputs })
    }
}

/// Whether these are the bytes of a transaction that is not funded yet.
fn is_without_inputs(bytes: &[u8]) -> bool {
    let mut reader = Reader::new(bytes);
    let mut read = || -> Result<bool, ReadError> {
        let _version: [u8; 4] = reader.array()?;
        let inputs = reader.varint()?;
        read_list(&mut reader, SMALLEST_OUTPUT, read_output)?;
        let _lock_time: [u8; 4] = reader.array()?;
        Ok(inputs == 0 && reader.rest().is_empty())
    };
    read() == Ok(true)
}

/// Reads a count and so many items; a count that the bytes left can't hold is refused before room is made.
fn read_list<T>(
    reader: &mut Reader,
    smallest: usize,
    read: impl Fn(&mut Reader) -> Result<T, ReadError>,
) -> Result<Vec<T>, ReadError> {
    let count = usize::try_from(reader.varint()?).map_err(|_| ReadError::Truncated)?;
    if count > reader.rest().len() / smallest {
        return Err(ReadError::Truncated);
    }
    (0..count).map(|_| read(reader)).collect()
}

fn read_input(reader: &mut Reader) -> Result<Input, ReadError> {
    let input = Input { txid: reader.hash()?, vout: reader.u32()? };
    reader.bytes()?;
    reader.u32()?;
    Ok(input)
}

fn read_output(reader: &mut Reader) -> Result<TxOut, ReadError> {
    Ok(TxOut { value: reader.u64()?, script: Script::from_bytes(reader.bytes()?.to_vec()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::amount::parse_amount;
    use crate::base::display_hash;
    use proptest::prelude::*;
    use serde_json::Value;

    /// The transactions of a block as a node shows them.
    fn transactions(block: &str) -> Vec<Value> {
        let block: Value = serde_json::from_str(block).unwrap();
        block["tx"].as_array().unwrap().clone()
    }

    fn bytes(transaction: &Value) -> Vec<u8> {
        hex::decode(transaction["hex"].as_str().unwrap()).unwrap()
    }

    #[track_caller]
    fn case(block: &str, mweb: usize) {
        let (mut seen, mut refused) = (0, 0);
        for transaction in transactions(block) {
            let read = match Transaction::parse(&bytes(&transaction)) {
                Err(TransactionError::Mweb) => {
                    refused += 1;
                    continue;
                }
                read => read.unwrap(),
            };
            assert_eq!(display_hash(&read.txid), transaction["txid"].as_str().unwrap());
            let outputs = transaction["vout"].as_array().unwrap();
            assert_eq!(read.outputs.len(), outputs.len());
            for (read, output) in read.outputs.iter().zip(outputs) {
                let value = format!("{:.8}", output["value"].as_f64().unwrap());
                assert_eq!(read.value, parse_amount(&value).unwrap());
                assert_eq!(hex::encode(read.script.as_bytes()), output["scriptPubKey"]["hex"].as_str().unwrap());
            }
            for (read, input) in read.inputs.iter().zip(transaction["vin"].as_array().unwrap()) {
                match input["txid"].as_str() {
                    Some(txid) => {
                        assert_eq!(display_hash(&read.txid), txid);
                        assert_eq!(u64::from(read.vout), input["vout"].as_u64().unwrap());
                    }
                    None => assert_eq!(*read, Input { txid: [0; 32], vout: u32::MAX }),
                }
            }
            seen += 1;
        }
        assert!(seen > 0);
        assert_eq!(refused, mweb);
    }

    #[test]
    fn transactions_of_real_blocks_are_read_as_their_nodes_read_them() {
        case(include_str!("../../tests/vectors/btc_getblock2_h111.json"), 0);
        case(include_str!("../../tests/vectors/ltc_getblock2_h2_premweb.json"), 0);
        case(include_str!("../../tests/vectors/ltc_getblock2_h562_mweb_mixed.json"), 1);
    }

    #[test]
    fn what_spends_nothing_or_is_cut_off_is_refused() {
        // As `createrawtransaction []` gives it: no input, one output.
        let unfunded = "02000000000100e1f505000000001976a914000000000000000000000000000000000000000088ac00000000";
        let refused = |text: &str| Transaction::parse(&hex::decode(text).unwrap()).unwrap_err();
        assert_eq!(refused(unfunded), TransactionError::NoInputs);
        assert_eq!(refused("0200000000000000000000"), TransactionError::NoInputs);
        assert_eq!(refused("020000000008"), TransactionError::Mweb);
        assert_eq!(refused("020000000009"), TransactionError::Mweb);
        assert_eq!(refused("020000000002"), TransactionError::Flag(2));
        assert_eq!(refused("02000000ffffffffffffffffff"), TransactionError::Read(ReadError::Truncated));
        let whole = bytes(&transactions(include_str!("../../tests/vectors/btc_getblock2_h111.json"))[1]);
        assert!(Transaction::parse(&whole).is_ok());
        for end in 0..whole.len() {
            assert!(Transaction::parse(&whole[..end]).is_err(), "cut at {end}");
        }
        let longer = [whole.as_slice(), &[0]].concat();
        assert_eq!(Transaction::parse(&longer), Err(TransactionError::Read(ReadError::Trailing)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(data in prop::collection::vec(any::<u8>(), 0..200), place in 0..200usize, byte: u8) {
            let _ = Transaction::parse(&data);
            let mut whole = bytes(&transactions(include_str!("../../tests/vectors/btc_getblock2_h111.json"))[1]);
            let place = place % whole.len();
            whole[place] = byte;
            let _ = Transaction::parse(&whole);
        }
    }
}
