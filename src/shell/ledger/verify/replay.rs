//! The journal from its first entry to its last: through the ledger as the pool folds it, and past the checks that
//! know nothing of it.

use std::ops::ControlFlow;

use super::balances::Balances;
use super::books::Books;
use super::fault::Faults;
use super::names::Names;
use super::payees::Payees;
use super::payment::Spent;
use super::window::Work;
use super::{block, coins};
use crate::base::{display_hash, limits};
use crate::coin::script::Script;
use crate::pool::ledger::Ledger;
use crate::pool::record::{Entry, Journal, Recovered, Stamp};
use crate::pool::spec::{ChainSpec, Terms};

/// What came of it.
pub(in crate::shell::ledger) struct Audit {
    /// Everything but the journal.
    pub(in crate::shell::ledger) recovered: Recovered,
    /// Number of the last entry.
    pub(in crate::shell::ledger) last: u64,
    chains: Vec<Followed>,
}

impl Audit {
    /// The ledger of each chain, by its index.
    pub(in crate::shell::ledger) fn ledgers(&self) -> impl Iterator<Item = (u8, &Ledger)> {
        (0..).zip(self.chains.iter().map(|chain| &chain.ledger))
    }

    /// Where the accounts of a chain were paid.
    pub(super) fn payees(&self, chain: u8) -> &Payees {
        &self.chains[usize::from(chain)].payees
    }
}

/// One chain of the pool.
struct Followed {
    ledger: Ledger,
    balances: Balances,
    payees: Payees,
    spent: Spent,
    books: Books,
}

impl Followed {
    fn new(index: u8, terms: Terms) -> Followed {
        Followed {
            ledger: Ledger::new(index, terms),
            balances: Balances::default(),
            payees: Payees::default(),
            spent: Spent::default(),
            books: Books::default(),
        }
    }
}

/// Replays a journal; what is wrong with it goes to `faults`.
pub(in crate::shell::ledger) fn audit(
    journal: &dyn Journal,
    recovered: Recovered,
    configured: &[ChainSpec],
    faults: &mut Faults,
) -> Audit {
    let names = Names::new(&recovered, configured);
    let chains = (0..).zip(configured).map(|(index, chain)| Followed::new(index, chain.terms.clone())).collect();
    let work = Work::new(&recovered, &names, faults);
    let mut replay = Replay { names: &names, faults, chains, last: 0, moment: Stamp::default(), work };
    let read = journal.visit(1, &mut |seq, entry| {
        replay.follow(seq, &entry);
        ControlFlow::Continue(())
    });
    let Replay { mut chains, last, moment, work, .. } = replay;
    if let Err(what) = read {
        faults.add(format!("entry {}", last + 1), what);
    }
    work.finish(&recovered, moment, faults);
    if chains.is_empty() {
        chains.push(Followed::new(0, no_terms()));
    }
    for (index, chain) in (0..).zip(&chains) {
        chain.books.compare(index, journal, &chain.ledger, &names, faults);
    }
    Audit { recovered, last, chains }
}

/// A journal being followed.
struct Replay<'r> {
    names: &'r Names<'r>,
    faults: &'r mut Faults,
    chains: Vec<Followed>,
    last: u64,
    moment: Stamp,
    work: Work,
}

impl Replay<'_> {
    fn follow(&mut self, seq: u64, entry: &Entry) {
        let place = format!("entry {seq} ({})", described(entry));
        if seq != self.last + 1 {
            self.faults.add(&place, format!("it comes where entry {} should be", self.last + 1));
        }
        self.last = seq;
        let (index, at) = head(entry);
        if at.pool_ms < self.moment.pool_ms {
            self.faults
                .add(&place, format!("it is {} ms older than the entry before it", self.moment.pool_ms - at.pool_ms));
        }
        self.moment.pool_ms = self.moment.pool_ms.max(at.pool_ms);
        if usize::from(index) >= limits::CHAINS {
            self.faults.add(&place, format!("a pool has no chain {index}"));
            return;
        }
        while self.chains.len() <= usize::from(index) {
            self.chains.push(Followed::new(self.chains.len() as u8, no_terms()));
        }
        let chain = &mut self.chains[usize::from(index)];
        let mut wrong = Vec::new();
        match entry {
            Entry::BlockFound(found) => {
                wrong.extend(block::check(found, self.names, &chain.payees, &chain.balances));
                wrong.extend(self.work.check(found, self.names));
            }
            Entry::PaymentSigned(signed) => {
                wrong.extend(chain.spent.check(signed, self.names, &chain.payees, &chain.ledger));
            }
            Entry::PaymentJudged(judged) => chain.spent.judge(judged),
            Entry::PaymentQueued(queued) => {
                wrong.extend(queued.wanted.iter().filter_map(|miner| self.names.check_account(index, *miner)));
            }
            Entry::AddressNamed(named) => wrong.extend(chain.payees.follow(named, self.names)),
            Entry::BlockJudged(_) | Entry::TermSet(_) => {}
        }
        match chain.ledger.apply(seq, entry) {
            Ok(()) => {
                wrong.extend(chain.books.follow(seq, entry));
                chain.balances.follow(at.pool_ms, &chain.ledger);
            }
            Err(error) => wrong.push(error.to_string()),
        }
        for what in wrong {
            self.faults.add(&place, what);
        }
    }
}

/// Of which chain an entry is, and when.
fn head(entry: &Entry) -> (u8, Stamp) {
    match entry {
        Entry::TermSet(set) => (set.chain, set.at),
        Entry::BlockFound(found) => (found.chain, found.at),
        Entry::BlockJudged(judged) => (judged.chain, judged.at),
        Entry::PaymentQueued(queued) => (queued.chain, queued.at),
        Entry::PaymentSigned(signed) => (signed.chain, signed.at),
        Entry::PaymentJudged(judged) => (judged.chain, judged.at),
        Entry::AddressNamed(named) => (named.chain, named.at),
    }
}

/// What an entry tells, for the place of a fault.
fn described(entry: &Entry) -> String {
    match entry {
        Entry::TermSet(_) => "a term was set".into(),
        Entry::BlockFound(found) => {
            format!("block {} {} of {} was found", found.height, display_hash(&found.hash), coins(found.value))
        }
        Entry::BlockJudged(judged) => format!("block {} is {}", display_hash(&judged.hash), judged.status.name()),
        Entry::PaymentQueued(queued) => format!("payment {} is queued", queued.payment),
        Entry::PaymentSigned(signed) => format!("payment {} is signed", signed.payment),
        Entry::PaymentJudged(judged) => format!("payment {} is {}", judged.payment, judged.status.name()),
        Entry::AddressNamed(named) => format!("an address was named for miner {}", named.miner),
    }
}

/// For a chain that the configuration does not have: terms decide about the next block, not about those found.
fn no_terms() -> Terms {
    Terms { pool_script: Script::from_bytes(Vec::new()), fee_ppm: 0, min_payout: 0, max_outputs: 1 }
}
