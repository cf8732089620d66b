//! One scripted day of three chains, lived through as often as it has commits, with the process dying at another one
//! each time: accounts, names and blocks of every chain are what disk and nodes say.

use std::collections::BTreeMap;

use edgepool::base::display_hash;
use edgepool::coin::script::Script;
use edgepool::pool::record::{Entry, Term};
use edgepool::pool::spec::PoolSpec;

use crate::merged::{address_on, rig_as, with_children};
use crate::merged_block::outputs;
use crate::node::Mode;
use crate::rig::Want;
use crate::scene::{Death, SECOND, Scene, TODAY, script};

/// Who works: each an address of the parent chain, and one of the first child where it names one.
#[derive(Clone, Copy, Debug)]
enum Who {
    Plain,
    Taproot,
    Pair,
    TaprootPair,
}

/// What happens in the day, in order.
#[derive(Clone, Copy, Debug)]
enum Step {
    Work(Who, u32),
    /// Finds the block of the first child.
    FindChild(Who),
    /// Finds the blocks of all chains with one nonce.
    FindAll(Who),
    /// A node of this chain goes, and one with work for it is found meanwhile; then it comes back.
    FindWithout(usize),
    /// The operator says where the taproot miner is paid.
    Name(u8),
    SetTerms,
    /// Somebody else's blocks on a chain.
    Tips(usize, usize),
    /// The last blocks of a chain give way to a longer branch.
    Reorganise(usize, u64),
}

const DAY: &[Step] = &[
    Step::Work(Who::Taproot, 2),
    Step::Work(Who::Plain, 2),
    Step::FindChild(Who::Plain),
    Step::Work(Who::Pair, 2),
    Step::FindAll(Who::Pair),
    Step::Name(50),
    Step::FindChild(Who::Taproot),
    Step::Reorganise(1, 1),
    Step::FindWithout(1),
    Step::SetTerms,
    Step::Work(Who::TaprootPair, 3),
    Step::FindAll(Who::Plain),
    Step::Reorganise(2, 1),
    Step::Tips(1, 62),
];

fn day_spec() -> PoolSpec {
    let mut spec = with_children(&["dogecoin", "pepecoin"]);
    spec.chains[0].terms.min_payout = 50_000_000;
    spec
}

fn taproot() -> Script {
    Script::witness(1, &[5; 32]).unwrap()
}

struct Day {
    scene: Scene,
    tips: u32,
}

impl Day {
    fn live(dies: Option<(u32, Death)>) -> Day {
        let mut scene = Scene::unheard(day_spec(), TODAY);
        // Dogecoin is the easiest, Pepecoin the hardest.
        scene.nodes[2].set("bits", "2001ffff".into());
        scene.dies = dies;
        let mut day = Day { scene, tips: 0 };
        day.scene.advance(4 * SECOND);
        for step in DAY {
            day.revive();
            day.take(*step);
            day.scene.advance(31 * SECOND);
        }
        for _ in 0..3 {
            day.revive();
            day.scene.advance(100 * SECOND);
        }
        assert!(!day.scene.is_dead);
        day
    }

    fn revive(&mut self) {
        if self.scene.is_dead {
            self.scene.restart(day_spec(), SECOND);
            self.scene.advance(3 * SECOND);
        }
    }

    fn submit(&mut self, who: Who, wants: &[Want]) {
        let child = match who {
            Who::Plain | Who::Taproot => None,
            Who::Pair => Some(script(12)),
            Who::TaprootPair => Some(script(55)),
        };
        let parent = match who {
            Who::Plain => script(1),
            Who::Pair => script(2),
            Who::Taproot | Who::TaprootPair => taproot(),
        };
        let mut username = address_on(&self.scene, 0, &parent);
        if let Some(child) = child {
            username += &format!(",{}", address_on(&self.scene, 1, &child));
        }
        let key = rig_as(&mut self.scene, &username);
        for (number, want) in wants.iter().enumerate() {
            if self.scene.is_dead || self.scene.rigs[&key].jobs.is_empty() {
                return;
            }
            let share = self.scene.rig_mut(key).mine(*want);
            self.scene.submit(key, &format!("share{number}"), &share);
            self.scene.advance(300);
        }
    }

    fn branch(&mut self, count: u64) -> Vec<String> {
        let mut hash = || {
            self.tips += 1;
            format!("{:08x}", self.tips).repeat(8)
        };
        (0..count).map(|_| hash()).collect()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Work(who, count) => self.submit(who, &vec![Want::Share; count as usize]),
            Step::FindChild(who) => self.submit(who, &[Want::Only(1)]),
            Step::FindAll(who) => self.submit(who, &[Want::Every]),
            Step::FindWithout(chain) => {
                let node = self.scene.first_node(chain);
                let work: Vec<_> = [Want::Every].to_vec();
                self.scene.nodes[node].mode = Mode::Silent;
                self.submit(Who::Plain, &work);
                if !self.scene.is_dead {
                    self.scene.advance(40 * SECOND);
                }
                self.scene.nodes[node].mode = Mode::Good;
            }
            Step::Name(number) => {
                let miner = self.scene.pool.miners().find(&taproot().into());
                if let Some(miner) = miner {
                    self.scene.pool.name_address(1, miner, script(number), self.scene.now).unwrap();
                }
            }
            Step::SetTerms => {
                let other = Script::p2pkh(&[0xcc; 20]).as_bytes().to_vec();
                self.scene.pool.set_term(1, Term::FeePpm(50_000), self.scene.now);
                self.scene.pool.set_term(2, Term::PoolScript(other), self.scene.now);
            }
            Step::Tips(chain, count) => {
                let node = self.scene.first_node(chain);
                for hash in self.branch(count as u64) {
                    self.scene.new_tip(node, &hash);
                }
            }
            Step::Reorganise(chain, depth) => {
                let node = self.scene.first_node(chain);
                let (height, branch) = (self.scene.nodes[node].height() - depth, self.branch(depth + 2));
                self.scene.reorganise(node, height, &branch);
            }
        }
    }

    /// The ledgers against what the nodes have, and against what a start from disk makes of them.
    fn audit(&self, what: &str) {
        let pool = &self.scene.pool;
        for (index, chain) in pool.chains().iter().enumerate() {
            chain.ledger.check().unwrap();
            let node = &self.scene.nodes[self.scene.first_node(index)];
            let known: BTreeMap<String, _> =
                chain.ledger.blocks().iter().map(|block| (display_hash(&block.found.hash), block)).collect();
            for (hash, block) in &known {
                let word = || format!("{what}: chain {index}: block {} is {:?}", block.found.height, block.status);
                assert_eq!(block.counts, node.has(hash), "{}", word());
                assert_eq!(block.counts, matches!(block.status.name(), "accepted" | "confirmed"), "{}", word());
            }
            assert!(node.won.iter().all(|hash| known.contains_key(hash)), "{what}: {:?}", node.won);
        }
        // What Dogecoin's coinbases pay is what the accounts say, by script.
        let child = &pool.chains()[1].ledger;
        let (mut on_chain, mut in_ledger) = (BTreeMap::<String, u64>::new(), BTreeMap::<String, u64>::new());
        let own = [0xcc, crate::merged::FEE_SCRIPT].map(|byte| hex::encode(Script::p2pkh(&[byte; 20]).as_bytes()));
        let mut seen = std::collections::BTreeSet::new();
        for bytes in &self.scene.nodes[1].submitted {
            let hash = crate::node::block_hash(bytes);
            if self.scene.nodes[1].has(&hash) && seen.insert(hash) {
                for (script, amount) in outputs(bytes).into_iter().filter(|(script, _)| !own.contains(script)) {
                    *on_chain.entry(script).or_default() += amount;
                }
            }
        }
        for (miner, account) in child.accounts().filter(|(_, account)| account.paid > 0) {
            let script = pool.payout_script(1, miner).expect("it was paid there");
            *in_ledger.entry(hex::encode(script.as_bytes())).or_default() += account.paid;
        }
        assert_eq!(on_chain, in_ledger, "{what}");

        let again =
            edgepool::pool::Pool::new(day_spec(), self.scene.disk.recover(), &self.scene.disk, 77, self.scene.now);
        let again = again.unwrap_or_else(|error| panic!("{what}: {error}"));
        for (before, after) in pool.chains().iter().zip(again.chains()) {
            assert!(before.ledger.accounts().eq(after.ledger.accounts()), "{what}");
            assert!(before.ledger.names().eq(after.ledger.names()), "{what}");
            assert_eq!(before.ledger.terms(), after.ledger.terms(), "{what}");
            assert!(before.watched.keys().eq(after.watched.keys()), "{what}");
        }
    }
}

#[test]
fn three_chains_are_whole_wherever_in_a_day_the_process_dies() {
    let whole = Day::live(None);
    whole.audit("a day without a death");
    let (commits, journal) = (whole.scene.commits, &whole.scene.disk.journal);
    let names = |chain: usize| {
        let blocks = whole.scene.pool.chains()[chain].ledger.blocks().iter();
        blocks.map(|block| block.status.name()).collect::<Vec<_>>()
    };
    assert!(names(0).len() == 3 && names(0).iter().all(|name| *name == "accepted"), "{:?}", names(0));
    assert!(["confirmed", "orphaned"].iter().all(|status| names(1).contains(status)), "{:?}", names(1));
    assert!(["accepted", "orphaned"].iter().all(|status| names(2).contains(status)), "{:?}", names(2));
    assert!(journal.iter().any(|(_, entry)| matches!(entry, Entry::AddressNamed(_))));
    assert!(commits >= 25, "{commits}");
    for commit in 1..=commits {
        for death in [Death::Before, Death::After] {
            let day = Day::live(Some((commit, death)));
            day.audit(&format!("{death:?} commit {commit}"));
            assert!(day.scene.commits > commit, "it lived on");
        }
    }
}
