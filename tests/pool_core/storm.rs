//! Everything at once, by chance: shares of every kind, blocks, lost nodes, failing disks, restarts, wrong clocks.
//! An auditor that knows only what rigs, node and disk saw keeps its own books. The same seed is the same storm;
//! what never happens in any of them fails the sweep.

use std::collections::{BTreeMap, BTreeSet};

use edgepool::base::rng::Rng;
use edgepool::base::slots::Key;
use edgepool::coin::difficulty::Difficulty;
use edgepool::pool::record::{BlockStatus, Entry, Term};
use serde_json::json;

use crate::node::{Mode, block_hash};
use crate::rig::{Share, Want};
use crate::scene::{SECOND, Scene, TODAY, YEAR, script, spec};

const STEPS: u64 = 250;
const SEEDS: u64 = 10;
const ADDRESSES: u64 = 5;

/// A share that was sent and not yet answered.
struct Sent {
    rig: Key,
    address: u8,
    units: u64,
}

struct Storm {
    scene: Scene,
    rng: Rng,
    /// Addresses of the rigs that are connected.
    online: BTreeMap<Key, u8>,
    waiting: BTreeMap<String, Sent>,
    /// By address: shares and units that were acknowledged, and shares whose answer nobody saw.
    acknowledged: BTreeMap<u8, (u64, u64)>,
    unseen: BTreeMap<u8, u64>,
    last: BTreeMap<Key, Share>,
    sent: u64,
    /// What happened at least once.
    marks: BTreeSet<String>,
}

impl Storm {
    fn new(seed: u64) -> Storm {
        let mut spec = spec(1);
        spec.vardiff.start = Difficulty::from_units(4).unwrap();
        spec.vardiff.max = Difficulty::from_units(32).unwrap();
        let (online, waiting) = (BTreeMap::new(), BTreeMap::new());
        Storm {
            scene: Scene::start(spec),
            rng: Rng::new(seed),
            online,
            waiting,
            acknowledged: BTreeMap::new(),
            unseen: BTreeMap::new(),
            last: BTreeMap::new(),
            sent: 0,
            marks: BTreeSet::new(),
        }
    }

    fn step(&mut self) {
        match self.rng.below(60) {
            0..=9 => (0..3).for_each(|_| self.submit(Want::Share)),
            10..=12 => self.submit(Want::Block),
            13 => self.submit(Want::TooEasy),
            14 => self.submit_again(),
            15 => self.submit_old(),
            16..=18 => self.connect(),
            19 => self.disconnect(),
            20..=27 => self.pass(600),
            28 | 40 => self.pass(40 * SECOND),
            29 | 30 => {
                let hash = hex::encode([self.rng.next_u64().to_be_bytes(); 4].concat());
                self.scene.new_tip(0, &hash);
                self.scene.turn();
            }
            31 => self.break_disk(),
            32 => self.break_node(),
            33 => self.restart(),
            34 => {
                let fee = self.rng.below(100_000) as u32;
                self.scene.pool.set_term(0, Term::FeePpm(fee), self.scene.now);
                self.scene.turn();
            }
            35 => self.scene.now.wall_ms = [0, TODAY, TODAY + 40 * YEAR][self.rng.below(3) as usize],
            36 => self.scene.nodes[0].verdict = Some(json!("bad-cb-amount")),
            37 => self.scene.nodes[0].verdict = None,
            38 | 39 => self.suggest(),
            41..=50 => self.submit(Want::Share),
            _ => self.pass(2 * SECOND),
        }
        self.settle();
        self.audit();
    }

    fn any_rig(&mut self) -> Option<Key> {
        let working: Vec<Key> =
            self.online.keys().copied().filter(|key| !self.scene.rigs[key].jobs.is_empty()).collect();
        let at = self.rng.below(working.len() as u64) as usize;
        working.get(at).copied()
    }

    fn send(&mut self, rig: Key, share: &Share, difficulty: f64) {
        self.sent += 1;
        let id = format!("s{}", self.sent);
        let (address, units) = (self.online[&rig], (difficulty * 65_536.0) as u64);
        self.waiting.insert(id.clone(), Sent { rig, address, units });
        self.scene.submit(rig, &id, share);
    }

    fn submit(&mut self, want: Want) {
        let Some(rig) = self.any_rig() else { return };
        let job = self.scene.rigs[&rig].job().clone();
        if want == Want::TooEasy && job.difficulty * 65_536.0 < 2.0 {
            return;
        }
        let share = self.scene.rig_mut(rig).mine_job(&job, want);
        self.send(rig, &share, job.difficulty);
        self.last.insert(rig, share.clone());
        if want == Want::Block {
            // In the ledger in the turn in which it came, whatever disk and nodes do.
            let blocks = self.scene.pool.chains()[0].ledger.blocks();
            let found = blocks.iter().filter(|b| edgepool::base::display_hash(&b.found.hash) == share.block_hash);
            assert_eq!(found.count(), 1);
        }
    }

    fn submit_again(&mut self) {
        let Some(rig) = self.any_rig() else { return };
        if let Some(share) = self.last.get(&rig).cloned() {
            let job = self.scene.rigs[&rig].jobs.iter().find(|job| job.id == share.job_id).unwrap().clone();
            self.send(rig, &share, job.difficulty);
        }
    }

    fn submit_old(&mut self) {
        let Some(rig) = self.any_rig() else { return };
        let at = self.rng.below(self.scene.rigs[&rig].jobs.len() as u64) as usize;
        let job = self.scene.rigs[&rig].jobs[at].clone();
        let share = self.scene.rig_mut(rig).mine_job(&job, Want::Share);
        self.send(rig, &share, job.difficulty);
    }

    fn connect(&mut self) {
        if self.online.len() < 8 {
            let address = self.rng.below(ADDRESSES) as u8;
            let key = self.scene.rig(address);
            assert_eq!(self.scene.rigs[&key].reply("authorize").unwrap()["result"], true);
            self.online.insert(key, address);
        }
    }

    fn disconnect(&mut self) {
        if let Some(rig) = self.any_rig() {
            self.settle();
            self.scene.pool.handle_miner_closed(rig);
            self.forget(rig);
        }
    }

    /// Nobody will see the answers to what this rig sent.
    fn forget(&mut self, rig: Key) {
        self.online.remove(&rig);
        let (gone, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(|(_, sent)| sent.rig == rig);
        self.waiting = waiting;
        let gone: BTreeMap<String, Sent> = gone;
        for sent in gone.into_values() {
            *self.unseen.entry(sent.address).or_default() += 1;
            self.marks.insert("unseen".into());
        }
    }

    fn pass(&mut self, most_ms: u64) {
        let by = self.rng.below(most_ms);
        self.scene.advance(by);
    }

    fn break_disk(&mut self) {
        self.scene.disk.fault = match self.scene.disk.fault {
            None => Some("no space left".into()),
            Some(_) => None,
        };
    }

    fn break_node(&mut self) {
        let modes = [Mode::Error(-28), Mode::Refused, Mode::Silent, Mode::Truncated, Mode::Unauthorised];
        let well = self.scene.nodes[0].mode != Mode::Good;
        let mode = if well { Mode::Good } else { modes[self.rng.below(modes.len() as u64) as usize].clone() };
        self.marks.insert(format!("{mode:?}"));
        self.scene.break_node(0, mode);
    }

    fn restart(&mut self) {
        self.settle();
        for rig in self.online.keys().copied().collect::<Vec<_>>() {
            self.forget(rig);
        }
        self.last.clear();
        let spec = self.scene.pool.spec().clone();
        let pause = self.rng.below(60 * SECOND);
        self.scene.restart(spec, pause);
        self.marks.insert("restart".into());
    }

    fn suggest(&mut self) {
        if let Some(rig) = self.any_rig() {
            let wanted = (1 + self.rng.below(40)) as f64 / 65_536.0;
            self.scene.ask(rig, "suggest", "mining.suggest_difficulty", json!([wanted]));
        }
    }

    /// Takes in the answers that rigs have seen.
    fn settle(&mut self) {
        for (id, sent) in std::mem::take(&mut self.waiting) {
            match self.scene.rigs[&sent.rig].reply(&id) {
                None => drop(self.waiting.insert(id, sent)),
                Some(reply) if reply["result"] == true => {
                    let sums = self.acknowledged.entry(sent.address).or_default();
                    *sums = (sums.0 + 1, sums.1 + sent.units);
                    self.marks.insert("true".into());
                }
                Some(reply) => drop(self.marks.insert(reply["error"][0].to_string())),
            }
        }
        let closed: Vec<Key> =
            self.online.keys().copied().filter(|key| self.scene.rigs[key].closed.is_some()).collect();
        closed.into_iter().for_each(|key| self.forget(key));
    }

    fn audit(&mut self) {
        // What was acknowledged is on disk; what is on disk and was not acknowledged is what nobody saw.
        let mut on_disk: BTreeMap<u8, (u64, u64)> = BTreeMap::new();
        for (key, cell) in &self.scene.disk.cells {
            let script_of = self.scene.pool.miners().script(key.miner).expect("a miner on disk is known");
            let address = (0..ADDRESSES as u8).find(|number| script(*number) == *script_of).unwrap();
            let sums = on_disk.entry(address).or_default();
            *sums = (sums.0 + u64::from(cell.shares), sums.1 + cell.work);
        }
        for address in 0..ADDRESSES as u8 {
            let read = |sums: &BTreeMap<u8, (u64, u64)>| sums.get(&address).copied().unwrap_or_default();
            let ((shares, work), (acknowledged, units)) = (read(&on_disk), read(&self.acknowledged));
            let unseen = self.unseen.get(&address).copied().unwrap_or_default();
            assert!((acknowledged..=acknowledged + unseen).contains(&shares), "{shares} shares on disk of {address}");
            assert!((units..=units + 32 * unseen).contains(&work), "{work} units on disk of {address}, {units} seen");
        }
        // The outputs of every block that left are those of the ledger.
        let ledger = &self.scene.pool.chains()[0].ledger;
        for bytes in &self.scene.nodes[0].submitted {
            let hash = block_hash(bytes);
            let Some(block) = ledger.blocks().iter().find(|b| edgepool::base::display_hash(&b.found.hash) == hash)
            else {
                // It left because the disk failed, and then the power was cut.
                assert!(self.marks.contains("restart") && self.marks.contains("20"));
                continue;
            };
            let mut expected: BTreeMap<String, u64> = BTreeMap::new();
            for output in &block.found.outputs {
                let paid_to = self.scene.pool.miners().script(output.miner).unwrap();
                expected.insert(hex::encode(paid_to.as_bytes()), output.amount);
            }
            expected.insert(hex::encode(&block.found.pool_script), block.found.pool_amount);
            expected.retain(|_, amount| *amount > 0);
            assert_eq!(coinbase_outputs(bytes), expected);
        }
    }

    /// Everything is well again for a while: all are answered, and every block has found its place.
    fn heal(&mut self) {
        self.scene.disk.fault = None;
        self.scene.nodes[0].verdict = None;
        self.scene.break_node(0, Mode::Good);
        self.scene.advance(180 * SECOND);
        self.settle();
        self.audit();
        assert!(self.waiting.is_empty(), "every share is answered");
        assert!(self.scene.pool.troubles().is_empty(), "{:?}", self.scene.pool.troubles());
        for block in self.scene.pool.chains()[0].ledger.blocks() {
            let hash = edgepool::base::display_hash(&block.found.hash);
            let is_in_chain = self.scene.nodes[0].has(&hash);
            match &block.status {
                BlockStatus::Accepted | BlockStatus::Confirmed => assert!(is_in_chain),
                BlockStatus::Rejected(reason) => assert_eq!((reason.as_str(), is_in_chain), ("bad-cb-amount", false)),
                BlockStatus::Submitted | BlockStatus::Orphaned(_) => assert!(!is_in_chain),
            }
            self.marks.insert(block.status.name().into());
            let is_kept = self.scene.disk.blocks.contains_key(&block.found.hash);
            assert!(is_kept || block.status != BlockStatus::Submitted, "what has no place yet is kept");
            assert!(!is_kept || !block.is_final, "what is judged for good is not");
        }
        let found = |entry: &&(u64, Entry)| matches!(entry.1, Entry::BlockFound(_));
        let journaled = self.scene.disk.journal.iter().filter(found).count();
        assert_eq!(journaled, self.scene.pool.chains()[0].ledger.blocks().len());
    }
}

/// The amounts of a block's coinbase by output script, without the commitment.
fn coinbase_outputs(block: &str) -> BTreeMap<String, u64> {
    let bytes = hex::decode(block).unwrap();
    // Header, count of transactions, version, marker and flag, one input: its outpoint, its script, its sequence.
    let script_at = 80 + 1 + 4 + 2 + 1 + 36;
    let mut at = script_at + 1 + bytes[script_at] as usize + 4;
    let count = bytes[at];
    at += 1;
    let mut outputs = BTreeMap::new();
    for _ in 0..count {
        let value = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
        let end = at + 9 + bytes[at + 8] as usize;
        outputs.insert(hex::encode(&bytes[at + 9..end]), value);
        at = end;
    }
    outputs.retain(|script, _| !script.starts_with("6a24"));
    outputs
}

#[test]
fn nothing_that_was_acknowledged_is_lost_in_any_storm() {
    let mut marks = BTreeSet::new();
    for seed in 0..SEEDS {
        let mut storm = Storm::new(seed);
        for step in 0..STEPS {
            storm.step();
            if step % 80 == 79 {
                storm.heal();
            }
        }
        storm.heal();
        storm.restart();
        storm.heal();
        marks.append(&mut storm.marks);
    }
    let needed = [
        "true",
        "20",
        "21",
        "22",
        "23",
        "unseen",
        "restart",
        "accepted",
        "rejected",
        "submitted",
        "Refused",
        "Silent",
        "Truncated",
        "Unauthorised",
    ];
    for mark in needed {
        assert!(marks.contains(mark), "{mark} never happened: {marks:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_storm() {
    let run = |seed| {
        let mut storm = Storm::new(seed);
        (0..120).for_each(|_| storm.step());
        let blocks =
            storm.scene.pool.chains()[0].ledger.blocks().iter().map(|block| block.found.hash).collect::<Vec<_>>();
        (std::mem::take(&mut storm.scene.effects), blocks, storm.scene.pool.total_work())
    };
    assert_eq!(run(7), run(7));
}
