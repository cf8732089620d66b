//! The identities of a pool, and the accounts that their work counts for: the pool's rule, written a second time for
//! the books. What an account of a merge-mined chain is follows from the coins, and those only the configuration tells.

use std::collections::BTreeMap;

use super::fault::Faults;
use crate::base::limits;
use crate::coin::address;
use crate::coin::params::AuxWork;
use crate::coin::script::Script;
use crate::pool::identity::Identity;
use crate::pool::record::{MinerId, Recovered};
use crate::pool::spec::ChainSpec;

/// See the module.
pub(in crate::shell::ledger) struct Names<'n> {
    identities: BTreeMap<MinerId, Identity>,
    ids: BTreeMap<Identity, MinerId>,
    chains: &'n [ChainSpec],
}

impl<'n> Names<'n> {
    /// Of the registry, and the chains as they are configured; none where that is not known.
    pub(in crate::shell::ledger) fn new(recovered: &Recovered, chains: &'n [ChainSpec]) -> Names<'n> {
        let read = |(miner, bytes): &(MinerId, Vec<u8>)| Some((*miner, Identity::from_bytes(bytes)?));
        let identities: BTreeMap<MinerId, Identity> = recovered.miners.iter().filter_map(read).collect();
        let mut ids = BTreeMap::new();
        for (miner, identity) in &identities {
            ids.entry(identity.clone()).or_insert(*miner);
        }
        Names { identities, ids, chains }
    }

    /// What is wrong with the registry by itself.
    pub(super) fn check(&self, recovered: &Recovered, faults: &mut Faults) {
        for (miner, _) in &recovered.miners {
            let place = format!("miner {miner}");
            let Some(identity) = self.identities.get(miner) else {
                faults.add(place, "its record can't be read");
                continue;
            };
            let first = self.ids[identity];
            if first != *miner && identity.is_plain() {
                faults.add(&place, format!("it has the output script of miner {first}"));
            } else if first != *miner {
                faults.add(&place, format!("it has the addresses of miner {first}"));
            }
            if identity.named(0).is_some() || (limits::CHAINS as u8..=u8::MAX).any(|of| identity.named(of).is_some()) {
                faults.add(&place, "it names an address for a chain that can't be a merge-mined one");
            }
        }
    }

    pub(super) fn identity(&self, miner: MinerId) -> Option<&Identity> {
        self.identities.get(&miner)
    }

    /// Whether any rig ever worked for this script of the parent chain and named that one for a merge-mined chain.
    pub(super) fn was_named(&self, script: &Script, chain: u8, named: &Script) -> bool {
        self.identities.values().any(|identity| identity.script() == script && identity.named(chain) == Some(named))
    }

    /// Whether it can be told which accounts a chain has.
    pub(super) fn knows(&self, chain: u8) -> bool {
        chain == 0 || self.chains.len() > usize::from(chain)
    }

    /// Whether the blocks of a chain are its node's own, which pay the pool alone.
    pub(in crate::shell::ledger) fn is_node_block(&self, chain: u8) -> bool {
        let spec = self.chains.get(usize::from(chain)).filter(|_| chain > 0);
        spec.and_then(|spec| spec.coin.auxpow).is_some_and(|auxpow| auxpow.work == AuxWork::NodeBlock)
    }

    /// Where an account is paid that no address was named for; `None` for one that is owed until then. Of a chain that
    /// is not configured it is taken that an account is paid at its own script.
    pub(super) fn own_script(&self, chain: u8, miner: MinerId) -> Option<&Script> {
        let identity = self.identity(miner)?;
        let script = identity.script();
        match identity.named(chain) {
            Some(named) => Some(named),
            None if !self.knows(chain) => Some(script),
            None => (self.counterpart(chain, script).as_ref() == Some(script)).then_some(script),
        }
    }

    /// The account of a chain that work under an identity counts for.
    pub(super) fn account(&self, chain: u8, identity: &Identity) -> Identity {
        let parent = || Identity::from(identity.script().clone());
        let named = identity.named(chain).cloned();
        match named.or_else(|| self.counterpart(chain, identity.script())) {
            Some(paid) if self.counterpart(chain, &paid).as_ref() == Some(&paid) => Identity::from(paid),
            Some(paid) => Identity::new(paid.clone(), vec![(chain, paid)]),
            None => parent(),
        }
    }

    /// The account of a chain that is paid at a script of it.
    pub(in crate::shell::ledger) fn paid_at(&self, chain: u8, script: &Script) -> Identity {
        let named = if chain == 0 { Vec::new() } else { vec![(chain, script.clone())] };
        self.account(chain, &Identity::new(script.clone(), named))
    }

    /// As which number an identity is registered.
    pub(in crate::shell::ledger) fn find(&self, identity: &Identity) -> Option<MinerId> {
        self.ids.get(identity).copied()
    }

    /// Why a miner is no account of a chain.
    pub(in crate::shell::ledger) fn check_account(&self, chain: u8, miner: MinerId) -> Option<String> {
        let Some(identity) = self.identity(miner) else { return Some(format!("miner {miner} has no output script")) };
        let script = identity.script();
        let itself = [(chain, script.clone())];
        let is_account = match (chain, identity.is_plain()) {
            (0, is_plain) => is_plain,
            // One that is paid there, or one of the parent chain that has no counterpart there.
            (_, true) => !self.knows(chain) || self.counterpart(chain, script).is_none_or(|paid| paid == *script),
            (_, false) => {
                let is_itself = *identity == Identity::new(script.clone(), itself.to_vec());
                is_itself && (!self.knows(chain) || self.counterpart(chain, script).as_ref() != Some(script))
            }
        };
        (!is_account).then(|| format!("{} is no account of {}", self.miner(chain, miner), self.chain(chain)))
    }

    /// The script of a chain that pays whoever a script of the parent chain pays, and nobody else.
    fn counterpart(&self, chain: u8, script: &Script) -> Option<Script> {
        if chain == 0 {
            return Some(script.clone());
        }
        let (parent, spec) = (self.chains.first()?, self.chains.get(usize::from(chain))?);
        address::carry_over(script, parent.coin, (spec.coin, spec.network))
    }

    /// A script as people know it.
    pub(super) fn text(&self, chain: u8, script: &Script) -> String {
        let spec = self.chains.get(usize::from(chain));
        spec.map_or_else(|| hex::encode(script.as_bytes()), |spec| spec.address_text(script))
    }

    /// An account of a chain as people know it: by its address there, or by the parent's.
    pub(super) fn miner(&self, chain: u8, miner: MinerId) -> String {
        let own = self.own_script(chain, miner).map(|script| self.text(chain, script));
        let text = own.or_else(|| self.identity(miner).map(|identity| self.text(0, identity.script())));
        format!("miner {miner} ({})", text.unwrap_or_else(|| "no script".into()))
    }

    pub(super) fn chain(&self, chain: u8) -> String {
        let spec = self.chains.get(usize::from(chain));
        spec.map_or_else(|| format!("chain {chain}"), |spec| spec.name.clone())
    }
}
