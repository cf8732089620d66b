//! Where a process dies: at each kind of commit, and between every two steps of a block's and a payment's life.

use edgepool::pool::record::{Batch, Entry, PaymentStatus};

/// What a commit carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Shares,
    BlockFound,
    /// Of both chains, by one nonce.
    BothFound,
    BlockJudged,
    Term,
    Named,
    PaymentQueued,
    PaymentSigned,
    PaymentSent,
    PaymentEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Nothing of the batch is on disk.
    Before(Kind),
    /// All of it is, and nobody was told.
    After(Kind),
    /// A share solved a block; nothing else was done.
    Found,
    /// A node was asked to take the block, and nobody heard the answer.
    Submitted,
    /// The answer was heard.
    Answered,
    /// A node was asked where the block is, and the answer was heard.
    LookedFor,
    Queued,
    /// The wallet has put the transaction together.
    Built,
    /// The wallet has signed it.
    Signed,
    /// The wallet has it to send, and nobody heard the answer.
    Sent,
    /// The answer was heard.
    SendAnswered,
    /// The wallet has told how deep it is.
    Watched,
}

pub const POINTS: [Point; 30] = [
    Point::Before(Kind::Shares),
    Point::Before(Kind::BlockFound),
    Point::Before(Kind::BothFound),
    Point::Before(Kind::Named),
    Point::Before(Kind::BlockJudged),
    Point::Before(Kind::Term),
    Point::Before(Kind::PaymentQueued),
    Point::Before(Kind::PaymentSigned),
    Point::Before(Kind::PaymentSent),
    Point::Before(Kind::PaymentEnd),
    Point::After(Kind::Shares),
    Point::After(Kind::BlockFound),
    Point::After(Kind::BothFound),
    Point::After(Kind::Named),
    Point::After(Kind::BlockJudged),
    Point::After(Kind::Term),
    Point::After(Kind::PaymentQueued),
    Point::After(Kind::PaymentSigned),
    Point::After(Kind::PaymentSent),
    Point::After(Kind::PaymentEnd),
    Point::Found,
    Point::Submitted,
    Point::Answered,
    Point::LookedFor,
    Point::Queued,
    Point::Built,
    Point::Signed,
    Point::Sent,
    Point::SendAnswered,
    Point::Watched,
];

impl Point {
    /// The point after a node has answered, or the wallet.
    pub fn after_answer(method: &str) -> Option<Point> {
        Some(match method {
            "submitblock" | "submitauxblock" => Point::Answered,
            "getblockhash" => Point::LookedFor,
            "fundrawtransaction" => Point::Built,
            "signrawtransactionwithwallet" | "signrawtransaction" => Point::Signed,
            "sendrawtransaction" => Point::SendAnswered,
            "gettransaction" => Point::Watched,
            _ => return None,
        })
    }

    /// The point before the answer is heard.
    pub fn before_answer(method: &str) -> Option<Point> {
        match method {
            "submitblock" | "submitauxblock" => Some(Point::Submitted),
            "sendrawtransaction" => Some(Point::Sent),
            _ => None,
        }
    }
}

pub fn kinds(batch: &Batch) -> Vec<Kind> {
    let kind = |entry: &Entry| match entry {
        Entry::TermSet(_) => Kind::Term,
        Entry::AddressNamed(_) => Kind::Named,
        Entry::BlockFound(_) => Kind::BlockFound,
        Entry::BlockJudged(_) => Kind::BlockJudged,
        Entry::PaymentQueued(_) => Kind::PaymentQueued,
        Entry::PaymentSigned(_) => Kind::PaymentSigned,
        Entry::PaymentJudged(judged) if judged.status == PaymentStatus::Sent => Kind::PaymentSent,
        Entry::PaymentJudged(_) => Kind::PaymentEnd,
    };
    let mut kinds: Vec<Kind> = batch.journal.iter().map(|(_, entry)| kind(entry)).collect();
    let found = |chain: u8| {
        batch.journal.iter().any(|(_, entry)| matches!(entry, Entry::BlockFound(found) if found.chain == chain))
    };
    if found(0) && found(1) {
        kinds.push(Kind::BothFound);
    }
    if !batch.cells.is_empty() {
        kinds.push(Kind::Shares);
    }
    kinds
}
