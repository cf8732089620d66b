//! The registry of miners: output script ↔ [`MinerId`]. An id is given when an address first authorises and
//! is written with its first credited share; it then names that script in the ledger for ever.

use std::collections::BTreeMap;

use crate::coin::script::Script;

use super::record::MinerId;

/// See the module.
#[derive(Debug, Default)]
pub struct Miners {
    by_id: BTreeMap<MinerId, Script>,
    by_script: BTreeMap<Script, MinerId>,
    next: MinerId,
}

impl Miners {
    /// The registry as it was on disk.
    pub fn restore(miners: &[(MinerId, Vec<u8>)]) -> Miners {
        let mut registry = Miners::default();
        for (miner, script) in miners {
            registry.insert(*miner, Script::from_bytes(script.clone()));
        }
        registry
    }

    /// The id of a script that was credited before.
    pub fn find(&self, script: &Script) -> Option<MinerId> {
        self.by_script.get(script).copied()
    }

    /// The id that a script has, or will have once it is [inserted](Miners::insert).
    pub fn find_or_next(&mut self, script: &Script) -> MinerId {
        self.find(script).unwrap_or_else(|| {
            let miner = self.next;
            self.next += 1;
            miner
        })
    }

    /// Makes the pair permanent; `false` if it was already.
    pub fn insert(&mut self, miner: MinerId, script: Script) -> bool {
        self.next = self.next.max(miner + 1);
        self.by_script.insert(script.clone(), miner);
        self.by_id.insert(miner, script).is_none()
    }

    /// The script of a credited miner.
    pub fn script(&self, miner: MinerId) -> Option<&Script> {
        self.by_id.get(&miner)
    }
}
