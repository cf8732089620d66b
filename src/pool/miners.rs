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

    /// The id that a script has, or will have once it is [inserted](Miners::insert). `None` when there are no
    /// more: 2^32 addresses have asked since start.
    pub fn find_or_next(&mut self, script: &Script) -> Option<MinerId> {
        self.find(script).or_else(|| {
            let miner = self.next;
            self.next = miner.checked_add(1)?;
            Some(miner)
        })
    }

    /// Makes the pair permanent; `false` if it was already.
    pub fn insert(&mut self, miner: MinerId, script: Script) -> bool {
        self.next = self.next.max(miner.saturating_add(1));
        self.by_script.insert(script.clone(), miner);
        self.by_id.insert(miner, script).is_none()
    }

    /// The script of a credited miner.
    pub fn script(&self, miner: MinerId) -> Option<&Script> {
        self.by_id.get(&miner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(name: u8) -> Script {
        Script::from_bytes(vec![name])
    }

    #[test]
    fn an_id_that_was_written_is_never_given_again() {
        let mut miners = Miners::restore(&[(3, vec![3]), (7, vec![7])]);
        assert_eq!(miners.find_or_next(&script(7)), Some(7));
        assert_eq!(miners.find_or_next(&script(8)), Some(8));
        assert!(miners.insert(8, script(8)));
        assert!(!miners.insert(8, script(8)));
        assert_eq!(miners.find_or_next(&script(9)), Some(9));
        assert_eq!((miners.find(&script(9)), miners.script(9)), (None, None), "asking makes nothing permanent");
    }

    #[test]
    fn the_last_id_is_followed_by_none_rather_than_by_the_first() {
        let mut miners = Miners::restore(&[(MinerId::MAX - 1, vec![1])]);
        assert_eq!(miners.find_or_next(&script(2)), None);
        assert_eq!(miners.find_or_next(&script(1)), Some(MinerId::MAX - 1));
    }
}
