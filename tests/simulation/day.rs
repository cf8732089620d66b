//! What happens to the pool, by chance, step by step; and the quiet at the end, in which everything must come out.

use edgepool::base::slots::Key;
use edgepool::pool::record::Term;
use serde_json::json;

use crate::bytes::Hash;
use crate::death::{POINTS, Point};
use crate::miner::{Miner, Want};
use crate::oracle::{Fate, Share, hold};
use crate::wallet::Trouble;
use crate::world::{ADDRESSES, CONFIRMATIONS, DEEPEST, MATURITY, SECOND, World, address};

/// Own blocks that a node may have on a branch of its own, before it hears of the network again.
const MOST_PRIVATE: u32 = 4;

impl World {
    /// One step: something happens, everything is checked. At first there is mostly mining, later mostly paying.
    pub fn step(&mut self, is_paying: bool) {
        let event = self.rng.below(100);
        if self.is_verbose {
            let (height, blocks) = (self.tree.height(&self.tree.tip), self.oracle.books.blocks.len());
            let (phase, payments) = (if is_paying { "paying" } else { "mining" }, self.oracle.books.payments.len());
            eprintln!("{} {phase} {event}: tip {height}, {blocks} blocks, {payments} payments", self.now.wall_ms);
        }
        if is_paying {
            self.pay_by_chance(event)
        } else {
            self.mine_by_chance(event)
        }
        self.turn();
        self.follow();
        self.recover();
        if self.is_dead {
            let pause = self.rng.below(30 * SECOND);
            self.restart(pause);
        }
        self.settle();
        self.oracle.audit(&self.pool, &self.disk, self.now.wall_ms);
    }

    fn mine_by_chance(&mut self, event: u64) {
        match event {
            0..=19 => self.work(Want::Share),
            20..=28 => self.work(Want::Block),
            29..=31 => self.two_blocks(),
            32 | 33 => self.late_block(),
            34..=39 => self.misbehave(),
            40..=44 => self.connect(),
            45 => self.disconnect(),
            46..=57 => self.pass(6 * SECOND),
            58..=60 => self.pass(25 * SECOND),
            61..=68 => self.extend(1),
            69 | 70 => self.extend(4),
            71 => self.extend(9),
            72..=77 => self.reorganise(),
            78..=82 => self.trouble_node(),
            83 => self.crash_node(),
            84 => self.disk.fault = Some("no space left".into()),
            85..=91 => self.arm(),
            92 => self.is_dead = true,
            93 => self.change_terms(),
            _ => self.pass(SECOND),
        }
    }

    fn pay_by_chance(&mut self, event: u64) {
        match event {
            0..=4 => self.work(Want::Share),
            5..=8 => self.work(Want::Block),
            9 | 10 => self.connect(),
            11..=21 => self.queue_payment(),
            22..=25 => self.trouble_wallet(),
            26..=31 => self.spend_elsewhere(),
            32..=47 => self.extend(1),
            48..=54 => self.extend(6),
            55..=60 => self.reorganise(),
            61..=65 => self.undo_spend(),
            66..=75 => self.arm(),
            76 => self.disk.fault = Some("no space left".into()),
            77 => self.trouble_node(),
            78 => self.crash_node(),
            79 => self.is_dead = true,
            80..=91 => self.pass(8 * SECOND),
            _ => self.pass(70 * SECOND),
        }
    }

    fn arm(&mut self) {
        let at = self.rng.below(POINTS.len() as u64) as usize;
        self.armed = Some(POINTS[at]);
    }

    /// The chain grows until the first blocks are final.
    pub fn ripen(&mut self) {
        self.grow(MATURITY, SECOND);
        if self.is_dead {
            self.restart(SECOND);
        }
    }

    /// Nodes and wallet follow the network, most of them, most of the time.
    fn follow(&mut self) {
        for index in 0..self.nodes.len() {
            let private = self.tree.beyond_fork(&self.nodes[index].view, &self.tree.tip);
            if private > MOST_PRIVATE {
                self.heal_node(index);
            }
            if private > MOST_PRIVATE || self.rng.below(4) > 0 {
                self.sync_node(index);
            }
        }
        if self.rng.below(4) > 0 {
            self.wallet.sync(&self.tree);
        }
    }

    fn any_miner(&mut self) -> Option<Key> {
        let working: Vec<Key> =
            self.miners.iter().filter(|(_, miner)| !miner.jobs.is_empty()).map(|(key, _)| *key).collect();
        let at = self.rng.below(working.len() as u64) as usize;
        working.get(at).copied()
    }

    /// Sends work for the address of the rig; the oracle knows of it.
    fn submit(&mut self, key: Key, found: &[(crate::miner::Work, bool)], username: Option<&str>) {
        let miner = &self.miners[&key];
        let (name, address) = (username.unwrap_or(&miner.username).to_string(), miner.address);
        let mut lines = String::new();
        for (work, _) in found {
            let id = format!("s{}", self.oracle.shares.len());
            self.oracle.shares.push(Share { address, units: work.units, at_ms: self.now.wall_ms, fate: Fate::Waiting });
            self.waiting.insert(id.clone(), (key, self.oracle.shares.len() - 1));
            lines += &work.line(&id, &name);
        }
        self.miners.get_mut(&key).unwrap().last = found.last().map(|(work, _)| work.clone());
        if found.iter().any(|(_, is_block)| *is_block) && self.armed == Some(Point::Found) {
            self.pool.handle_miner_bytes(key, lines.as_bytes(), self.now);
            self.point(Point::Found);
        }
        self.hear(key, &lines);
    }

    /// Shares, one or a flood; or a block.
    fn work(&mut self, want: Want) {
        let Some(key) = self.any_miner() else { return };
        let count = if want == Want::Block { 1 } else { [1, 1, 2, 6][self.rng.below(4) as usize] };
        let miner = self.miners.get_mut(&key).unwrap();
        let job = miner.jobs.last().unwrap().clone();
        let found: Vec<_> = (0..count).map(|_| (miner.mine(&job, want), want == Want::Block)).collect();
        self.submit(key, &found, None);
    }

    fn two_blocks(&mut self) {
        let Some(key) = self.any_miner() else { return };
        let miner = self.miners.get_mut(&key).unwrap();
        let job = miner.jobs.last().unwrap().clone();
        let found = [0; 2].map(|_| (miner.mine(&job, Want::Block), true));
        let first = self.rng.below(2) as usize;
        self.submit(key, &found[first..=first], None);
        let (lag, other) = (self.rng.below(2), 1 - first);
        self.advance(lag * SECOND);
        if !self.is_dead && self.miners.contains_key(&key) {
            self.submit(key, &found[other..=other], None);
        }
    }

    /// A block on work that was replaced.
    fn late_block(&mut self) {
        let Some(key) = self.any_miner() else { return };
        let back = 2 + self.rng.below(3) as usize;
        let miner = self.miners.get_mut(&key).unwrap();
        let job = miner.jobs[miner.jobs.len().saturating_sub(back)].clone();
        let found = [(miner.mine(&job, Want::Block), true)];
        self.submit(key, &found, None);
    }

    /// What rigs do wrong.
    fn misbehave(&mut self) {
        let Some(key) = self.any_miner() else { return };
        let kind = self.rng.below(8);
        let miner = self.miners.get_mut(&key).unwrap();
        let mut job = miner.jobs.last().unwrap().clone();
        match kind {
            0 => {
                let Some(last) = miner.last.clone() else { return };
                self.submit(key, &[(last, false)], None);
            }
            1 if job.units > 1 => {
                let easy = miner.mine(&job, Want::TooEasy);
                self.submit(key, &[(easy, false)], None);
            }
            2 | 3 => {
                let oldest = miner.jobs[miner.jobs.len().saturating_sub(3)].clone();
                let old = miner.mine(&oldest, Want::Share);
                self.submit(key, &[(old, false)], None);
            }
            4 => {
                job.id = "dead0000".into();
                let lie = miner.mine(&job, Want::Share);
                self.submit(key, &[(lie, false)], None);
            }
            5 => {
                let share = miner.mine(&job, Want::Share);
                self.submit(key, &[(share, false)], Some("nobody"));
            }
            6 => {
                // One that has said nothing yet.
                let share = miner.mine(&job, Want::Share);
                let stranger = self.connect_silent();
                self.miners.get_mut(&stranger).unwrap().username = "nobody".into();
                self.submit(stranger, &[(share, false)], None);
            }
            _ => {
                let units = 1 + self.rng.below(4);
                let wanted = json!([units as f64 / 65_536.0]);
                let line = json!({"id": 7, "method": "mining.suggest_difficulty", "params": wanted}).to_string() + "\n";
                self.hear(key, &line);
            }
        }
    }

    fn connect_silent(&mut self) -> Key {
        let key = self.pool.handle_miner_connected("10.0.0.9:5000".parse().unwrap(), 0, self.now);
        self.miners.insert(key, Miner::default());
        key
    }

    fn connect(&mut self) {
        if self.miners.len() >= 6 {
            return;
        }
        let number = 1 + self.rng.below(u64::from(ADDRESSES)) as u8;
        let (key, username) = (self.connect_silent(), format!("{}.rig", address(&self.spec, number)));
        let miner = self.miners.get_mut(&key).unwrap();
        (miner.address, miner.username) = (number, username.clone());
        if self.rng.below(8) == 0 {
            // It never says anything.
            return;
        }
        let line = |id: &str, method: &str, params| json!({"id": id, "method": method, "params": params}).to_string();
        let subscribe = line("subscribe", "mining.subscribe", json!(["sim/1"]));
        let authorize = line("authorize", "mining.authorize", json!([username, "x"]));
        self.hear(key, &format!("{subscribe}\n{authorize}\n"));
    }

    fn disconnect(&mut self) {
        self.settle();
        if let Some(key) = self.any_miner() {
            self.pool.handle_miner_closed(key);
            self.miners.remove(&key);
            self.settle();
        }
    }

    fn pass(&mut self, most_ms: u64) {
        let by = self.rng.below(most_ms);
        self.advance(by);
    }

    /// Others find blocks.
    fn extend(&mut self, count: u32) {
        for _ in 0..count {
            self.mine_elsewhere(self.tree.tip);
        }
    }

    /// The network changes its mind: another branch, new or known, is longer.
    fn reorganise(&mut self) {
        let sides = self.tree.side_tips(DEEPEST);
        let from: Hash = if !sides.is_empty() && self.rng.below(3) > 0 {
            self.oracle.mark("a branch comes back");
            sides[self.rng.below(sides.len() as u64) as usize]
        } else {
            let depth =
                if self.rng.below(8) == 0 { 1 + self.rng.below(u64::from(DEEPEST)) } else { 1 + self.rng.below(5) };
            let height = self.tree.height(&self.tree.tip).saturating_sub(depth as u32);
            let Some(fork) = self.tree.ancestor(&self.tree.tip, height) else { return };
            fork
        };
        let old = self.tree.tip;
        let mut tip = from;
        while self.tree.tip == old {
            tip = self.mine_elsewhere(tip);
        }
        let paid = |tip| self.wallet.state(&self.tree, tip).confirmed;
        let (before, after) = (paid(&old), paid(&self.tree.tip));
        let is_ours = |id: &Hash| self.wallet.sent.iter().any(|(sent, _)| sent == id);
        if before.keys().any(|id| is_ours(id) && !after.contains_key(id)) {
            self.oracle.mark("a payment is unconfirmed by a reorganisation");
        }
        self.oracle.mark("reorganisation");
    }

    fn change_terms(&mut self) {
        let term = match self.rng.below(3) {
            0 => Term::FeePpm(self.rng.below(100_000) as u32),
            1 => Term::MinPayout(1_000 + self.rng.below(50_000_000)),
            _ => Term::PoolScript(crate::wallet::script(0xe0 + self.rng.below(16) as u8).to_vec()),
        };
        if !self.is_dead {
            self.pool.set_term(0, term, self.now);
        }
    }

    fn queue_payment(&mut self) {
        let _ = self.pool.queue_payment(0, Vec::new(), self.now);
        self.point(Point::Queued);
        self.turn();
    }

    /// Everything is well again; the chain grows until all is final, and the books must close.
    pub fn quiet(&mut self) {
        self.armed = None;
        self.disk.fault = None;
        if self.is_dead {
            self.restart(SECOND);
        }
        (0..self.nodes.len()).for_each(|index| self.heal_node(index));
        self.break_wallet(Trouble::None);
        self.wallet.give(500_000_000);
        self.grow(MATURITY + CONFIRMATIONS, 5 * SECOND);
        // A wallet that could not be asked for long is asked again after minutes.
        self.advance(400 * SECOND);
        for _ in 0..40 {
            if self.finish_payments() {
                break;
            }
        }
        self.settle();
        self.oracle.audit(&self.pool, &self.disk, self.now.wall_ms);
        let troubles = self.pool.troubles();
        hold("all is well when all is well", troubles.is_empty(), || format!("{troubles:?}"));
        hold("every share is answered", self.waiting.is_empty(), || format!("{:?}", self.waiting));
        let unjournaled = self.unjournaled();
        if !unjournaled.is_empty() {
            self.oracle.mark("a block left without the journal");
        }
        for block in &self.oracle.books.blocks {
            let is_offered = self.nodes.iter().any(|node| node.submitted.contains(&block.found.hash));
            hold("every found block is submitted", is_offered, || crate::bytes::show(&block.found.hash));
        }
        self.oracle.check_end(&self.pool, &self.tree, &self.wallet, &unjournaled);
        self.oracle.marks.extend(self.wallet.codes.iter().map(|code| format!("sending {code}")));
    }

    /// Pays what can be paid; whether nothing is left to pay.
    fn finish_payments(&mut self) -> bool {
        let is_open = self.oracle.books.payments.iter().any(|payment| !payment.status.is_final());
        let payable = (1..=ADDRESSES).map(|number| self.oracle.payable(number)).max().unwrap_or(0);
        if !is_open && payable < 1_000_000 {
            return true;
        }
        if !is_open {
            let queued = self.pool.queue_payment(0, Vec::new(), self.now);
            hold("every payable balance above the threshold is paid", queued.is_ok(), || {
                format!("{queued:?} {payable}")
            });
        }
        self.grow(CONFIRMATIONS + 1, 2 * SECOND);
        self.advance(61 * SECOND);
        false
    }

    fn grow(&mut self, count: u32, pause_ms: u64) {
        for _ in 0..count {
            self.extend(1);
            (0..self.nodes.len()).for_each(|index| self.sync_node(index));
            self.wallet.sync(&self.tree);
            self.advance(pause_ms);
        }
    }
}
