//! The ledger of a pool that mines three chains with one work, as a true pool would have written it: Litecoin, Dogecoin
//! with coinbases of our own, and Pepecoin with blocks that its node keeps. Whose account is whose on each chain is
//! written down here by hand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use edgepool::base::Hash32;
use edgepool::coin::address;
use edgepool::coin::params::{Coin, Network, coin};
use edgepool::coin::pow::sha256d;
use edgepool::coin::script::Script;
use edgepool::pool::identity::Identity;
use edgepool::pool::ledger::Ledger;
use edgepool::pool::record::{
    AddressNamed, BlockFound, BlockJudged, BlockStatus, CellKey, ClockMark, Entry, MinerId, OutPoint, PaymentJudged,
    PaymentOutput, PaymentQueued, PaymentSigned, PaymentStatus, Payout, Stamp,
};
use edgepool::pool::spec::Terms;
use edgepool::pool::split::{Claim, Split, split};
use serde_json::{Value, json};

use crate::keeper::{Ledgers, SETTLED, transaction};
use crate::place::Scratch;

const START: u64 = 1_795_000_000_000;
const SLOT: u64 = 300_000;
const MINUTE: u64 = 60_000;
pub const LTC: u8 = 0;
pub const DOGE: u8 = 1;
pub const PEP: u8 = 2;
const VALUES: [u64; 3] = [1_250_000_000, 1_000_000_000_000, 1_000_000_000_000];

/// Taproot-like on the parent chain, with no counterpart elsewhere.
pub const NAMELESS: MinerId = 6;
/// The same, with a Dogecoin script of his own that nothing carries over to.
pub const COMPOSED: MinerId = 8;
/// Who works, and the account that it is for on each chain.
const WORKERS: [(MinerId, [MinerId; 3], u64); 5] =
    [(0, [0, 0, 0], 20), (1, [1, 2, 2], 10), (3, [4, 5, 9], 5), (6, [6, 6, 6], 4), (7, [6, 8, 6], 2)];

fn wpkh(name: u8) -> Script {
    Script::witness(0, &[name; 20]).unwrap()
}

/// The hash that Dogecoin's anybody-may-spend rule does not let through of itself.
pub fn rigs_script() -> Script {
    Script::p2sh(&[0x77; 20])
}

pub fn operators_script() -> Script {
    Script::p2pkh(&[0x66; 20])
}

fn identities() -> BTreeMap<MinerId, Identity> {
    let long = Script::witness(0, &[0x60; 32]).unwrap();
    BTreeMap::from([
        (0, Script::p2pkh(&[1; 20]).into()),
        (1, wpkh(2).into()),
        (2, Script::p2pkh(&[2; 20]).into()),
        (3, Identity::new(wpkh(3), vec![(DOGE, Script::p2pkh(&[0x33; 20]))])),
        (4, wpkh(3).into()),
        (5, Script::p2pkh(&[0x33; 20]).into()),
        (6, long.clone().into()),
        (7, Identity::new(long, vec![(DOGE, rigs_script())])),
        (8, Identity::new(rigs_script(), vec![(DOGE, rigs_script())])),
        (9, Script::p2pkh(&[3; 20]).into()),
    ])
}

/// Where an account of a chain is paid that nobody named an address for.
pub fn script(miner: MinerId) -> Option<Script> {
    (miner != NAMELESS).then(|| identities()[&miner].script().clone())
}

pub fn pool_script() -> Script {
    Script::p2pkh(&[0xee; 20])
}

fn terms(chain: u8) -> Terms {
    let max_outputs = if chain == PEP { 1 } else { 10 };
    Terms { pool_script: pool_script(), fee_ppm: 10_000, min_payout: 1_000, max_outputs }
}

pub struct Keeper {
    ledgers: Vec<Ledger>,
    named: BTreeMap<MinerId, Script>,
    now: u64,
    pub all: Ledgers,
}

impl Keeper {
    fn new() -> Keeper {
        let miners = identities().into_iter().map(|(miner, identity)| (miner, identity.to_bytes())).collect();
        let all = Ledgers { entries: Vec::new(), miners, cells: BTreeMap::new(), clock: ClockMark::default() };
        let ledgers = (0..3).map(|chain| Ledger::new(chain, terms(chain))).collect();
        Keeper { ledgers, named: BTreeMap::new(), now: START, all }
    }

    fn stamp(&self) -> Stamp {
        Stamp { pool_ms: self.now, wall_ms: self.now }
    }

    fn record(&mut self, entry: Entry) {
        let seq = self.all.entries.len() as u64 + 1;
        for ledger in &mut self.ledgers {
            ledger.apply(seq, &entry).unwrap();
            ledger.check().unwrap();
        }
        self.all.entries.push(entry);
        (self.all.clock.pool_ms, self.all.clock.wall_ms) = (self.now, self.now);
    }

    fn work(&mut self) {
        for (miner, _, work) in WORKERS {
            self.now += 7_000;
            let cell = self.all.cells.entry(CellKey { slot_start_ms: self.now / SLOT * SLOT, miner }).or_default();
            cell.work += work * 1_000;
            cell.shares += 1;
            self.all.clock.total_work += u128::from(work * 1_000);
            self.all.clock.total_shares += 1;
        }
        self.now += 7 * MINUTE;
    }

    /// Where an account is paid now.
    pub fn payee(&self, chain: u8, miner: MinerId) -> Option<Script> {
        let named = self.named.get(&miner).filter(|_| chain == DOGE).cloned();
        let own = if chain == LTC { Some(identities()[&miner].script().clone()) } else { script(miner) };
        named.or(own)
    }

    fn split(&self, chain: u8) -> Split {
        let mut work: BTreeMap<MinerId, u64> = BTreeMap::new();
        for (key, cell) in &self.all.cells {
            let (_, accounts, _) = WORKERS.iter().find(|(worker, ..)| *worker == key.miner).unwrap();
            *work.entry(accounts[usize::from(chain)]).or_default() += cell.work;
        }
        let ledger = &self.ledgers[usize::from(chain)];
        let scripts: BTreeMap<MinerId, Option<Script>> =
            (0..10).map(|miner| (miner, self.payee(chain, miner))).collect();
        let claim = |miner: MinerId| Claim {
            miner,
            script: scripts[&miner].as_ref(),
            work: work.get(&miner).copied().unwrap_or(0),
            balance: ledger.account(miner).available(),
        };
        let claims: Vec<Claim> = (0..10).map(claim).filter(|claim| claim.work > 0 || claim.balance != 0).collect();
        split(VALUES[usize::from(chain)], &terms(chain), &claims)
    }

    /// Finds a block with a job of now, which is accepted.
    fn block(&mut self, chain: u8, height: u32, finder: MinerId) -> Hash32 {
        self.now += 1_000;
        let (split, job_at) = (self.split(chain), self.stamp());
        self.now += 20_000;
        let hash = sha256d(&[chain, height as u8]);
        let Terms { pool_script, fee_ppm, min_payout, max_outputs } = terms(chain);
        let found = BlockFound {
            chain,
            hash,
            height,
            at: self.stamp(),
            job_at,
            finder,
            worker: "rig".into(),
            network_difficulty: 30_000,
            total_work: self.all.clock.total_work,
            value: split.value,
            fee_ppm,
            min_payout,
            max_outputs,
            pool_script: pool_script.as_bytes().to_vec(),
            pool_amount: split.pool_amount,
            outputs: split.paid.iter().map(|(miner, _, amount)| Payout { miner: *miner, amount: *amount }).collect(),
            parts: split.parts,
            rebuilt: false,
        };
        self.record(Entry::BlockFound(Box::new(found)));
        self.judge(chain, hash, BlockStatus::Accepted, false);
        hash
    }

    fn judge(&mut self, chain: u8, hash: Hash32, status: BlockStatus, is_final: bool) {
        self.now += 2_000;
        let at = self.stamp();
        self.record(Entry::BlockJudged(BlockJudged { chain, hash, at, status, is_final }));
    }

    fn name(&mut self, script: Script, by_operator: bool) {
        self.now += 5_000;
        let (at, bytes) = (self.stamp(), script.as_bytes().to_vec());
        self.named.insert(NAMELESS, script);
        let named = AddressNamed { chain: DOGE, miner: NAMELESS, at, script: bytes, by_operator };
        self.record(Entry::AddressNamed(named));
    }

    /// Pays an account of Pepecoin what it is owed.
    fn pay(&mut self, payment: u64, miner: MinerId) {
        self.now += MINUTE;
        let at = self.stamp();
        let queued = PaymentQueued { chain: PEP, payment, at, wanted: vec![miner], threshold: 1, is_scheduled: false };
        self.record(Entry::PaymentQueued(queued));
        self.now += 1_000;
        let amount = self.ledgers[usize::from(PEP)].payables()[&miner];
        let output = PaymentOutput { miner, amount, received: amount };
        let signed = signed(payment, self.stamp(), output, &self.payee(PEP, miner).unwrap());
        self.record(Entry::PaymentSigned(Box::new(signed)));
        let (height, block) = SETTLED;
        for status in [PaymentStatus::Sent, PaymentStatus::Settled { height, block }] {
            let at = self.stamp();
            self.record(Entry::PaymentJudged(PaymentJudged { chain: PEP, payment, at, status }));
        }
    }
}

/// A payment to one account, which pays `script`.
pub fn signed(payment: u64, at: Stamp, output: PaymentOutput, script: &Script) -> PaymentSigned {
    let input = OutPoint { txid: [payment as u8; 32], vout: 7 };
    let bytes = transaction(input, b"", &[(script.clone(), output.received), (pool_script(), 5_000)]);
    let txid = sha256d(&bytes);
    PaymentSigned { chain: PEP, payment, at, txid, bytes, inputs: vec![input], outputs: vec![output], fee: 200 }
}

/// The first `entries` of it.
pub fn past_ledger(entries: usize) -> Ledgers {
    let mut ledger = true_ledger();
    ledger.entries.truncate(entries);
    ledger
}

/// Blocks of every chain: before an address is named for the nameless, after his rigs named one, and after the operator
/// named another.
pub fn true_ledger() -> Ledgers {
    let mut keeper = Keeper::new();
    keeper.work();
    keeper.block(LTC, 100, 4);
    keeper.block(DOGE, 100, 5);
    let first = keeper.block(PEP, 100, 9);
    keeper.work();
    keeper.block(DOGE, 101, NAMELESS);
    keeper.name(rigs_script(), false);
    keeper.block(DOGE, 102, COMPOSED);
    keeper.work();
    keeper.block(LTC, 101, 6);
    keeper.name(operators_script(), true);
    keeper.work();
    keeper.block(DOGE, 103, 0);
    keeper.block(PEP, 101, NAMELESS);
    keeper.judge(PEP, first, BlockStatus::Confirmed, true);
    keeper.pay(1, 9);
    keeper.work();
    keeper.all.clock.pool_ms = keeper.now;
    keeper.all
}

fn on(name: &str) -> (&'static Coin, &'static Network) {
    let coin = coin(name).unwrap();
    (coin, coin.network("regtest").unwrap())
}

/// Parts of the configuration, each with its node.
fn chain(name: &str, coin: &str, node: Option<SocketAddr>) -> Value {
    let node = node.map_or("127.0.0.1:9".to_string(), |node| node.to_string());
    let payout = address::encode(&pool_script(), on(coin).0, on(coin).1).unwrap();
    json!({
        "name": name,
        "coin": coin,
        "network": "regtest",
        "nodes": [{ "url": format!("http://{node}"), "user": "u", "password": "p" }],
        "payout": { "address": payout },
    })
}

/// A configuration of the three chains beside the ledger, with their nodes.
pub fn configure(scratch: &Scratch, nodes: [Option<SocketAddr>; 3]) -> PathBuf {
    let mut pool = chain("ltc", "litecoin", nodes[0]);
    pool["merge"] = json!([chain("doge", "dogecoin", nodes[1]), chain("pep", "pepecoin", nodes[2])]);
    let ledger = json!({ "map_mib": 16 });
    let rpc = json!({ "listen": "127.0.0.1:0" });
    let config = json!({ "data_dir": scratch.0, "ledger": ledger, "rpc": rpc, "pools": [pool] });
    let path = scratch.0.join("edgepool.json");
    std::fs::write(&path, config.to_string()).unwrap();
    path
}
