//! Which account a share counts for on each chain of a pool, and where that account can be paid. An account is that of an
//! output script which is paid there: the one that a rig names for the chain, or the one that the parent's carries over
//! to. Where neither is known it is the account of the parent's script: such a one is owed, and not paid, until an
//! address was [named](super::record::AddressNamed) for it. A script that nothing carries over to has an account of its
//! own where a rig names it, apart from the account that owes to the same script of the parent chain.

use std::collections::BTreeMap;

use crate::coin::address;
use crate::coin::script::Script;

use super::Pool;
use super::identity::Identity;
use super::ledger::Account;
use super::record::MinerId;
use super::split::Claim;
use super::window::RowId;

/// What one account of a chain did in the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contribution {
    /// Work in difficulty units.
    pub work: u64,
    /// Accepted shares.
    pub shares: u64,
    /// The pool's time of the last share, in milliseconds; 0 for none since start.
    pub last_share_ms: u64,
}

impl Pool {
    /// What was done in the window for each account of a chain.
    pub fn contributions(&self, chain: usize) -> BTreeMap<MinerId, Contribution> {
        let mut contributions: BTreeMap<MinerId, Contribution> = BTreeMap::new();
        for (_, row) in self.window.iter() {
            let Some(payee) = row.payees.get(chain) else { continue };
            let sum = contributions.entry(*payee).or_default();
            sum.work = sum.work.saturating_add(row.work);
            sum.shares += row.shares;
            sum.last_share_ms = sum.last_share_ms.max(row.last_share_ms);
        }
        contributions
    }

    /// Where an account of a chain is paid; `None` while no address of that chain is known for it.
    pub fn payout_script(&self, chain: usize, miner: MinerId) -> Option<&Script> {
        self.chains[chain].ledger.named(miner).or_else(|| self.own_script(chain, miner))
    }

    /// Where it was paid at a moment of the pool's time, in milliseconds.
    pub fn payout_script_at(&self, chain: usize, miner: MinerId, pool_ms: u64) -> Option<&Script> {
        self.chains[chain].ledger.named_at(miner, pool_ms).or_else(|| self.own_script(chain, miner))
    }

    /// Where an account is paid that no address was named for.
    fn own_script(&self, chain: usize, miner: MinerId) -> Option<&Script> {
        let identity = self.miners.identity(miner)?;
        let is_paid = || chain == 0 || self.carry_over(chain, identity.script()).as_ref() == Some(identity.script());
        identity.named(chain as u8).or_else(|| is_paid().then_some(identity.script()))
    }

    /// The script that is paid on a chain for work that names nothing but `script` of the parent chain.
    pub(super) fn carry_over(&self, chain: usize, script: &Script) -> Option<Script> {
        let (parent, spec) = (&self.spec.chains[0], &self.spec.chains[chain]);
        address::carry_over(script, parent.coin, (spec.coin, spec.network))
    }

    /// What an account of a chain is registered as that is paid at `script` there.
    fn paid_at(&self, chain: usize, script: &Script) -> Identity {
        if self.carry_over(chain, script).as_ref() == Some(script) {
            script.clone().into()
        } else {
            Identity::new(script.clone(), vec![(chain as u8, script.clone())])
        }
    }

    /// An account of a chain as people know it: by its address there, or by that of the parent chain where it has none.
    pub fn account_text(&self, chain: usize, miner: MinerId) -> Option<String> {
        self.text_of(chain, miner, self.payout_script(chain, miner))
    }

    /// The same as it was at a moment of the pool's time, in milliseconds.
    pub fn account_text_at(&self, chain: usize, miner: MinerId, pool_ms: u64) -> Option<String> {
        self.text_of(chain, miner, self.payout_script_at(chain, miner, pool_ms))
    }

    fn text_of(&self, chain: usize, miner: MinerId, paid: Option<&Script>) -> Option<String> {
        match paid {
            Some(script) => Some(self.chains[chain].spec.address_text(script)),
            None => self.miners.script(miner).map(|script| self.chains[0].spec.address_text(script)),
        }
    }

    /// The addresses of an identity as people write them, the parent chain's first.
    pub(super) fn addresses_text(&self, identity: &Identity) -> String {
        let mut text = self.spec.chains[0].address_text(identity.script());
        for (index, chain) in (0u8..).zip(&self.spec.chains) {
            if let Some(script) = identity.named(index) {
                text = format!("{text},{}", chain.address_text(script));
            }
        }
        text
    }

    /// The account of a chain that an address of it names, or one of the parent chain for which none was known there.
    pub fn account_of(&self, chain: usize, script: &Script) -> Option<MinerId> {
        let named = || self.chains[chain].ledger.names().find(|(_, named)| *named == script).map(|(miner, _)| miner);
        let paid = (chain > 0).then(|| self.miners.find(&self.paid_at(chain, script))).flatten();
        paid.or_else(|| self.miners.find(&script.clone().into())).or_else(named)
    }

    /// Everybody with work in the window or a balance on the chain, in order of their ids.
    pub(super) fn claims(&self, chain: usize) -> Vec<Claim<'_>> {
        let worked = self.window.iter().filter(|(_, row)| row.work > 0);
        let mut claims: BTreeMap<MinerId, Claim> = BTreeMap::new();
        let empty = |miner| Claim { miner, script: self.payout_script(chain, miner), work: 0, balance: 0 };
        for (payee, work) in worked.filter_map(|(_, row)| Some((*row.payees.get(chain)?, row.work))) {
            let claim = claims.entry(payee).or_insert_with(|| empty(payee));
            claim.work = claim.work.saturating_add(work);
        }
        for (miner, account) in self.chains[chain].ledger.accounts().filter(|(_, account)| account.available() != 0) {
            claims.entry(miner).or_insert_with(|| empty(miner)).balance = account.available();
        }
        claims.into_values().collect()
    }

    /// Makes the miner of a row permanent, and the accounts that its work counts for: the ledger refers to them from
    /// now on.
    pub(super) fn register_row(&mut self, row_id: RowId) {
        if let Some(row) = self.window.row(row_id)
            && row.payees.is_empty()
        {
            let (miner, identity) = (row.miner, row.identity.clone());
            let payees = self.register(miner, &identity);
            self.window.set_payees(row_id, payees);
        }
    }

    /// Makes a miner permanent, and gives the accounts that its work counts for, by chain.
    pub(super) fn register(&mut self, miner: MinerId, identity: &Identity) -> Box<[MinerId]> {
        self.keep(miner, identity.clone());
        let parent = if identity.is_plain() { miner } else { self.account(identity.script().clone().into(), miner) };
        let children: Vec<Option<Identity>> =
            (1..self.chains.len()).map(|chain| self.child_account(chain, identity)).collect();
        let payee = |account: Option<Identity>| account.map_or(parent, |account| self.account(account, parent));
        std::iter::once(parent).chain(children.into_iter().map(payee).collect::<Vec<_>>()).collect()
    }

    /// What the account of a merge-mined chain is registered as that work under an identity counts for; `None` for the
    /// parent's.
    fn child_account(&self, chain: usize, identity: &Identity) -> Option<Identity> {
        let named = identity.named(chain as u8).cloned();
        let script = named.or_else(|| self.carry_over(chain, identity.script()))?;
        Some(self.paid_at(chain, &script))
    }

    /// The accounts of a chain that have something, or work in the window, from work under an address of the parent
    /// chain: the one for work that names nothing beside it first.
    pub fn accounts_of(&self, chain: usize, script: &Script) -> Vec<MinerId> {
        let parent = || Identity::from(script.clone());
        let mut accounts = Vec::new();
        for identity in self.miners.all_of(script).filter_map(|miner| self.miners.identity(miner)) {
            let account = if chain == 0 { None } else { self.child_account(chain, identity) };
            let account = self.miners.find(&account.unwrap_or_else(parent));
            accounts.extend(account.filter(|account| !accounts.contains(account)));
        }
        accounts.retain(|account| self.is_used(chain, *account));
        accounts
    }

    /// Whether an account of a chain has or had something, or work in the window.
    pub fn is_used(&self, chain: usize, miner: MinerId) -> bool {
        let has_work = || self.window.iter().any(|(_, row)| row.payees.get(chain) == Some(&miner));
        self.chains[chain].ledger.account(miner) != Account::default() || has_work()
    }

    /// The id of an account, which is made where there is none yet; `instead` when there are no more ids.
    fn account(&mut self, identity: Identity, instead: MinerId) -> MinerId {
        match self.miners.reserve(&identity) {
            Some(miner) => {
                self.keep(miner, identity);
                miner
            }
            None => instead,
        }
    }

    fn keep(&mut self, miner: MinerId, identity: Identity) {
        if self.miners.identity(miner).is_none() {
            self.commits.add_miner(miner, identity.to_bytes());
            self.miners.insert(miner, identity);
        }
    }
}
