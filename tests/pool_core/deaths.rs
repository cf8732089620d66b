//! One scripted day, lived through as often as it has commits, with the process dying at another one each time.

use std::collections::BTreeMap;

use edgepool::base::display_hash;
use serde_json::json;

use crate::rig::Want;
use crate::scene::{Death, SECOND, Scene, script, spec};

/// What happens in the day, in order.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A rig of this address sends so many shares.
    Work(u8, u32),
    /// It finds a block.
    Find(u8),
    /// It finds two on one job.
    FindTwo(u8),
    /// Its block comes when the tip is somebody else's.
    FindLate(u8),
    /// The operator changes the fee.
    SetFee(u32),
    /// Somebody else's blocks.
    Tips(usize),
    /// The last blocks give way to a longer branch, for good.
    Reorganise(u64),
    /// The disk refuses for a while.
    Fault,
}

const DAY: &[Step] = &[
    Step::Work(1, 6),
    Step::Work(2, 2),
    Step::Find(1),
    Step::Work(3, 1),
    Step::Find(2),
    Step::SetFee(20_000),
    Step::FindTwo(1),
    Step::Tips(1),
    Step::Fault,
    Step::FindLate(2),
    Step::Find(1),
    Step::Reorganise(2),
    Step::Work(2, 2),
    Step::Find(3),
    Step::Tips(104),
    Step::Find(1),
    Step::Tips(3),
];

/// What the miners know of their shares: sent and acknowledged.
type Tally = BTreeMap<u8, (u64, u64)>;

struct Day {
    scene: Scene,
    tally: Tally,
    tips: usize,
}

impl Day {
    fn begin(dies: Option<(u32, Death)>) -> Day {
        let mut spec = spec(1);
        spec.chains[0].terms.min_payout = 100_000_000;
        let mut scene = Scene::unheard(spec, crate::scene::TODAY);
        scene.dies = dies;
        Day { scene, tally: Tally::new(), tips: 0 }
    }

    /// The whole day. Whatever is under way when the process dies is lost to the rig; the next thing goes on.
    fn live(&mut self) {
        self.scene.advance(SECOND);
        for step in DAY {
            self.revive();
            self.take(*step);
        }
        for _ in 0..3 {
            self.revive();
            self.scene.advance(60 * SECOND);
        }
        assert!(!self.scene.is_dead);
    }

    fn revive(&mut self) {
        if self.scene.is_dead {
            let mut spec = spec(1);
            spec.chains[0].terms.min_payout = 100_000_000;
            self.scene.restart(spec, SECOND);
        }
    }

    fn submit(&mut self, address: u8, want: Want, late: bool, twice: bool) {
        let rig = self.scene.rig(address);
        if self.scene.is_dead || self.scene.rigs[&rig].jobs.is_empty() {
            return;
        }
        let shares: Vec<_> = (0..1 + usize::from(twice)).map(|_| self.scene.rig_mut(rig).mine(want)).collect();
        if late {
            self.tip();
            self.scene.advance(SECOND);
        }
        for (number, share) in shares.iter().enumerate() {
            self.tally.entry(address).or_default().0 += 1;
            self.scene.submit(rig, &format!("share{number}"), share);
        }
        self.scene.advance(300);
        for number in 0..shares.len() {
            let reply = self.scene.rigs.get(&rig).and_then(|rig| rig.reply(&format!("share{number}")));
            if reply.is_some_and(|reply| reply["result"] == json!(true)) {
                self.tally.entry(address).or_default().1 += 1;
            }
        }
    }

    fn tip(&mut self) {
        self.tips += 1;
        self.scene.new_tip(0, &format!("{:08x}", self.tips).repeat(8));
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Work(address, count) => (0..count).for_each(|_| self.submit(address, Want::Share, false, false)),
            Step::Find(address) => self.submit(address, Want::Block, false, false),
            Step::FindTwo(address) => self.submit(address, Want::Block, false, true),
            Step::FindLate(address) => self.submit(address, Want::Block, true, false),
            Step::SetFee(ppm) => self.scene.pool.set_term(0, edgepool::pool::record::Term::FeePpm(ppm), self.scene.now),
            Step::Tips(count) => {
                for _ in 1..count {
                    self.tips += 1;
                    self.scene.nodes[0].extend(&format!("{:08x}", self.tips).repeat(8));
                }
                self.tip();
            }
            Step::Reorganise(depth) => {
                let height = self.scene.nodes[0].height() - depth;
                let branch: Vec<String> = (0..depth + 1).map(|number| format!("{number:04x}").repeat(16)).collect();
                self.scene.reorganise(0, height, &branch);
            }
            Step::Fault => {
                self.scene.disk.fault = Some("I/O error".into());
                self.submit(2, Want::Share, false, false);
                self.scene.disk.fault = None;
                self.scene.advance(2 * SECOND);
            }
        }
        self.scene.advance(31 * SECOND);
    }

    /// The ledger against the chain and the miners' own word.
    fn audit(&self, what: &str) {
        let chain = &self.scene.pool.chains()[0];
        chain.ledger.check().unwrap();
        let mut paid: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
        for block in chain.ledger.blocks() {
            let is_in_chain = self.scene.nodes[0].has(&display_hash(&block.found.hash));
            assert_eq!(block.counts, is_in_chain, "{what}: block {} is {:?}", block.found.height, block.status);
            assert_eq!(is_in_chain, matches!(block.status.name(), "accepted" | "confirmed"), "{what}");
            for output in block.found.outputs.iter().filter(|_| is_in_chain) {
                let script = self.scene.pool.miners().script(output.miner).expect("a miner of the journal is known");
                *paid.entry(script.as_bytes().to_vec()).or_default() += output.amount;
            }
        }
        // Every block of the node's chain that the pool made is in the ledger.
        for bytes in &self.scene.nodes[0].submitted {
            let hash = crate::node::block_hash(bytes);
            let known = chain.ledger.blocks().iter().any(|block| display_hash(&block.found.hash) == hash);
            assert!(known, "{what}: {hash} left and was forgotten");
        }
        for (address, (sent, acknowledged)) in &self.tally {
            let row = self.scene.pool.window().find(&script(*address));
            let shares = row.and_then(|row| self.scene.pool.window().row(row)).map_or(0, |row| row.shares);
            assert!(
                (*acknowledged..=*sent).contains(&shares),
                "{what}: {shares} shares of {sent}, {acknowledged} told"
            );
            let miner = self.scene.pool.miners().find(&script(*address).into());
            let account = miner.map(|miner| chain.ledger.account(miner)).unwrap_or_default();
            let on_chain = paid.get(script(*address).as_bytes()).copied().unwrap_or_default();
            assert_eq!(account.paid, on_chain, "{what}: address {address}");
        }
    }
}

#[test]
fn a_day_is_whole_wherever_in_it_the_process_dies() {
    let mut whole = Day::begin(None);
    whole.live();
    whole.audit("a day without a death");
    let commits = whole.scene.commits;
    assert!(commits >= 30, "{commits}");
    let names: Vec<&str> =
        whole.scene.pool.chains()[0].ledger.blocks().iter().map(|block| block.status.name()).collect();
    for status in ["confirmed", "accepted", "orphaned"] {
        assert!(names.contains(&status), "{names:?}");
    }
    for commit in 1..=commits {
        for death in [Death::Before, Death::After] {
            let mut day = Day::begin(Some((commit, death)));
            day.live();
            day.audit(&format!("{death:?} commit {commit}"));
            assert!(day.scene.commits > commit, "it lived on");
        }
    }
}
