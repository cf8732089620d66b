//! Addresses for accounts that have none on a merge-mined chain, because the parent's kind of address has no
//! counterpart there. The operator may name one. So may the miner's own rigs, by their usernames; but anybody may work
//! for any address, and a debt is not given to whoever asks first. What rigs name counts when more than half of all the
//! work for the address in the window is done under that name, and no less than all that the debt was ever earned with:
//! that of each block's window, so that a young debt follows its miner by itself, and an old one takes the operator.

use std::collections::BTreeMap;
use std::fmt;

use crate::base::time::Now;
use crate::coin::script::Script;

use super::Pool;
use super::identity::Identity;
use super::record::{AddressNamed, Entry, MinerId};

/// Why an address is not named for an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NamingError {
    /// The account is paid at the address that its parent's stands for.
    HasAddress,
    /// The parent chain pays every miner at its own address.
    ParentChain,
}

impl fmt::Display for NamingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NamingError::HasAddress => "the address has a counterpart on that chain, and is paid there",
            NamingError::ParentChain => "only on a merge-mined chain can another address be named",
        })
    }
}

impl std::error::Error for NamingError {}

impl Pool {
    /// Names where an account of a merge-mined chain is paid, as the operator says. In force with the next job, which
    /// is made at once.
    pub fn name_address(&mut self, chain: usize, miner: MinerId, script: Script, now: Now) -> Result<(), NamingError> {
        if chain == 0 {
            return Err(NamingError::ParentChain);
        }
        if !self.can_be_named(chain, miner) {
            return Err(NamingError::HasAddress);
        }
        self.record_name(chain, miner, script, true, now);
        self.make_job(false, now);
        Ok(())
    }

    /// Whether an account is that of an address of the parent chain which has no counterpart on this one.
    fn can_be_named(&self, chain: usize, miner: MinerId) -> bool {
        let identity = self.miners.identity(miner);
        identity.is_some_and(|identity| identity.is_plain() && self.carry_over(chain, identity.script()).is_none())
    }

    /// Believes what rigs name for accounts of their address that are owed something and have none.
    pub(super) fn heed_names(&mut self, now: Now) {
        for chain in 1..self.chains.len() {
            for (miner, script) in self.believable_names(chain) {
                self.record_name(chain, miner, script, false, now);
            }
        }
    }

    fn believable_names(&self, chain: usize) -> Vec<(MinerId, Script)> {
        // What the window holds for each address of the parent chain under each name; most pools' rigs name none.
        let mut works: BTreeMap<&Script, BTreeMap<Option<&Script>, u128>> = BTreeMap::new();
        let rows = || self.window.iter().map(|(_, row)| (&row.identity, u128::from(row.work)));
        let is_named = |identity: &Identity| identity.named(chain as u8).is_some();
        for (identity, _) in rows().filter(|(identity, _)| is_named(identity)) {
            works.entry(identity.script()).or_default();
        }
        for (identity, work) in rows() {
            if let Some(of_address) = works.get_mut(identity.script()) {
                *of_address.entry(identity.named(chain as u8)).or_default() += work;
            }
        }
        let believable = works.into_iter().filter_map(|(script, names)| {
            let miner = self.miners.find(&script.clone().into())?;
            let account = self.chains[chain].ledger.account(miner);
            if account.balance <= 0 || self.payout_script(chain, miner).is_some() {
                return None;
            }
            let needed = (names.values().sum::<u128>() / 2 + 1).max(account.earned_work);
            let (name, _) = names.into_iter().filter(|(name, _)| name.is_some()).find(|(_, work)| *work >= needed)?;
            Some((miner, name?.clone()))
        });
        believable.collect()
    }

    fn record_name(&mut self, chain: usize, miner: MinerId, script: Script, by_operator: bool, now: Now) {
        let spec = &self.chains[chain].spec;
        let of = self.miners.script(miner).map(|script| self.chains[0].spec.address_text(script)).unwrap_or_default();
        log::info!("{}: {} of {of} is paid to {}", self.spec.name, spec.name, spec.address_text(&script));
        let at = self.clock.stamp(now);
        let script = script.as_bytes().to_vec();
        let named = AddressNamed { chain: chain as u8, miner, at, script, by_operator };
        self.record(chain, Entry::AddressNamed(named)).expect("a name has no sums that could be off");
    }
}
