//! What ties a pool's ledger to its chains: the journal names a chain by its place alone, so that the coins and networks,
//! in their order, are recorded beside it. Copied wherever the ledger goes.

use super::StoreError;

/// The record's key among those about the whole file.
pub(super) fn key(pool: &str) -> String {
    format!("{pool}{SUFFIX}")
}

/// The pool whose record has this key.
pub(super) fn pool_of(key: &str) -> Option<&str> {
    key.strip_suffix(SUFFIX)
}

const SUFFIX: &str = ".chains";

/// Whether a ledger of the chains that are `recorded` may be carried on with those that are configured: the same, with
/// merge-mined ones added behind them at most.
pub fn check(pool: &str, recorded: &str, configured: &str) -> Result<(), StoreError> {
    if configured == recorded || configured.starts_with(&format!("{recorded}, ")) {
        return Ok(());
    }
    let [pool, recorded, configured] = [pool, recorded, configured].map(str::to_string);
    Err(StoreError::OtherChains { pool, recorded, configured })
}
