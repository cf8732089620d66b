//! A block shared out again, so that a planted fault adds up: everything in the entry follows from it.

use edgepool::coin::script::Script;
use edgepool::pool::record::{BlockFound, MinerId, Part, Payout};
use edgepool::pool::split::redo;

/// Shares the block out again among `parts`, each paid at the script that `payee` gives, or owed.
pub fn share(found: &mut BlockFound, parts: &[Part], payee: impl Fn(MinerId) -> Option<Script>) {
    let split = redo(found, parts, |part| payee(part.miner));
    found.outputs = split.paid.iter().map(|(miner, _, amount)| Payout { miner: *miner, amount: *amount }).collect();
    (found.pool_amount, found.parts) = (split.pool_amount, split.parts);
}
