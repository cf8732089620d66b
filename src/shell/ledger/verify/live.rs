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

/// The daemon that may run beside the ledger.
pub(super) struct Running {
    url: NodeSpec,
    /// It was named by the operator, and is to be compared.
    must: bool,
    /// Its pools and their chains; or why they are not known, where that is to be said of each pool.
    pools: Result<Vec<Value>, Option<String>>,
}

impl Running {
    /// Asks which pools run there. When none of `names` does, or nothing answers, that is noted as unchecked where it
    /// `must`; that a pool which nobody named doesn't run is no trouble.
    pub(super) fn find<'n>(
        url: NodeSpec,
        must: bool,
        mut names: impl Iterator<Item = &'n str>,
        faults: &mut Faults,
    ) -> Running {
        let pools = match http_call::call(&url, None, "listpools", &json!([])) {
            Ok(Value::Array(pools)) if must && !names.any(|name| find(&pools, name).is_some()) => {
                let known: Vec<&str> = pools.iter().filter_map(|pool| pool["name"].as_str()).collect();
                faults.add_unchecked_for_all_pools(format!(
                    "the pool at {} is another: it has {}",
                    url.url,
                    known.join(", ")
                ));
                Err(None)
            }
            Ok(Value::Array(pools)) => Ok(pools),
            Ok(_) => unanswered(CallError::Answer(format!("{}: listpools is no list", url.url)), must, faults),
            Err(error) => unanswered(error, must, faults),
        };
        Running { url, must, pools }
    }

    /// Compares each chain of a pool that runs there, and says so, or why not. Of the pool it is told how it is called
    /// and how many chains the configuration gives it, where that was read.
    pub(super) fn compare(
        &self,
        (pool, configured): (&str, Option<usize>),
        names: &Names,
        audit: &Audit,
        faults: &mut Faults,
    ) -> String {
        let pools = match &self.pools {
            Ok(pools) => pools,
            Err(why) => return why.as_ref().map_or(String::new(), |why| not_compared(why)),
        };
        let Some(running) = find(pools, pool) else {
            return self.absent(&format!("pool {pool}"), configured.map(|chains| chains > 0));
        };
        let mut text = String::new();
        for (index, ledger) in audit.ledgers() {
            // The parent chain needs no name.
            let chain = running["chains"][usize::from(index)].as_str().filter(|_| index > 0);
            if index > 0 && chain.is_none() {
                text += &self.absent(&names.chain(index), configured.map(|chains| chains > usize::from(index)));
                continue;
            }
            let live = Live { url: &self.url, pool, chain };
            match live.compare(audit.last, index, ledger, names, faults) {
                Ok(()) => {}
                Err(CallError::Connection(why)) if !self.must => return text + &not_compared(&why),
                Err(error) => {
                    faults.add_unchecked("the running pool", error.reason());
                    return text;
                }
            }
        }
        text + &format!("  the running pool at {} says the same at entry {}\n", self.url.url, audit.last)
    }

    /// Why a pool or a chain is not compared that does not run there; whether it is configured is not always known.
    fn absent(&self, what: &str, is_configured: Option<bool>) -> String {
        let url = &self.url.url;
        match is_configured {
            None => format!("  {what} does not run at {url}: not compared with the running pool\n"),
            Some(false) => format!("  {what} is not configured: not compared with the running pool\n"),
            Some(true) => {
                format!("  {what} is not compared: the running pool at {url} began without it; restart edgepool\n")
            }
        }
    }
}

fn unanswered<T>(error: CallError, must: bool, faults: &mut Faults) -> Result<T, Option<String>> {
    match error {
        CallError::Connection(why) if !must => Err(Some(why)),
        error => {
            faults.add_unchecked_for_all_pools(format!("the running pool: {}", error.reason()));
            Err(None)
        }
    }
}

fn not_compared(why: &str) -> String {
    format!("  not compared with a running pool: {why}\n")
}

fn find<'p>(pools: &'p [Value], name: &str) -> Option<&'p Value> {
    pools.iter().find(|pool| pool["name"] == name)
}

/// One chain of a running pool.
struct Live<'l> {
    url: &'l NodeSpec,
    pool: &'l str,
    chain: Option<&'l str>,
}

impl Live<'_> {
    fn ask(&self, method: &str, count: usize, skip: usize) -> Result<Value, CallError> {
        let mut params = json!({ "pool": self.pool, "count": count, "skip": skip });
        if let Some(chain) = self.chain {
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
