//! What happens to the pool, by chance, step by step; and the quiet at the end, in which everything must come out.

use edgepool::base::slots::Key;
use edgepool::coin::script::Script;
use edgepool::pool::record::{MinerId, Term};
use serde_json::json;

use crate::bytes::{self, Hash};
use crate::chain::{Chain, username};
use crate::death::{Kind, POINTS, Point};
use crate::miner::{Miner, Want};
use crate::oracle::{Fate, Share, hold};
use crate::wallet::Trouble;
use crate::who::Payee;
use crate::world::{CONFIRMATIONS, DEEPEST, MATURITY, PEOPLE, SECOND, World};

/// Own blocks that a node may have on a branch of its own, before it hears of the network again.
const MOST_PRIVATE: u32 = 4;

impl World {
    /// One step: something happens, everything is checked. At first there is mostly mining, later mostly paying.
    pub fn step(&mut self, is_paying: bool) {
        let event = self.rng.below(100);
        if self.is_verbose {
            let phase = if is_paying { "paying" } else { "mining" };
            let told = self.chains.iter().zip(&self.oracle.sides).map(|(chain, side)| {
                let (height, books) = (chain.tree.height(&chain.tree.tip), &side.books);
                format!("tip {height}, {} blocks, {} payments", books.blocks.len(), books.payments.len())
            });
            eprintln!("{} {phase} {event}: {}", self.now.wall_ms, told.collect::<Vec<_>>().join("; "));
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
        let chain = self.any_chain();
        let wanted = if chain == 0 { Want::Block } else { Want::Child };
        match event {
            0..=19 => self.work(Want::Share),
            20..=28 => self.work(wanted),
            29..=31 => self.two_blocks(wanted),
            32 | 33 => self.late_block(wanted),
            34..=39 => self.misbehave(),
            40..=44 => self.connect(),
            45 => self.disconnect(),
            46..=57 => self.pass(6 * SECOND),
            58..=60 => self.pass(25 * SECOND),
            61..=68 => self.extend(chain, 1),
            69 | 70 => self.extend(chain, 4),
            71 => self.extend(chain, 9),
            72..=77 => self.reorganise(chain),
            78..=82 => self.trouble_node(chain),
            83 => self.crash_node(chain),
            84 => self.disk.fault = Some("no space left".into()),
            85..=91 => self.arm(),
            92 => self.is_dead = true,
            93 => self.change_terms(chain),
            94..=96 => self.name_somebody(),
            _ => self.pass(SECOND),
        }
    }

    /// The parent rather than the child.
    fn any_chain(&mut self) -> usize {
        usize::from(self.rng.below(5) < 2)
    }

    fn pay_by_chance(&mut self, event: u64) {
        let chain = self.any_chain();
        match event {
            0..=4 => self.work(Want::Share),
            5..=8 => self.work(if chain == 0 { Want::Block } else { Want::Child }),
            9 | 10 => self.connect(),
            11..=21 => self.queue_payment(chain),
            22..=25 => self.trouble_wallet(chain),
            26..=31 => self.spend_elsewhere(chain),
            32..=47 => self.extend(chain, 1),
            48..=54 => self.extend(chain, 6),
            55..=60 => self.reorganise(chain),
            61..=65 => self.undo_spend(chain),
            66..=75 => self.arm(),
            76 => self.disk.fault = Some("no space left".into()),
            77 => self.trouble_node(chain),
            78 => self.crash_node(chain),
            79 => self.is_dead = true,
            80 => self.name_somebody(),
            81..=91 => self.pass(8 * SECOND),
            _ => self.pass(70 * SECOND),
        }
    }

    fn arm(&mut self) {
        let at = self.rng.below(POINTS.len() as u64) as usize;
        self.armed = Some(POINTS[at]);
    }

    /// The chain grows until the first blocks are final.
    pub fn ripen(&mut self) {
        self.grow([true; 2], MATURITY, SECOND);
        if self.is_dead {
            self.restart(SECOND);
        }
    }

    /// Nodes and wallet follow the network, most of them, most of the time.
    fn follow(&mut self) {
        for chain in 0..2 {
            for index in 0..self.chains[chain].nodes.len() {
                let Chain { tree, nodes, .. } = &self.chains[chain];
                let private = tree.beyond_fork(&nodes[index].view, &tree.tip);
                if private > MOST_PRIVATE {
                    self.heal_node(chain, index);
                }
                if private > MOST_PRIVATE || self.rng.below(4) > 0 {
                    self.sync_node(chain, index);
                }
            }
            let Chain { tree, wallet, .. } = &mut self.chains[chain];
            if self.rng.below(4) > 0 {
                wallet.sync(tree);
            }
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
        let (name, who) = (username.unwrap_or(&miner.username).to_string(), miner.who);
        let mut lines = String::new();
        for (work, _) in found {
            let shares = &mut self.oracle.ground.shares;
            let id = format!("s{}", shares.len());
            shares.push(Share { who, units: work.units, at_ms: self.now.wall_ms, fate: Fate::Waiting });
            self.waiting.insert(id.clone(), (key, shares.len() - 1));
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
        let is_block = want != Want::Share;
        let count = if is_block { 1 } else { [1, 1, 2, 6][self.rng.below(4) as usize] };
        let miner = self.miners.get_mut(&key).unwrap();
        let job = miner.jobs.last().unwrap().clone();
        let found: Vec<_> = (0..count).map(|_| (miner.mine(&job, want), is_block)).collect();
        self.submit(key, &found, None);
    }

    fn two_blocks(&mut self, want: Want) {
        let Some(key) = self.any_miner() else { return };
        let miner = self.miners.get_mut(&key).unwrap();
        let job = miner.jobs.last().unwrap().clone();
        let found = [0; 2].map(|_| (miner.mine(&job, want), true));
        let first = self.rng.below(2) as usize;
        self.submit(key, &found[first..=first], None);
        let (lag, other) = (self.rng.below(2), 1 - first);
        self.advance(lag * SECOND);
        if !self.is_dead && self.miners.contains_key(&key) {
            self.submit(key, &found[other..=other], None);
        }
    }

    /// A block on work that was replaced.
    fn late_block(&mut self, want: Want) {
        let Some(key) = self.any_miner() else { return };
        let back = 2 + self.rng.below(3) as usize;
        let miner = self.miners.get_mut(&key).unwrap();
        let job = miner.jobs[miner.jobs.len().saturating_sub(back)].clone();
        let found = [(miner.mine(&job, want), true)];
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
        let child_target = bytes::target(self.chains[1].nodes[0].bits());
        let who = self.oracle.meet(&username(&self.spec.chains, 1));
        self.miners.insert(key, Miner::new(who, child_target));
        key
    }

    fn connect(&mut self) {
        if self.miners.len() >= 6 {
            return;
        }
        // Half of them are those who name something, or who would have to.
        let (first, count) = if self.rng.below(2) == 0 { (1, 8) } else { (9, PEOPLE - 8) };
        let username = username(&self.spec.chains, first + self.rng.below(u64::from(count)) as u8);
        let (key, who) = (self.connect_silent(), self.oracle.meet(&username));
        let miner = self.miners.get_mut(&key).unwrap();
        (miner.who, miner.username) = (who, username.clone());
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
    fn extend(&mut self, chain: usize, count: u32) {
        for _ in 0..count {
            self.mine_elsewhere(chain, self.chains[chain].tree.tip);
        }
    }

    /// The network changes its mind: another branch, new or known, is longer.
    fn reorganise(&mut self, chain: usize) {
        let tree = &self.chains[chain].tree;
        let sides = tree.side_tips(DEEPEST);
        let from: Hash = if !sides.is_empty() && self.rng.below(3) > 0 {
            self.oracle.mark("a branch comes back");
            sides[self.rng.below(sides.len() as u64) as usize]
        } else {
            let depth =
                if self.rng.below(8) == 0 { 1 + self.rng.below(u64::from(DEEPEST)) } else { 1 + self.rng.below(5) };
            let height = tree.height(&tree.tip).saturating_sub(depth as u32);
            let Some(fork) = tree.ancestor(&tree.tip, height) else { return };
            fork
        };
        let old = tree.tip;
        let mut tip = from;
        while self.chains[chain].tree.tip == old {
            tip = self.mine_elsewhere(chain, tip);
        }
        let Chain { tree, wallet, .. } = &self.chains[chain];
        let paid = |tip| wallet.state(tree, tip).confirmed;
        let (before, after) = (paid(&old), paid(&tree.tip));
        let is_ours = |id: &Hash| wallet.sent.iter().any(|(sent, _)| sent == id);
        if before.keys().any(|id| is_ours(id) && !after.contains_key(id)) {
            self.oracle.mark("a payment is unconfirmed by a reorganisation");
        }
        self.oracle.mark("reorganisation");
    }

    fn change_terms(&mut self, chain: usize) {
        let term = match self.rng.below(3) {
            0 => Term::FeePpm(self.rng.below(100_000) as u32),
            1 => Term::MinPayout(1_000 + self.rng.below(50_000_000)),
            _ => Term::PoolScript(crate::wallet::script(0xe0 + self.rng.below(16) as u8).to_vec()),
        };
        if !self.is_dead {
            self.pool.set_term(chain, term, self.now);
        }
    }

    /// The operator says where somebody is paid on the child's chain who would have to be named.
    fn name_somebody(&mut self) {
        let side = &self.oracle.sides[1];
        let is_nameless = |miner: &MinerId| {
            matches!(self.oracle.ground.account(1, *miner), Payee::Owed(_)) && !side.books.names.contains_key(miner)
        };
        let nameless: Vec<MinerId> = side.books.accounts().into_keys().filter(is_nameless).collect();
        let at = self.rng.below(nameless.len().max(1) as u64) as usize;
        // What rigs have named meanwhile is not on disk yet, perhaps; then the operator's word is the later one.
        if let (Some(miner), false) = (nameless.get(at), self.is_dead)
            && self.pool.chains()[1].ledger.named(*miner).is_none()
        {
            let miner = *miner;
            if self.rng.below(3) == 0 {
                self.armed = Some([Point::Before(Kind::Named), Point::After(Kind::Named)][self.rng.below(2) as usize]);
            }
            let number = [50, 57][at % 2];
            let named = self.pool.name_address(1, miner, Script::p2pkh(&[number; 20]), self.now);
            hold("who has no address is given one", named.is_ok(), || format!("{named:?}"));
        }
    }

    fn queue_payment(&mut self, chain: usize) {
        let _ = self.pool.queue_payment(chain, Vec::new(), self.now);
        self.point(Point::Queued);
        self.turn();
    }

    /// Everything is well again; the chains grow until all is final, and the books must close.
    pub fn quiet(&mut self) {
        self.armed = None;
        self.disk.fault = None;
        if self.is_dead {
            self.restart(SECOND);
        }
        (0..self.chains[0].nodes.len()).for_each(|index| self.heal_node(0, index));
        self.mine_without_child();
        (0..self.chains[1].nodes.len()).for_each(|index| self.heal_node(1, index));
        for chain in 0..2 {
            self.break_wallet(chain, Trouble::None);
            self.chains[chain].wallet.give(20_000_000_000);
        }
        self.grow([true; 2], MATURITY + CONFIRMATIONS, 5 * SECOND);
        // A wallet that could not be asked for long is asked again after minutes.
        self.advance(400 * SECOND);
        for _ in 0..40 {
            let is_finished = [0, 1].map(|chain| self.finish_payments(chain));
            if is_finished == [true; 2] {
                break;
            }
            let grows = is_finished.map(|is_finished| !is_finished);
            self.grow(grows, CONFIRMATIONS + 1, 2 * SECOND);
            self.advance(61 * SECOND);
        }
        self.settle();
        self.oracle.audit(&self.pool, &self.disk, self.now.wall_ms);
        let troubles = [self.pool.troubles(), self.pool.warnings(self.now)].concat();
        hold("all is well when all is well", troubles.is_empty(), || format!("{troubles:?}"));
        hold("every share is answered", self.waiting.is_empty(), || format!("{:?}", self.waiting));
        for chain in 0..2 {
            self.check_end(chain);
        }
    }

    /// A child that never came has kept nobody from mining.
    fn mine_without_child(&mut self) {
        if !std::mem::take(&mut self.chains[1].is_forsaken) {
            return;
        }
        self.grow([true, false], 2, 30 * SECOND);
        let troubles = self.pool.troubles();
        hold("a child that is away is no trouble", troubles.is_empty(), || format!("{troubles:?}"));
        hold("but the operator is told", !self.pool.warnings(self.now).is_empty(), || "no warning".into());
        let next = self.pool.current_job().map(|job| job.template.height);
        let tip = self.chains[0].tree.height(&self.chains[0].tree.tip);
        hold("the parent is mined without its child", next == Some(tip + 1), || format!("{next:?} on {tip}"));
    }

    fn check_end(&mut self, chain: usize) {
        let unjournaled = self.unjournaled(chain);
        if !unjournaled.is_empty() {
            self.oracle.mark("a block left without the journal");
        }
        let Chain { tree, nodes, wallet, .. } = &self.chains[chain];
        let side = &self.oracle.sides[chain];
        for block in &side.books.blocks {
            let is_offered = nodes.iter().any(|node| node.submitted.contains(&block.found.hash));
            hold("every found block is submitted", is_offered, || crate::bytes::show(&block.found.hash));
        }
        side.check_end(&self.oracle.ground, &self.pool, tree, wallet, &unjournaled);
        self.oracle.marks.extend(wallet.codes.iter().map(|code| format!("sending {code}")));
    }

    /// Queues what can be paid; whether nothing is left to pay.
    fn finish_payments(&mut self, chain: usize) -> bool {
        let side = &self.oracle.sides[chain];
        let is_open = side.books.payments.iter().any(|payment| !payment.status.is_final());
        let payable = side.payable(&self.oracle.ground);
        if !is_open && payable < 1_000_000 {
            return true;
        }
        if !is_open {
            let queued = self.pool.queue_payment(chain, Vec::new(), self.now);
            hold("every payable balance above the threshold is paid", queued.is_ok(), || {
                format!("{queued:?} {payable}")
            });
        }
        false
    }

    /// Each chain that `grows` does so, block by block.
    fn grow(&mut self, grows: [bool; 2], count: u32, pause_ms: u64) {
        for _ in 0..count {
            for chain in (0..2).filter(|chain| grows[*chain]) {
                self.extend(chain, 1);
                (0..self.chains[chain].nodes.len()).for_each(|index| self.sync_node(chain, index));
                let Chain { tree, wallet, .. } = &mut self.chains[chain];
                wallet.sync(tree);
            }
            self.advance(pause_ms);
        }
    }
}
