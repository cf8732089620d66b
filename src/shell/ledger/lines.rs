//! The lines of an exported ledger: one JSON object each, the same on every machine, in this order: header; for each
//! pool its clock, miners, cells, journal and kept blocks; end. Never longer than what it is about.

use bitcoin_hashes::HashEngine as _;
use bitcoin_hashes::sha256::{self, HashEngine};
use serde::{Deserialize, Serialize};

use crate::base::{Hash32, written};
use crate::pool::record::{Cell, CellKey, ClockMark, Entry, MinerId};

/// One line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Line {
    Header(Header),
    Clock(Clock),
    Miner(Miner),
    Cell(CellLine),
    Entry(Box<EntryLine>),
    Block(Block),
    End(End),
}

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    /// The ledger's format.
    pub(super) schema: u32,
    /// The pools, in the order in which they follow.
    pub(super) pools: Vec<String>,
}

/// Where a pool stands; a pool without one has nothing.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Clock {
    pub(super) pool: String,
    pool_ms: u64,
    wall_ms: u64,
    #[serde(with = "written::wide")]
    total_work: u128,
    total_shares: u64,
    /// The chains that the ledger is tied to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) chains: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Miner {
    pub(super) pool: String,
    pub(super) miner: MinerId,
    #[serde(with = "written::bytes")]
    pub(super) script: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CellLine {
    pub(super) pool: String,
    slot_start_ms: u64,
    miner: MinerId,
    work: u64,
    shares: u32,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EntryLine {
    pub(super) pool: String,
    pub(super) seq: u64,
    /// The entry's link in the chain of the journal, hexadecimal: holds also over an export.
    #[serde(with = "link")]
    pub(super) link: Hash32,
    pub(super) entry: Entry,
}

/// A block that no node has answered for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Block {
    pub(super) pool: String,
    #[serde(with = "written::hash")]
    pub(super) hash: Hash32,
    #[serde(with = "written::bytes")]
    pub(super) bytes: Vec<u8>,
}

/// The last line, without which the file was cut short.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct End {
    /// How many lines are before it.
    pub(super) lines: u64,
    /// The hash of all their bytes, SHA-256 as `sha256sum` prints it: none of them was altered.
    pub(super) sha256: String,
}

/// Hashes lines as they go by.
#[derive(Clone)]
pub(super) struct Sum(HashEngine);

impl Sum {
    /// Of nothing yet.
    pub(super) fn new() -> Sum {
        Sum(sha256::Hash::engine())
    }

    /// Takes in a line without its end.
    pub(super) fn take(&mut self, line: &[u8]) {
        self.0.input(line);
        self.0.input(b"\n");
    }

    /// The hash of all lines so far, in hexadecimal.
    pub(super) fn text(&self) -> String {
        hex::encode(sha256::Hash::from_engine(self.0.clone()).to_byte_array())
    }
}

impl Clock {
    pub(super) fn new(pool: &str, mark: &ClockMark, chains: Option<String>) -> Clock {
        let ClockMark { pool_ms, wall_ms, total_work, total_shares } = *mark;
        Clock { pool: pool.into(), pool_ms, wall_ms, total_work, total_shares, chains }
    }

    pub(super) fn mark(&self) -> ClockMark {
        let Clock { pool_ms, wall_ms, total_work, total_shares, .. } = *self;
        ClockMark { pool_ms, wall_ms, total_work, total_shares }
    }
}

impl CellLine {
    pub(super) fn new(pool: &str, key: CellKey, cell: Cell) -> CellLine {
        let (CellKey { slot_start_ms, miner }, Cell { work, shares }) = (key, cell);
        CellLine { pool: pool.into(), slot_start_ms, miner, work, shares }
    }

    pub(super) fn cell(&self) -> (CellKey, Cell) {
        let CellLine { slot_start_ms, miner, work, shares, .. } = *self;
        (CellKey { slot_start_ms, miner }, Cell { work, shares })
    }
}

mod link {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::base::Hash32;

    pub(super) fn serialize<S: Serializer>(link: &Hash32, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&hex::encode(link))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Hash32, D::Error> {
        let mut link = [0; 32];
        hex::decode_to_slice(String::deserialize(from)?, &mut link).map_err(de::Error::custom)?;
        Ok(link)
    }
}
