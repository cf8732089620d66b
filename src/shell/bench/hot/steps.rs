//! The steps, and what they work on: a job of 2,000 transactions that pays up to 500 of 1,000 miners, and a window in
//! which all of them worked. Never measures anything itself.

use std::hint::black_box;
use std::rc::Rc;

use serde_json::{Value, json};

use crate::base::limits::EXTRANONCE1;
use crate::base::rng::Rng;
use crate::base::time::HOUR;
use crate::coin::difficulty::Difficulty;
use crate::coin::merkle;
use crate::coin::params::{Algorithm, coin};
use crate::coin::pow::{Hasher, sha256d};
use crate::coin::script::Script;
use crate::coin::template::Template;
use crate::pool::child::Children;
use crate::pool::firmware::CoinbaseClass;
use crate::pool::job::{Filled, Job, JobParts};
use crate::pool::judge::{Submission, judge};
use crate::pool::record::{Batch, MinerId};
use crate::pool::spec::{ChainSpec, NodeSpec, Terms};
use crate::pool::split::{Claim, split};
use crate::pool::window::Window;
use crate::shell::bench::ledger::BenchError;
use crate::shell::store::Store;
use crate::wire::stratum::{self, ErrorCode};

const TRANSACTIONS: u64 = 2_000;
/// Bytes of each, as a payment with two inputs and two outputs has them.
const TRANSACTION_BYTES: u64 = 370;
const MINERS: MinerId = 1_000;
const SHARES: u64 = 1_000;
const EXTRANONCE2: [u8; 8] = [7; 8];
const WINDOW_MS: u64 = 24 * HOUR;
/// Any time of the pool will do.
const POOL_MS: u64 = 1_700_000_000_000;
/// As cgminer writes it, with rolled version bits.
const SUBMIT: &[u8] = br#"{"params": ["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4.rig17", "1a2b3c", "0707070707070707", "65a1b2c3", "9e3779b9", "00c42000"], "id": 1234, "method": "mining.submit"}"#;

/// Something the pool does.
pub(super) struct Step<'a> {
    pub(super) name: &'static str,
    /// Does it once.
    pub(super) act: Box<dyn FnMut() -> Result<(), BenchError> + 'a>,
}

impl<'a> Step<'a> {
    /// A step that can't fail.
    fn of<T>(name: &'static str, mut act: impl FnMut() -> T + 'a) -> Step<'a> {
        Step {
            name,
            act: Box::new(move || {
                black_box(act());
                Ok(())
            }),
        }
    }
}

/// What the steps work on.
pub(super) struct Material {
    chain: ChainSpec,
    /// A node's answer.
    answer: Vec<u8>,
    template: Rc<Template>,
    /// The miners, with their work.
    miners: Vec<(Script, u64)>,
    header: [u8; 80],
}

impl Material {
    pub(super) fn new() -> Result<Material, BenchError> {
        let mut rng = Rng::new(1);
        let bitcoin = coin("bitcoin").expect("a row of the table of coins");
        let answer = template(&mut rng);
        let template = Template::parse(&answer, bitcoin).map_err(|error| BenchError::Wrong(error.to_string()))?;
        let pool_script = Script::from_bytes(vec![0x51]);
        let terms = Terms { pool_script, fee_ppm: 10_000, min_payout: 1_000, max_outputs: 500 };
        let node = NodeSpec { url: String::new(), authority: String::new(), path: String::new() };
        Ok(Material {
            chain: ChainSpec {
                name: "bench".into(),
                coin: bitcoin,
                network: bitcoin.network("mainnet").expect("every coin has its main network"),
                nodes: vec![node],
                terms,
                coinbase_tag: b"/edgepool/".to_vec(),
                payments: None,
                mine: true,
            },
            answer,
            template: Rc::new(template),
            miners: (0..MINERS).map(|_| (script(&mut rng), 20_000 + rng.below(2_000_000))).collect(),
            header: bytes(&mut rng),
        })
    }

    /// Every step, in the order of a share's way and then of a job's.
    pub(super) fn steps<'a>(&'a self, store: &'a Store) -> Result<Vec<Step<'a>>, BenchError> {
        let job = Rc::new(self.job()?);
        let (judged, known, sent) = (Rc::clone(&job), Rc::clone(&job), job);
        let mut hasher = Hasher::new();
        let mut nonce = 0;
        let judge_next = move || {
            nonce += 1;
            let share = Submission { nonce, ..submission(&judged) };
            judge(&judged, &share, Algorithm::Sha256d, &mut hasher, EXTRANONCE2.len(), 0)
        };
        let mut scrypt = Hasher::new();
        let id = stratum::parse(SUBMIT).map_err(|refused| BenchError::Wrong(refused.reason))?.id;
        let refused = id.clone();
        let claims = self.claims();
        let class = CoinbaseClass::WIDEST;
        Ok(vec![
            Step::of("read a submit line", || stratum::parse(black_box(SUBMIT))),
            Step::of("judge a share (sha256d): coinbase, root and hash", judge_next),
            Step::of("- coinbase id and merkle root", move || {
                let id = known.coinbase_id(black_box(&FILLED));
                merkle::root(id, &known.branch)
            }),
            Step::of("- sha256d of a header", || sha256d(black_box(&self.header))),
            Step::of("scrypt of a header", move || scrypt.hash(Algorithm::Scrypt, black_box(&self.header))),
            Step::of("write the answer true", move || stratum::reply_true(black_box(&id))),
            Step::of("write a refusal", move || {
                stratum::reply_error(black_box(&refused), ErrorCode::LowDifficulty, "Low difficulty share")
            }),
            self.commit(store)?,
            Step::of("read a template of 2,000 transactions", || {
                Template::parse(black_box(&self.answer), self.chain.coin)
            }),
            Step::of("merkle branch of 2,000 transactions", || black_box(&self.template).branch()),
            Step::of("split for 1,000 miners", move || {
                split(self.template.value, &self.chain.terms, black_box(&claims))
            }),
            Step {
                name: "job: split, coinbases and branch of all these",
                act: Box::new(|| self.job().map(|job| drop(black_box(job)))),
            },
            Step::of("write a job's notify line, the widest coinbase", move || sent.notify(class, 0, true)),
        ])
    }

    /// Shares from the window to the disk, as one commit of the pool's has them.
    fn commit<'a>(&'a self, store: &'a Store) -> Result<Step<'a>, BenchError> {
        let mut window = Window::new(WINDOW_MS, MINERS as usize, POOL_MS);
        let mut rows = Vec::new();
        let mut scripts = Vec::new();
        for (miner, (script, _)) in (0..).zip(&self.miners) {
            rows.push(window.admit(miner, &script.clone().into()).map_err(|full| BenchError::Wrong(full.to_string()))?);
            scripts.push((miner, script.as_bytes().to_vec()));
        }
        let mut batch = Batch { miners: scripts, ..Batch::default() };
        batch.clock.pool_ms = POOL_MS;
        store.commit(&[(0, &batch)])?;
        batch.miners.clear();
        Ok(Step {
            name: "credit 1,000 shares of as many miners and commit",
            act: Box::new(move || {
                for row in rows.iter().cycle().take(SHARES as usize) {
                    window.credit(*row, 1_000, POOL_MS);
                }
                batch.cells = window.take_changed();
                Ok(store.commit(&[(0, &batch)])?)
            }),
        })
    }

    fn job(&self) -> Result<Job, BenchError> {
        let parts = JobParts {
            aux: &[],
            seq: 0x1a_2b3c,
            template: &self.template,
            chain: &self.chain,
            terms: &self.chain.terms,
            claims: &self.claims(),
            extranonce2_len: EXTRANONCE2.len(),
            ntime: self.template.curtime,
            made_ms: 0,
        };
        Job::build(&parts, Children::default()).map_err(|error| BenchError::Wrong(error.to_string()))
    }

    fn claims(&self) -> Vec<Claim<'_>> {
        let miners = (0..).zip(&self.miners);
        miners.map(|(miner, (script, work))| Claim { miner, script: Some(script), work: *work, balance: 0 }).collect()
    }
}

/// The coinbase of the benchmark's only rig.
const FILLED: Filled<'static> =
    Filled { class: CoinbaseClass::DEFAULT, epoch: 0, extranonce1: [1; EXTRANONCE1], extranonce2: &EXTRANONCE2 };

fn submission(job: &Job) -> Submission<'static> {
    Submission {
        filled: FILLED,
        ntime: job.ntime,
        nonce: 0,
        version_bits: None,
        version_mask: 0,
        difficulty: Difficulty::MIN,
        lowered: None,
    }
}

/// A node's answer to getblocktemplate.
fn template(rng: &mut Rng) -> Vec<u8> {
    let transactions: Vec<Value> = (0..TRANSACTIONS)
        .map(|_| {
            let data: Vec<u8> = (0..TRANSACTION_BYTES).map(|_| rng.next_u64() as u8).collect();
            json!({
                "data": hex::encode(data), "txid": hex::encode(bytes::<32>(rng)), "hash": hex::encode(bytes::<32>(rng)),
                "depends": [], "fee": 1_000, "sigops": 4, "weight": 4 * TRANSACTION_BYTES,
            })
        })
        .collect();
    let answer = json!({
        "version": 0x2000_0000, "rules": ["csv", "!segwit", "taproot"], "previousblockhash": hex::encode(bytes::<32>(rng)),
        "transactions": transactions, "coinbasevalue": 314_500_000, "longpollid": "1", "mintime": 1_700_000_000,
        "curtime": 1_700_003_600, "sigoplimit": 80_000, "sizelimit": 4_000_000, "weightlimit": 4_000_000,
        "bits": "17034219", "height": 840_001,
    });
    answer.to_string().into_bytes()
}

fn script(rng: &mut Rng) -> Script {
    Script::witness(0, &bytes::<20>(rng)).expect("20 bytes are a program of version 0")
}

fn bytes<const N: usize>(rng: &mut Rng) -> [u8; N] {
    std::array::from_fn(|_| rng.next_u64() as u8)
}
