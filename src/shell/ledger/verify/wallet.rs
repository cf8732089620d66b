//! What a chain's wallet sent to miners and the ledger does not know: a ledger that was put back from a copy still owes
//! what was paid since. It is told and called no fault, for whose wallet it is may pay a miner for reasons of his own.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::coins;
use super::fault::Faults;
use super::names::Names;
use super::payees::Payees;
use super::replay::Audit;
use crate::base::amount::parse_amount;
use crate::base::display_hash;
use crate::coin::address;
use crate::coin::script::Script;
use crate::pool::ledger::Ledger;
use crate::pool::record::{Entry, MinerId};
use crate::pool::spec::{ChainSpec, NodeSpec};
use crate::shell::config::PoolConfig;
use crate::shell::http_call;
use crate::shell::ledger::chain_reader::{ReadError, authorization, parsed, read_error};
use crate::shell::secrets::Secret;

/// Lines that are asked for at one time.
const PAGE: usize = 1_000;

/// Ids of all payments that any pool of the ledger signed, and those under which the chain has them.
#[derive(Default)]
pub(super) struct KnownPayments {
    ids: BTreeSet<String>,
}

impl KnownPayments {
    /// Takes in what an entry of a journal tells.
    pub(super) fn follow(&mut self, entry: &Entry) {
        if let Entry::PaymentSigned(signed) = entry {
            self.ids.insert(display_hash(&signed.txid));
        }
    }

    /// A payment is in the chain under this id.
    pub(super) fn add(&mut self, txid: String) {
        self.ids.insert(txid);
    }
}

/// Miner and amount of each output that pays one, by transaction and place.
type Unknown = BTreeMap<(String, u32), (MinerId, u64)>;

/// One line of `listtransactions`.
#[derive(Deserialize)]
struct Line<'j> {
    category: String,
    txid: Option<String>,
    vout: Option<u32>,
    address: Option<String>,
    #[serde(borrow)]
    amount: &'j RawValue,
    confirmations: Option<i64>,
    #[serde(default)]
    abandoned: bool,
}

impl Line<'_> {
    /// Whether money left the wallet by it, or may yet: one that lost against another in the chain has a negative depth.
    fn is_payment(&self) -> bool {
        self.category == "send" && !self.abandoned && self.confirmations.unwrap_or(0) >= 0
    }
}

/// Asks the wallet of each chain that pays from one, and says what the ledger does not know.
pub(super) fn compare(
    pool: &PoolConfig,
    names: &Names,
    audit: &Audit,
    known: &KnownPayments,
    faults: &mut Faults,
) -> String {
    let mut text = String::new();
    for (index, ledger) in audit.ledgers() {
        let place = usize::from(index);
        let (spec, secret) = (pool.spec.chains.get(place), pool.wallet_secrets.get(place));
        if let (Some(spec), Some(Some(secret))) = (spec, secret) {
            text += &compare_chain((spec, secret), (index, ledger), names, audit.payees(index), known, faults);
        }
    }
    text
}

fn compare_chain(
    (spec, secret): (&ChainSpec, &Secret),
    (index, ledger): (u8, &Ledger),
    names: &Names,
    payees: &Payees,
    known: &KnownPayments,
    faults: &mut Faults,
) -> String {
    let Some(payments) = &spec.payments else { return String::new() };
    let ever = |miner| payees.between(names, index, miner, 0, u64::MAX).into_iter().flatten();
    let accounts = ledger.accounts().flat_map(|(miner, _)| ever(miner).map(move |script| (script, miner)));
    let accounts: BTreeMap<&Script, MinerId> = accounts.collect();
    let url = &payments.wallet.url;
    match unknown(&payments.wallet, secret, spec, known, &accounts) {
        Err(ReadError::Lost(_)) if !spec.mine => {
            format!("  the wallet at {url} is not asked: {} is not mined any more and it does not answer\n", spec.name)
        }
        Err(why) => {
            faults.add_unchecked(format!("chain {}", spec.name), format!("its wallet can't be asked: {why}"));
            String::new()
        }
        Ok(unknown) if unknown.is_empty() => format!("  the wallet at {url} paid no miner beside these payments\n"),
        Ok(unknown) => {
            let line = |((txid, _), (miner, amount)): (&(String, u32), &(MinerId, u64))| {
                let (amount, name) = (coins(*amount), names.miner(index, *miner));
                format!("  the wallet at {url} paid {amount} to {name} by {txid}, which this ledger does not know\n")
            };
            unknown.iter().map(line).collect()
        }
    }
}

/// What the wallet sent to miners by transactions that are no payments of the ledger.
fn unknown(
    wallet: &NodeSpec,
    secret: &Secret,
    spec: &ChainSpec,
    known: &KnownPayments,
    accounts: &BTreeMap<&Script, MinerId>,
) -> Result<Unknown, ReadError> {
    let authorization = authorization(wallet, secret)?;
    let mut unknown = Unknown::new();
    for page in 0.. {
        let params = json!(["*", PAGE, page * PAGE]);
        let answer = http_call::call_raw(wallet, authorization.as_deref(), "listtransactions", &params);
        let answer = answer.map_err(read_error)?;
        let lines: Vec<Line> = parsed(&answer)?;
        for line in lines.iter().filter(|line| line.is_payment()) {
            let (Some(txid), Some(address)) = (&line.txid, &line.address) else { continue };
            // What is no address of this chain by our own rules is none that a miner could be paid at.
            let Ok(address) = address::parse(address, spec.coin, spec.network) else { continue };
            let Some(miner) = accounts.get(&address.script).filter(|_| !known.ids.contains(txid)) else { continue };
            let amount = parse_amount(line.amount.get().trim_start_matches('-'))
                .map_err(|error| ReadError::Answer(format!("{txid}: {} {error}", line.amount)))?;
            unknown.insert((txid.clone(), line.vout.unwrap_or(0)), (*miner, amount));
        }
        if lines.len() < PAGE {
            break;
        }
    }
    Ok(unknown)
}
