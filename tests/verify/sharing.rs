//! A block shared out again, so that a planted fault adds up: everything in the entry follows from it.

use edgepool::coin::script::Script;
use edgepool::pool::record::{BlockFound, MinerId, Part, Payout};
use edgepool::pool::spec::Terms;
use edgepool::pool::split::{Claim, split};

/// Shares the block out again among `parts`, each paid at the script that `payee` gives, or owed.
pub fn share(found: &mut BlockFound, parts: &[Part], payee: impl Fn(MinerId) -> Option<Script>) {
    let scripts: Vec<Option<Script>> = parts.iter().map(|part| payee(part.miner)).collect();
    let claims: Vec<Claim> = parts
        .iter()
        .zip(&scripts)
        .map(|(part, script)| Claim {
            miner: part.miner,
            script: script.as_ref(),
            work: part.work,
            balance: part.balance_before,
        })
        .collect();
    let terms = Terms {
        pool_script: Script::from_bytes(found.pool_script.clone()),
        fee_ppm: found.fee_ppm,
        min_payout: found.min_payout,
        max_outputs: found.max_outputs,
    };
    let split = split(found.value, &terms, &claims);
    found.outputs = split.paid.iter().map(|(miner, _, amount)| Payout { miner: *miner, amount: *amount }).collect();
    (found.pool_amount, found.parts) = (split.pool_amount, split.parts);
}
