//! What is written to the ledger: the journal of money events, the cells of the contribution window, and
//! the batch that carries both to disk. Encoded with postcard, so variants and fields are only ever
//! appended under a new schema version. Never touches the disk itself.

use std::ops::ControlFlow;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::base::{Hash32, written};

/// Names a miner's output script, or its [`super::identity::Identity`], in the ledger, for ever.
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

/// One event of the journal. Balances, blocks, payments and terms are what
/// [`super::ledger::Ledger::apply`] makes of these, in order; nothing else changes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// The operator changed a term while the pool ran.
    TermSet(TermSet),
    /// A share solved a block. Written before the block is submitted.
    BlockFound(Box<BlockFound>),
    /// What became of a block.
    BlockJudged(BlockJudged),
    /// A payment from the wallet is wanted.
    PaymentQueued(PaymentQueued),
    /// The payment's transaction is signed. Written before it is sent.
    PaymentSigned(Box<PaymentSigned>),
    /// What became of a payment.
    PaymentJudged(PaymentJudged),
    /// An address was named for an account that had none on its chain.
    AddressNamed(AddressNamed),
}

/// When something happened: in the pool's time, and by the system's clock at that moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    PoolScript(#[serde(with = "written::bytes")] Vec<u8>),
    /// The minimum payout in base units.
    MinPayout(u64),
}

/// A found block with everything that is needed to share it out again by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockFound {
    /// Index of the chain in its pool.
    pub chain: u8,
    /// The block's id.
    #[serde(with = "written::hash")]
    pub hash: Hash32,
    /// Its height.
    pub height: u32,
    /// When its share arrived.
    pub at: Stamp,
    /// When the job was made whose payouts it carries.
    pub job_at: Stamp,
    /// Who found it.
    pub finder: MinerId,
    /// The finder's worker name.
    pub worker: String,
    /// The network's difficulty, in difficulty units.
    pub network_difficulty: u64,
    /// [`ClockMark::total_work`] at that time: two blocks' difference is the work between them.
    #[serde(with = "written::wide")]
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
    #[serde(with = "written::bytes")]
    pub pool_script: Vec<u8>,
    /// What the pool's output holds, in base units; 0 when it was left out. It is the last that pays anybody.
    pub pool_amount: u64,
    /// What the coinbase paid to miners, in the order of its outputs.
    pub outputs: Vec<Payout>,
    /// Every miner that worked in the window or was paid, by id.
    pub parts: Vec<Part>,
    /// The entry was made from the chain's own coinbase after the ledger was lost: the work in the window is
    /// not known any more, and who was not paid had nothing.
    pub rebuilt: bool,
}

/// One output of a coinbase that pays a miner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// Whom.
    pub miner: MinerId,
    /// In base units.
    pub amount: u64,
}

/// One miner's part in one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Whose.
    pub miner: MinerId,
    /// Work in the window when the job was made, in difficulty units.
    pub work: u64,
    /// Owed to the miner and free to be paid when the job was made, in base units.
    pub balance_before: i64,
    /// The miner's part of this block, in base units.
    pub entitled: u64,
}

/// What became of a block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockJudged {
    /// Index of the chain in its pool.
    pub chain: u8,
    /// Which block.
    #[serde(with = "written::hash")]
    pub hash: Hash32,
    /// When.
    pub at: Stamp,
    /// The judgement.
    pub status: BlockStatus,
    /// Whether it is the last one: the chain is so far past the block that nothing is expected to change it.
    pub is_final: bool,
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
    /// The main chain has another block in its place; it pays nobody, unless the chain comes back to it.
    Orphaned(String),
    /// In the main chain, and as deep as the coin's maturity.
    Confirmed,
}

impl BlockStatus {
    /// Whether the block's payments may count.
    pub fn is_live(&self) -> bool {
        match self {
            BlockStatus::Submitted | BlockStatus::Accepted | BlockStatus::Confirmed => true,
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
            BlockStatus::Confirmed => "confirmed",
        }
    }
}

/// A payment from the wallet that somebody asked for. What it will hold is decided when it is built.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentQueued {
    /// Index of the chain in its pool.
    pub chain: u8,
    /// Names the payment among those of its chain: 1, 2, 3 …
    pub payment: u64,
    /// When.
    pub at: Stamp,
    /// Who is to be paid; everybody when empty.
    pub wanted: Vec<MinerId>,
    /// Nobody is paid less than this, in base units.
    pub threshold: u64,
    /// By the schedule, not by an operator.
    pub is_scheduled: bool,
}

/// A payment that is signed, with the very bytes that are sent, now and after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentSigned {
    /// Index of the chain in its pool.
    pub chain: u8,
    /// Which payment.
    pub payment: u64,
    /// When.
    pub at: Stamp,
    /// The transaction's id.
    #[serde(with = "written::hash")]
    pub txid: Hash32,
    /// The whole transaction, as it is sent.
    #[serde(with = "written::bytes")]
    pub bytes: Vec<u8>,
    /// The coins that it spends.
    pub inputs: Vec<OutPoint>,
    /// Whom it pays, in the order of its outputs. What is left over goes back to the wallet.
    pub outputs: Vec<PaymentOutput>,
    /// The network's fee as the wallet gave it, in base units.
    pub fee: u64,
}

/// An output of an earlier transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OutPoint {
    /// The transaction's id.
    #[serde(with = "written::hash")]
    pub txid: Hash32,
    /// Index of the output.
    pub vout: u32,
}

/// One miner's output of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentOutput {
    /// Whom.
    pub miner: MinerId,
    /// Taken off the balance, in base units.
    pub amount: u64,
    /// What arrives: less than `amount` by the miner's part of the network's fee where receivers bear it.
    pub received: u64,
}

/// What became of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentJudged {
    /// Index of the chain in its pool.
    pub chain: u8,
    /// Which payment.
    pub payment: u64,
    /// When.
    pub at: Stamp,
    /// The judgement.
    pub status: PaymentStatus,
}

/// The life of a payment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PaymentStatus {
    /// Waits for the wallet. Holds no balance yet.
    Queued,
    /// Signed and written; its balances are reserved until the end of its life.
    Signed,
    /// Taken by a node.
    Sent,
    /// In the main chain under as many blocks as are asked for; balances are reduced by it. Final.
    Settled {
        /// Height of its block.
        height: u32,
        /// Its block.
        #[serde(with = "written::hash")]
        block: Hash32,
    },
    /// It can never confirm: a coin that it spends was spent otherwise, beyond recall. Balances are free
    /// again. Final.
    Conflicted(String),
    /// Given up before it was signed. Final.
    Dropped(String),
}

impl PaymentStatus {
    /// The status as RPC shows it.
    pub fn name(&self) -> &'static str {
        match self {
            PaymentStatus::Queued => "queued",
            PaymentStatus::Signed => "signed",
            PaymentStatus::Sent => "sent",
            PaymentStatus::Settled { .. } => "settled",
            PaymentStatus::Conflicted(_) => "conflicted",
            PaymentStatus::Dropped(_) => "dropped",
        }
    }

    /// Whether nothing can follow.
    pub fn is_final(&self) -> bool {
        match self {
            PaymentStatus::Queued | PaymentStatus::Signed | PaymentStatus::Sent => false,
            PaymentStatus::Settled { .. } | PaymentStatus::Conflicted(_) | PaymentStatus::Dropped(_) => true,
        }
    }
}

/// Where an account of a merge-mined chain is paid, that is known by an address of the parent chain which has no
/// counterpart there. The latest holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressNamed {
    /// Index of the chain in its pool.
    pub chain: u8,
    /// Whose account.
    pub miner: MinerId,
    /// When.
    pub at: Stamp,
    /// The output script.
    #[serde(with = "written::bytes")]
    pub script: Vec<u8>,
    /// By the operator; otherwise by the miner's own rigs.
    pub by_operator: bool,
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
    /// Miners seen for the first time, as [`super::identity::Identity::to_bytes`] writes them.
    pub miners: Vec<(MinerId, Vec<u8>)>,
    /// Whole blocks, kept until a node answers for good.
    pub blocks: Vec<(Hash32, Rc<[u8]>)>,
    /// Blocks that need not be submitted again.
    pub settled_blocks: Vec<Hash32>,
}

impl Batch {
    /// Whether it tells of nothing but the time.
    pub fn is_empty(&self) -> bool {
        let Batch { clock: _, journal, cells, forget_cells_before_ms: _, miners, blocks, settled_blocks } = self;
        journal.is_empty() && cells.is_empty() && miners.is_empty() && blocks.is_empty() && settled_blocks.is_empty()
    }
}

/// What was found on disk at start, but for the journal, which is read entry by entry.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recovered {
    /// The last mark; `None` for a new ledger.
    pub clock: Option<ClockMark>,
    /// Every miner ever credited, as [`super::identity::Identity::to_bytes`] wrote it.
    pub miners: Vec<(MinerId, Vec<u8>)>,
    /// The cells of the window.
    pub cells: Vec<(CellKey, Cell)>,
    /// Blocks that no node has answered for.
    pub blocks: Vec<(Hash32, Vec<u8>)>,
}

/// The journal as it is on disk, read back: at start, for proofs and histories, and to verify.
pub trait Journal {
    /// Gives the entries from number `from` on, in order, until `each` answers [`ControlFlow::Break`] or there
    /// are no more. The error says what can't be read.
    fn visit(&self, from: u64, each: &mut dyn FnMut(u64, Entry) -> ControlFlow<()>) -> Result<(), String>;

    /// One entry; `None` when there is none of that number.
    fn entry(&self, seq: u64) -> Result<Option<Entry>, String> {
        let mut found = None;
        self.visit(seq, &mut |number, entry| {
            found = (number == seq).then_some(entry);
            ControlFlow::Break(())
        })?;
        Ok(found)
    }
}
