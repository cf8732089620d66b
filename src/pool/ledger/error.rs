//! What a ledger cannot follow.

use std::fmt;

/// An entry that the ledger cannot follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LedgerError {
    /// A judgement of a block that was never found.
    UnknownBlock(String),
    /// The same block found again.
    BlockTwice(String),
    /// A judgement of what was judged for good.
    AfterFinal(String),
    /// A payment out of its order, or a step that its life does not have.
    Payment(String),
    /// The entry's own sums are off.
    Unbalanced(String),
    /// The law does not hold.
    Broken(String),
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LedgerError::UnknownBlock(hash) => write!(f, "block {hash} is judged but was never found"),
            LedgerError::BlockTwice(hash) => write!(f, "block {hash} is found twice"),
            LedgerError::AfterFinal(what) => write!(f, "{what} is judged again after its last judgement"),
            LedgerError::Payment(what) => write!(f, "payment {what}"),
            LedgerError::Unbalanced(what) => write!(f, "an entry does not add up: {what}"),
            LedgerError::Broken(what) => write!(f, "the ledger does not add up: {what}"),
        }
    }
}

impl std::error::Error for LedgerError {}
