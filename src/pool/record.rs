//! What is written to the ledger: the journal of money events, the cells of the contribution window, and
//! the batch that carries both to disk. Encoded with postcard, so variants and fields are only ever
//! appended under a new schema version. Never touches the disk itself.

use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::base::Hash32;

/// Names a miner's output script in the ledger, for ever.
pub type MinerId = u32;

/// Where the pool stood when a batch was made. The first thing read at start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockMark {
    /// The pool's own time (see `clock`), in milliseconds.
    pub pool_ms: u64,
    /// The system's clock, in milliseconds since 1970.
    pub wall_ms: u64,
    /// Work accepted since the ledger began, in difficulty units.
    pub total_work: u128,
    /// Shares accepted since the ledger began.
    pub total_shares: u64,
}

/// Names one cell of the contribution window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CellKey {
    /// Start of the time slot, in the pool's time, in milliseconds.
    pub slot_start_ms: u64,
    /// Whose work it is.
    pub miner: MinerId,
}

/// What one miner did in one time slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// Work in difficulty units.
    pub work: u64,
    /// Accepted shares.
    pub shares: u32,
}

/// One event of the journal. Balances, blocks and terms are what [`super::ledger::Ledger::apply`] makes of
/// these, in order; nothing else changes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// The operator changed a term while the pool ran.
    TermSet(TermSet),
    /// A share solved a block. Written before the block is submitted.
    BlockFound(Box<BlockFound>),
    /// What became of a block.
    BlockJudged(BlockJudged),
}

/// When something happened: in the pool's time, and by the system's clock at that moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The pool's time, in milliseconds.
    pub pool_ms: u64,
    /// Milliseconds since 1970, as far as the board knew.
    pub wall_ms: u64,
}

/// A term of one chain, and the configured value that it overrides. When the configuration file says
/// something else at a later start, the file wins again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TermSet {
    /// Index of the chain in its pool; the parent is 0.
    pub chain: u8,
    /// When.
    pub at: Stamp,
    /// The new value.
    pub to: Term,
    /// The value in the configuration file at that time.
    pub configured: Term,
}

/// One of the terms that can be changed while the pool runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Term {
    /// The fee in parts per million.
    FeePpm(u32),
    /// The pool's output script.
    PoolScript(Vec<u8>),
    /// The minimum payout in base units.
    MinPayout(u64),
}

/// A found block with everything that is needed to share it out again by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockFound {
    /// Index of the chain in its pool.
    pub chain: u8,
    /// The block's id, internal byte order.
    pub hash: Hash32,
    /// Its height.
    pub height: u32,
    /// When its share arrived.
    pub at: Stamp,
    /// Who found it.
    pub finder: MinerId,
    /// The finder's worker name.
    pub worker: String,
    /// The network's difficulty, in difficulty units.
    pub network_difficulty: u64,
    /// [`ClockMark::total_work`] at that time: two blocks' difference is the work between them.
    pub total_work: u128,
    /// The coinbase's value in base units.
    pub value: u64,
    /// The fee in force, in parts per million.
    pub fee_ppm: u32,
    /// The minimum payout in force, in base units.
    pub min_payout: u64,
    /// The most outputs in force.
    pub max_outputs: u32,
    /// Who the pool's output paid.
    pub pool_script: Vec<u8>,
    /// What the pool's output holds, in base units; 0 when it was left out.
    pub pool_amount: u64,
    /// Every miner that worked in the window or was paid.
    pub parts: Vec<Part>,
}

/// One miner's part in one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Whose.
    pub miner: MinerId,
    /// Work in the window when the job was made, in difficulty units.
    pub work: u64,
    /// Owed to the miner when the job was made, in base units.
    pub balance_before: i64,
    /// The miner's part of this block, in base units.
    pub entitled: u64,
    /// What the coinbase paid the miner, in base units.
    pub paid: u64,
}

/// What became of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockJudged {
    /// Index of the chain in its pool.
    pub chain: u8,
    /// Which block.
    pub hash: Hash32,
    /// When.
    pub at: Stamp,
    /// The judgement.
    pub status: BlockStatus,
}

/// The life of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockStatus {
    /// Written, on its way to the nodes; counts as paid until judged otherwise.
    Submitted,
    /// In the main chain by a node's own word (`getblockhash`).
    Accepted,
    /// Every node refused it, with the reason given; it never paid anybody.
    Rejected(String),
    /// The chain went on without it, beyond recall; it never paid anybody.
    Orphaned(String),
}

impl BlockStatus {
    /// Whether the block's payments count.
    pub fn is_live(&self) -> bool {
        match self {
            BlockStatus::Submitted | BlockStatus::Accepted => true,
            BlockStatus::Rejected(_) | BlockStatus::Orphaned(_) => false,
        }
    }

    /// The status as RPC shows it.
    pub fn name(&self) -> &'static str {
        match self {
            BlockStatus::Submitted => "submitted",
            BlockStatus::Accepted => "accepted",
            BlockStatus::Rejected(_) => "rejected",
            BlockStatus::Orphaned(_) => "orphaned",
        }
    }
}

/// What one commit writes for one pool: all of it or nothing.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Where the pool stands.
    pub clock: ClockMark,
    /// New journal entries with their sequence numbers, from 1 without gaps.
    pub journal: Vec<(u64, Entry)>,
    /// Cells with their new absolute content.
    pub cells: Vec<(CellKey, Cell)>,
    /// Cells of slots that start before this left the window.
    pub forget_cells_before_ms: Option<u64>,
    /// Miners seen for the first time, with their output scripts.
    pub miners: Vec<(MinerId, Vec<u8>)>,
    /// Whole blocks, kept until a node answers for good.
    pub blocks: Vec<(Hash32, Rc<[u8]>)>,
    /// Blocks that need not be submitted again.
    pub settled_blocks: Vec<Hash32>,
}

/// What was found on disk at start.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// The last mark; `None` for a new ledger.
    pub clock: Option<ClockMark>,
    /// Every miner ever credited.
    pub miners: Vec<(MinerId, Vec<u8>)>,
    /// The cells of the window.
    pub cells: Vec<(CellKey, Cell)>,
    /// The whole journal in order.
    pub journal: Vec<(u64, Entry)>,
    /// Blocks that no node has answered for.
    pub blocks: Vec<(Hash32, Vec<u8>)>,
}
