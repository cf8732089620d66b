//! The registry of miners: [`Identity`] ↔ [`MinerId`]. An id is set aside when a rig first authorises itself and is
//! written with its first credited share; it then names that identity in the ledger for ever. One that leaves without
//! a credit leaves nothing.

use std::collections::BTreeMap;

use crate::coin::script::Script;

use super::identity::Identity;
use super::record::MinerId;

/// See the module.
#[derive(Debug, Default)]
pub struct Miners {
    by_id: BTreeMap<MinerId, Identity>,
    by_identity: BTreeMap<Identity, MinerId>,
    /// Ids of those that never had a share credited, each with how many workers use it.
    aspirants: BTreeMap<Identity, (MinerId, u32)>,
    next: MinerId,
}

impl Miners {
    /// The registry as it was on disk. The error names a record that can't be read.
    pub fn restore(miners: &[(MinerId, Vec<u8>)]) -> Result<Miners, MinerId> {
        let mut registry = Miners::default();
        for (miner, bytes) in miners {
            registry.insert(*miner, Identity::from_bytes(bytes).ok_or(*miner)?);
        }
        Ok(registry)
    }

    /// The id of an identity that was credited before, or that has an account for the work of another.
    pub fn find(&self, identity: &Identity) -> Option<MinerId> {
        self.by_identity.get(identity).copied()
    }

    /// Every id that works, or did, for a script of the parent chain, whatever it names beside it, and whether or not
    /// it was credited yet. In the order of what they name: the plain one first.
    pub fn all_of<'a>(&'a self, script: &'a Script) -> impl Iterator<Item = MinerId> + 'a {
        let first = Identity::from(script.clone());
        let known = self.by_identity.range(first.clone()..).map(|(identity, miner)| (identity, *miner));
        let aspirants = self.aspirants.range(first..).map(|(identity, (miner, _))| (identity, *miner));
        let known = known.take_while(move |(identity, _)| identity.script() == script);
        let aspirants = aspirants.take_while(move |(identity, _)| identity.script() == script);
        known.chain(aspirants).map(|(_, miner)| miner)
    }

    /// The id that an identity has, or will have once it is [inserted](Miners::insert); it is kept for it until it was
    /// [let go](Miners::release) as often. `None` when there are no more: 2^32 addresses have asked since start.
    pub fn reserve(&mut self, identity: &Identity) -> Option<MinerId> {
        if let Some(miner) = self.by_identity.get(identity) {
            return Some(*miner);
        }
        if let Some((miner, holders)) = self.aspirants.get_mut(identity) {
            *holders += 1;
            return Some(*miner);
        }
        let miner = self.next;
        self.next = miner.checked_add(1)?;
        self.aspirants.insert(identity.clone(), (miner, 1));
        Some(miner)
    }

    /// Gives up one [`Miners::reserve`]. The id is not given to another identity: workers that are gone may be shown
    /// under it.
    pub fn release(&mut self, identity: &Identity) {
        if let Some((_, holders)) = self.aspirants.get_mut(identity) {
            *holders -= 1;
            if *holders == 0 {
                self.aspirants.remove(identity);
            }
        }
    }

    /// Makes the pair permanent; `false` if it was already.
    pub fn insert(&mut self, miner: MinerId, identity: Identity) -> bool {
        self.next = self.next.max(miner.saturating_add(1));
        self.aspirants.remove(&identity);
        self.by_identity.insert(identity.clone(), miner);
        self.by_id.insert(miner, identity).is_none()
    }

    /// The identity of a credited miner.
    pub fn identity(&self, miner: MinerId) -> Option<&Identity> {
        self.by_id.get(&miner)
    }

    /// The script of a credited miner: of the parent chain, unless the miner is only paid on another.
    pub fn script(&self, miner: MinerId) -> Option<&Script> {
        self.by_id.get(&miner).map(Identity::script)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(name: u8) -> Script {
        Script::from_bytes(vec![name])
    }

    fn plain(name: u8) -> Identity {
        script(name).into()
    }

    #[test]
    fn an_id_that_was_written_is_never_given_again() {
        let mut miners = Miners::restore(&[(3, vec![3]), (7, vec![7])]).unwrap();
        assert_eq!(miners.reserve(&plain(7)), Some(7));
        assert_eq!(miners.reserve(&plain(8)), Some(8));
        assert!(miners.insert(8, plain(8)));
        assert!(!miners.insert(8, plain(8)));
        assert_eq!(miners.reserve(&plain(9)), Some(9));
        assert_eq!((miners.find(&plain(9)), miners.script(9)), (None, None), "asking makes nothing permanent");
        assert_eq!(miners.all_of(&script(9)).collect::<Vec<_>>(), [9]);
    }

    #[test]
    fn those_who_never_work_leave_nothing_and_get_no_id_of_anothers() {
        let mut miners = Miners::default();
        assert_eq!((miners.reserve(&plain(1)), miners.reserve(&plain(1))), (Some(0), Some(0)));
        miners.release(&plain(1));
        assert_eq!(miners.reserve(&plain(1)), Some(0), "somebody still uses it");
        miners.release(&plain(1));
        miners.release(&plain(1));
        assert_eq!((miners.all_of(&script(1)).next(), miners.aspirants.len()), (None, 0));
        assert_eq!((miners.reserve(&plain(2)), miners.reserve(&plain(1))), (Some(1), Some(2)));
        assert!(miners.insert(2, plain(1)));
        miners.release(&plain(1));
        assert_eq!(miners.find(&plain(1)), Some(2), "work is for ever");
    }

    #[test]
    fn all_that_work_for_one_script_are_found_by_it() {
        let mut miners = Miners::default();
        let pair = |name: u8| Identity::new(script(5), vec![(1, script(name))]);
        for (miner, identity) in [(0, pair(2)), (1, plain(5)), (2, plain(6)), (3, pair(1)), (4, plain(4))] {
            miners.insert(miner, identity);
        }
        assert_eq!(miners.reserve(&pair(3)), Some(5));
        assert_eq!(miners.all_of(&script(5)).collect::<Vec<_>>(), [1, 3, 0, 5]);
        assert_eq!((miners.find(&plain(5)), miners.find(&plain(1))), (Some(1), None));
    }

    #[test]
    fn the_last_id_is_followed_by_none_rather_than_by_the_first() {
        let mut miners = Miners::restore(&[(MinerId::MAX - 1, vec![1])]).unwrap();
        assert_eq!(miners.reserve(&plain(2)), None);
        assert_eq!(miners.reserve(&plain(1)), Some(MinerId::MAX - 1));
    }

    #[test]
    fn a_record_that_cannot_be_read_is_named() {
        assert_eq!(Miners::restore(&[(3, vec![3]), (7, vec![0xff, 1])]).unwrap_err(), 7);
    }
}
