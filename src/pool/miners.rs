//! The registry of miners: output script ↔ [`MinerId`]. An id is set aside when an address first authorises and
//! is written with its first credited share; it then names that script in the ledger for ever. An address that
//! leaves without one leaves nothing.

use std::collections::BTreeMap;

use crate::coin::script::Script;

use super::record::MinerId;

/// See the module.
#[derive(Debug, Default)]
pub struct Miners {
    by_id: BTreeMap<MinerId, Script>,
    by_script: BTreeMap<Script, MinerId>,
    /// Ids of those that never had a share credited, each with how many workers use it.
    aspirants: BTreeMap<Script, (MinerId, u32)>,
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

    /// As [`Miners::find`], also of a script that is at work and was not credited yet.
    pub fn find_any(&self, script: &Script) -> Option<MinerId> {
        self.find(script).or_else(|| self.aspirants.get(script).map(|(miner, _)| *miner))
    }

    /// The id that a script has, or will have once it is [inserted](Miners::insert); it is kept for it until it was
    /// [let go](Miners::release) as often. `None` when there are no more: 2^32 addresses have asked since start.
    pub fn reserve(&mut self, script: &Script) -> Option<MinerId> {
        if let Some(miner) = self.find(script) {
            return Some(miner);
        }
        if let Some((miner, holders)) = self.aspirants.get_mut(script) {
            *holders += 1;
            return Some(*miner);
        }
        let miner = self.next;
        self.next = miner.checked_add(1)?;
        self.aspirants.insert(script.clone(), (miner, 1));
        Some(miner)
    }

    /// Gives up one [`Miners::reserve`]. The id is not given to another script: workers that are gone may be shown
    /// under it.
    pub fn release(&mut self, script: &Script) {
        if let Some((_, holders)) = self.aspirants.get_mut(script) {
            *holders -= 1;
            if *holders == 0 {
                self.aspirants.remove(script);
            }
        }
    }

    /// Makes the pair permanent; `false` if it was already.
    pub fn insert(&mut self, miner: MinerId, script: Script) -> bool {
        self.next = self.next.max(miner.saturating_add(1));
        self.aspirants.remove(&script);
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
        assert_eq!(miners.reserve(&script(7)), Some(7));
        assert_eq!(miners.reserve(&script(8)), Some(8));
        assert!(miners.insert(8, script(8)));
        assert!(!miners.insert(8, script(8)));
        assert_eq!(miners.reserve(&script(9)), Some(9));
        assert_eq!((miners.find(&script(9)), miners.script(9)), (None, None), "asking makes nothing permanent");
        assert_eq!(miners.find_any(&script(9)), Some(9));
    }

    #[test]
    fn those_who_never_work_leave_nothing_and_get_no_id_of_anothers() {
        let mut miners = Miners::default();
        assert_eq!((miners.reserve(&script(1)), miners.reserve(&script(1))), (Some(0), Some(0)));
        miners.release(&script(1));
        assert_eq!(miners.reserve(&script(1)), Some(0), "somebody still uses it");
        miners.release(&script(1));
        miners.release(&script(1));
        assert_eq!((miners.find_any(&script(1)), miners.aspirants.len()), (None, 0));
        assert_eq!((miners.reserve(&script(2)), miners.reserve(&script(1))), (Some(1), Some(2)));
        assert!(miners.insert(2, script(1)));
        miners.release(&script(1));
        assert_eq!(miners.find(&script(1)), Some(2), "work is for ever");
    }

    #[test]
    fn the_last_id_is_followed_by_none_rather_than_by_the_first() {
        let mut miners = Miners::restore(&[(MinerId::MAX - 1, vec![1])]);
        assert_eq!(miners.reserve(&script(2)), None);
        assert_eq!(miners.reserve(&script(1)), Some(MinerId::MAX - 1));
    }
}
