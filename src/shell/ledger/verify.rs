//! `edgepool ledger verify`: is the ledger true? The journal is replayed, every sum is made again from its entries
//! alone, every split is redone by the payout rule, and the result is compared with the running pool and, if asked,
//! with the chain. Never changes anything.

mod balances;
mod block;
mod books;
mod chain;
mod fault;
mod live;
pub(super) mod names;
mod payees;
mod payment;
mod replay;
mod wallet;
mod window;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::{TaskError, Which};
use crate::base::amount::{format_amount, format_signed};
use crate::pool::ledger::{Ledger, Totals};
use crate::pool::record::{Journal, Recovered};
use crate::pool::spec::{ChainSpec, NodeSpec};
use crate::shell::config::{self, Config, PoolConfig};
use crate::shell::running_pool::configured_url;
use crate::shell::store::{Snapshot, Store};
use fault::Faults;
use live::Running;
use names::Names;
use replay::Audit;
use wallet::KnownPayments;

/// How often, and how long apart, it is looked again where what differs may be about to be written.
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_secs(4);

/// What is compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Only the pool of this name.
    pub pool: Option<String>,
    /// Also with the chain, by the nodes of the configuration.
    pub node: bool,
    /// The running pool's RPC port; the configuration's when absent.
    pub url: Option<NodeSpec>,
}

/// Checks the ledger, and says what it holds; every difference, and whatever could not be checked, is in the error, and
/// so is what it holds then.
pub fn run(which: &Which, options: &Options) -> Result<String, TaskError> {
    let mut tries = TRIES;
    loop {
        let report = look(which, options)?;
        tries -= 1;
        if report.faults.is_empty() || tries == 0 || !report.faults.may_pass() {
            let (wrong, unchecked) = report.faults.into_lines();
            return match (wrong.is_empty(), unchecked.is_empty()) {
                (true, true) => Ok(report.text),
                (true, false) => Err(TaskError::Unchecked { checked: report.text, unjudged: 0, unchecked }),
                (false, _) => Err(TaskError::Faults { checked: report.text, wrong, unchecked }),
            };
        }
        thread::sleep(PAUSE);
    }
}

/// Checks what is recorded of one pool by itself, wherever it is kept; every difference in words. `chains` are those of
/// the pool, the parent first: without them it can't be told whom the blocks of merge-mined chains must pay.
pub fn differences(journal: &dyn Journal, recovered: Recovered, chains: &[ChainSpec]) -> Vec<String> {
    let mut faults = Faults::default();
    replay::audit(journal, recovered, chains, &mut faults);
    faults.into_lines().0
}

/// What was found in one look.
pub(super) struct Report {
    pub(super) text: String,
    pub(super) faults: Faults,
}

/// Checks the ledger as it is now.
pub(super) fn look(which: &Which, options: &Options) -> Result<Report, TaskError> {
    let needs_config = which.data_dir.is_none() || options.node;
    let config = needs_config.then(|| config::read(&which.config)).transpose().map_err(TaskError::Config)?;
    let config = config.as_ref();
    let data_dir = which.data_dir.as_ref().or(config.map(|config| &config.data_dir));
    let data_dir = data_dir.expect("a configuration is read where no directory is given");
    // The running pool of the configuration has another ledger than a directory that was named.
    let configured = config.filter(|_| which.data_dir.is_none()).and_then(configured_url);
    let mut report = Report { text: String::new(), faults: Faults::default() };
    let (audits, mut known) = audit(data_dir, config, options, &mut report.faults)?;
    let url = options.url.clone().or(configured).filter(|_| !audits.is_empty());
    let names = audits.iter().map(|(name, _)| name.as_str());
    let running = url.map(|url| Running::find(url, options.url.is_some(), names, &mut report.faults));
    let mut texts = Vec::with_capacity(audits.len());
    for (name, audit) in &audits {
        let pool = configured_pool(config, name);
        let names = Names::new(&audit.recovered, chains_of(pool));
        let faults = &mut report.faults;
        faults.enter(name);
        let mut text = described(name, audit, &names);
        if let Some(running) = &running {
            text += &running.compare((name, config.map(|_| chains_of(pool).len())), &names, audit, faults);
        }
        match pool {
            Some(pool) if options.node => text += &chain::compare(pool, &names, audit, &mut known, faults),
            None if options.node => text += "  not compared with the chain: it is not in the configuration\n",
            _ => {}
        }
        texts.push(text);
    }
    // Pools may share a wallet: what it paid is judged when all that any of them paid is known.
    for ((name, audit), text) in audits.iter().zip(texts) {
        report.text += &text;
        if let Some(pool) = configured_pool(config, name).filter(|_| options.node) {
            let names = Names::new(&audit.recovered, chains_of(Some(pool)));
            report.faults.enter(name);
            report.text += &wallet::compare(pool, &names, audit, &known, &mut report.faults);
        }
    }
    Ok(report)
}

/// What a pool has recorded, in sums.
fn described(name: &str, audit: &Audit, names: &Names) -> String {
    let (miners, cells) = (audit.recovered.miners.len(), audit.recovered.cells.len());
    let mut text = format!("pool {name}: {} entries of the journal, {miners} miners, {cells} cells\n", audit.last);
    for (index, ledger) in audit.ledgers() {
        text += &summary(&names.chain(index), ledger);
        if !names.knows(index) {
            text += "  whom its blocks must pay is not checked: the coins of merge-mined chains are told by the \
                     configuration alone\n";
        }
    }
    text
}

/// Replays the journals of one moment, and collects what was paid from wallets, also by pools that are not asked for.
/// Afterwards the file is not held any more.
fn audit(
    data_dir: &Path,
    config: Option<&Config>,
    options: &Options,
    faults: &mut Faults,
) -> Result<(Vec<(String, Audit)>, KnownPayments), TaskError> {
    let snapshot: Snapshot = Store::open_read_only(data_dir)?;
    let wanted = |name: &&String| options.pool.as_ref().is_none_or(|pool| pool == *name);
    let names: Vec<String> = snapshot.pools().iter().filter(wanted).cloned().collect();
    if let (Some(pool), true) = (&options.pool, names.is_empty()) {
        let known = snapshot.pools().join(", ");
        return Err(TaskError::Refused(format!("the ledger has no pool {pool}; it has {known}")));
    }
    let mut audits = Vec::new();
    for name in names {
        let index = snapshot.pools().iter().position(|pool| *pool == name).expect("it is one of them");
        let chains = chains_of(configured_pool(config, &name));
        faults.enter(&name);
        let recovered = match snapshot.load(index) {
            Ok(recovered) => recovered,
            Err(error) => {
                faults.add("the file", error);
                continue;
            }
        };
        for what in snapshot.left_out(index)? {
            faults.add("the file", what);
        }
        let audit = replay::audit(&snapshot.journal(index), recovered, chains, faults);
        audits.push((name, audit));
    }
    let mut known = KnownPayments::default();
    for pool in (0..snapshot.pools().len()).filter(|_| options.node) {
        // What can't be read is a fault of that pool, and told where it is asked for.
        let _ = snapshot.visit(pool, 1, |_, entry| {
            known.follow(&entry);
            ControlFlow::Continue(())
        });
    }
    Ok((audits, known))
}

fn configured_pool<'c>(config: Option<&'c Config>, name: &str) -> Option<&'c PoolConfig> {
    config.and_then(|config| config.pools.iter().find(|pool| pool.spec.name == name))
}

fn chains_of(pool: Option<&PoolConfig>) -> &[ChainSpec] {
    pool.map_or(&[][..], |pool| &pool.spec.chains)
}

fn summary(chain: &str, ledger: &Ledger) -> String {
    let blocks = counted("blocks", ledger.blocks().iter().map(|block| block.status.name()));
    let payments = counted("payments", ledger.payments().iter().map(|payment| payment.status.name()));
    let Totals { value, paid, owed, fees, payment_fees } = ledger.totals();
    format!(
        "  {chain}: {blocks}, {payments}\n  \
         value {} = paid {} + owed {} + fees and remainders {} + network fees of payments {}\n",
        wide(value as i128),
        wide(paid as i128),
        wide(owed),
        wide(fees as i128),
        wide(payment_fees as i128)
    )
}

/// How many there are, and of which states: `3 blocks (2 confirmed, 1 orphaned)`.
fn counted(what: &str, states: impl Iterator<Item = &'static str>) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for state in states {
        *counts.entry(state).or_default() += 1;
    }
    let total: usize = counts.values().sum();
    let parts: Vec<String> = counts.iter().map(|(state, count)| format!("{count} {state}")).collect();
    if parts.is_empty() { format!("no {what}") } else { format!("{total} {what} ({})", parts.join(", ")) }
}

/// Base units as whole coins.
fn coins(units: u64) -> String {
    format_amount(units)
}

fn wide(units: i128) -> String {
    i64::try_from(units).map_or_else(|_| format!("{units} base units"), format_signed)
}
