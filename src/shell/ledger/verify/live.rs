//! The ledger on disk against the one in the running pool, as its RPC port tells it, at the same entry of the journal.

use serde_json::{Value, json};

use super::fault::Faults;
use super::names::Names;
use super::replay::Audit;
use super::{coins, wide};
use crate::base::amount::format_signed;
use crate::base::display_hash;
use crate::pool::ledger::{Account, Ledger};
use crate::pool::record::MinerId;
use crate::pool::spec::NodeSpec;
use crate::shell::http_call::{self, CallError};

/// Lines that are asked for at one time.
const PAGE: usize = 500;

/// Compares each chain of a pool, and says so; where no pool runs that is said instead, unless it `must`.
pub(super) fn compare(
    url: &NodeSpec,
    must: bool,
    pool: &str,
    names: &Names,
    audit: &Audit,
    faults: &mut Faults,
) -> String {
    for (index, ledger) in audit.ledgers() {
        let named = match names.configured(index) {
            Some(name) => Ok(Some(name.to_string())),
            None => running_chain(url, pool, index),
        };
        let compared = named.and_then(|chain| {
            let live = Live { url, pool, chain };
            live.compare(audit.last, index, ledger, names, faults)
        });
        match compared {
            Ok(()) => {}
            Err(CallError::Connection(what)) if !must => {
                return format!("  not compared with a running pool: {what}\n");
            }
            Err(error) => faults.add("the running pool", error),
        }
    }
    format!("  the running pool at {} says the same at entry {}\n", url.url, audit.last)
}

/// How the running pool calls a chain that is not configured; `None` for its parent chain.
fn running_chain(url: &NodeSpec, pool: &str, index: u8) -> Result<Option<String>, CallError> {
    if index == 0 {
        return Ok(None);
    }
    let pools = http_call::call(url, None, "listpools", &json!([]))?;
    let running = pools.as_array().and_then(|pools| pools.iter().find(|running| running["name"] == pool));
    let chain = running.and_then(|running| running["chains"][usize::from(index)].as_str());
    let missing = || CallError::Answer(format!("pool {pool} has no chain {index} there"));
    chain.map(|chain| Some(chain.to_string())).ok_or_else(missing)
}

/// One chain of a running pool.
struct Live<'l> {
    url: &'l NodeSpec,
    pool: &'l str,
    chain: Option<String>,
}

impl Live<'_> {
    fn ask(&self, method: &str, count: usize, skip: usize) -> Result<Value, CallError> {
        let mut params = json!({ "pool": self.pool, "count": count, "skip": skip });
        if let Some(chain) = &self.chain {
            params["chain"] = json!(chain);
        }
        http_call::call(self.url, None, method, &params)
    }

    fn compare(
        &self,
        last: u64,
        index: u8,
        ledger: &Ledger,
        names: &Names,
        faults: &mut Faults,
    ) -> Result<(), CallError> {
        let mut accounts = Vec::new();
        let mut head = self.ask("getbalances", PAGE, 0)?;
        let mut page = head["balances"].take();
        while let Some(lines) = page.as_array().filter(|lines| !lines.is_empty()) {
            accounts.extend(lines.iter().cloned());
            page = self.ask("getbalances", PAGE, accounts.len())?["balances"].take();
        }
        let mut blocks: Vec<Value> = Vec::new();
        let mut page = self.ask("getblocks", PAGE, 0)?;
        while let Some(lines) = page.as_array().filter(|lines| !lines.is_empty()) {
            blocks.extend(lines.iter().cloned());
            page = self.ask("getblocks", PAGE, blocks.len())?;
        }
        // All of it is of one moment only if the journal has not grown meanwhile.
        let after = self.ask("getbalances", 0, 0)?;
        for seq in [&head["journal_seq"], &after["journal_seq"]] {
            if *seq != last {
                faults.add_passing(true, "the running pool", format!("it is at entry {seq}, and the file at {last}"));
                return Ok(());
            }
        }
        compare_totals(&head, &format!("chain {}", names.chain(index)), ledger, faults);
        compare_accounts(&accounts, index, ledger, names, faults);
        compare_blocks(&blocks, ledger, faults);
        Ok(())
    }
}

fn compare_totals(live: &Value, place: &str, ledger: &Ledger, faults: &mut Faults) {
    let totals = ledger.totals();
    let pairs = [
        ("coinbase_total", wide(totals.value as i128)),
        ("paid_total", wide(totals.paid as i128)),
        ("owed_total", wide(totals.owed)),
        ("fees_and_remainders_total", wide(totals.fees as i128)),
        ("payment_fees_total", wide(totals.payment_fees as i128)),
    ];
    for (name, file) in pairs.into_iter().filter(|(name, file)| live[name] != **file) {
        faults.add(place, format!("{name} is {} in the running pool, and {file} in the file", live[name]));
    }
    if live["conserved"] != true {
        faults.add(place, format!("the running pool says that it does not add up: {}", live["error"]));
    }
}

fn compare_accounts(live: &[Value], index: u8, ledger: &Ledger, names: &Names, faults: &mut Faults) {
    let mut seen: Vec<MinerId> = Vec::with_capacity(live.len());
    for line in live {
        let Some(miner) = line["miner"].as_u64().and_then(|miner| MinerId::try_from(miner).ok()) else {
            faults.add("the running pool", format!("an account without a miner: {line}"));
            continue;
        };
        seen.push(miner);
        let account = ledger.account(miner);
        let pairs = [
            ("balance", format_signed(account.balance)),
            ("matured", format_signed(account.matured)),
            ("reserved", coins(account.reserved)),
            ("paid", coins(account.paid)),
        ];
        for (name, file) in pairs.into_iter().filter(|(name, file)| line[name] != **file) {
            let place = names.miner(index, miner);
            faults.add(place, format!("{name} is {} in the running pool, and {file} in the file", line[name]));
        }
    }
    seen.sort_unstable();
    let used = ledger.accounts().filter(|(_, account)| **account != Account::default());
    for (miner, account) in used.filter(|(miner, _)| seen.binary_search(miner).is_err()) {
        let balance = format_signed(account.balance);
        faults
            .add(names.miner(index, miner), format!("the running pool has no account, and the file one of {balance}"));
    }
}

fn compare_blocks(live: &[Value], ledger: &Ledger, faults: &mut Faults) {
    if live.len() != ledger.blocks().len() {
        let (live, file) = (live.len(), ledger.blocks().len());
        faults.add("the running pool", format!("it has {live} blocks, and the file {file}"));
    }
    for (line, block) in live.iter().zip(ledger.blocks().iter().rev()) {
        let hash = display_hash(&block.found.hash);
        let pairs = [
            ("hash", json!(hash)),
            ("height", json!(block.found.height)),
            ("status", json!(block.status.name())),
            ("final", json!(block.is_final)),
            ("counts", json!(block.counts)),
            ("value", json!(coins(block.found.value))),
        ];
        for (name, file) in pairs.into_iter().filter(|(name, file)| line[name] != *file) {
            let place = format!("entry {} (block {} {hash})", block.seq, block.found.height);
            faults.add(place, format!("{name} is {} in the running pool, and {file} in the file", line[name]));
        }
    }
}
