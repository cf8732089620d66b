//! Where the accounts of one chain were paid, at any moment: at their own scripts, or at those that were named for
//! them by then.

use std::collections::BTreeMap;

use super::names::Names;
use crate::coin::script::Script;
use crate::pool::record::{AddressNamed, MinerId};

/// The names of one chain, in the order of the journal.
#[derive(Default)]
pub(super) struct Payees {
    /// By account: from when on a script was in force.
    named: BTreeMap<MinerId, Vec<(u64, Script)>>,
}

impl Payees {
    /// Takes in a name; answers what is wrong with it.
    pub(super) fn follow(&mut self, name: &AddressNamed, names: &Names) -> Vec<String> {
        let AddressNamed { chain, miner, at, ref script, by_operator } = *name;
        let script = Script::from_bytes(script.clone());
        let mut wrong = Vec::new();
        let account = names.miner(chain, miner);
        if chain == 0 {
            wrong.push(format!("{account} is of the parent chain, where every miner has an address"));
        }
        wrong.extend(names.check_account(chain, miner));
        if chain > 0 && names.knows(chain) && names.own_script(chain, miner).is_some() {
            wrong.push(format!("{account} has an address of its own there"));
        }
        let of = names.identity(miner).map(|identity| identity.script());
        if !by_operator && !of.is_some_and(|of| names.was_named(of, chain, &script)) {
            wrong.push(format!("no rig that worked for {account} ever named {}", names.text(chain, &script)));
        }
        self.named.entry(miner).or_default().push((at.pool_ms, script));
        wrong
    }

    /// The script of an account at that moment, and also the one before where it was named in this very millisecond.
    pub(super) fn at<'p>(
        &'p self,
        names: &'p Names,
        chain: u8,
        miner: MinerId,
        pool_ms: u64,
    ) -> Vec<Option<&'p Script>> {
        self.between(names, chain, miner, pool_ms, pool_ms)
    }

    /// Every script that an account had from one moment to another, the last first.
    pub(super) fn between<'p>(
        &'p self,
        names: &'p Names,
        chain: u8,
        miner: MinerId,
        from_ms: u64,
        to_ms: u64,
    ) -> Vec<Option<&'p Script>> {
        let named = self.named.get(&miner).map_or(&[][..], Vec::as_slice);
        let first = named.iter().rposition(|(since, _)| *since < from_ms);
        let before = first.map(|index| &named[index].1).or_else(|| names.own_script(chain, miner));
        let later = named[first.map_or(0, |index| index + 1)..].iter().take_while(|(since, _)| *since <= to_ms);
        let mut scripts: Vec<Option<&Script>> =
            std::iter::once(before).chain(later.map(|(_, script)| Some(script))).collect();
        scripts.reverse();
        scripts
    }
}
