//! What breaks in nodes and wallet, and how it comes right again; and coins that others spend.

use crate::bytes::{Hash, sha256d};
use crate::chain::Chain;
use crate::node::Fault;
use crate::wallet::Trouble;
use crate::world::{DEEPEST, World};

impl World {
    /// What is broken does not stay so for ever.
    pub fn recover(&mut self) {
        for chain in 0..2 {
            for index in 0..self.chains[chain].nodes.len() {
                if self.rng.below(12) == 0 {
                    self.heal_node(chain, index);
                }
            }
        }
        if self.rng.below(8) == 0 {
            self.disk.fault = None;
        }
        for chain in 0..2 {
            if self.rng.below(4) == 0 && self.chains[chain].wallet.trouble != Trouble::None {
                self.break_wallet(chain, Trouble::None);
            }
            let wallet = self.pool.chains()[chain].payments.as_ref().expect("there is a wallet");
            if wallet.status(self.now).trouble.is_some_and(|trouble| trouble.contains("not enough")) {
                self.oracle.mark("the wallet has not enough");
            }
        }
    }

    pub fn trouble_node(&mut self, chain: usize) {
        let index = self.rng.below(self.chains[chain].nodes.len() as u64) as usize;
        if self.chains[chain].is_forsaken {
            return;
        }
        let faults = [
            Fault::Error(-28),
            Fault::Error(-10),
            Fault::Busy,
            Fault::Unauthorised,
            Fault::Refused,
            Fault::Truncated,
            Fault::Silent,
            Fault::Behind,
            Fault::Downloading,
            Fault::LostAnswers,
        ];
        let verdicts = ["bad-cb-amount", "time-too-new", "-22", "inconclusive", "prev-blk-not-found", "duplicate"];
        match self.rng.below(6) {
            0 | 1 => {
                let fault = faults[self.rng.below(faults.len() as u64) as usize];
                let whose = if chain == 0 { "" } else { "child " };
                self.oracle.mark(format!("{whose}node {fault:?}"));
                if matches!(fault, Fault::Behind | Fault::Downloading) {
                    self.fall_behind(chain, index);
                }
                self.break_node(chain, index, fault);
            }
            2 => {
                self.chains[chain].nodes[index].verdict =
                    Some(verdicts[self.rng.below(verdicts.len() as u64) as usize]);
            }
            3 => self.chains[chain].nodes[index].is_isolated = true,
            _ => self.heal_node(chain, index),
        }
    }

    /// A node has lost its last blocks and has yet to take them in again.
    fn fall_behind(&mut self, chain: usize, index: usize) {
        let Chain { tree, nodes, .. } = &mut self.chains[chain];
        let node = &mut nodes[index];
        let height = tree.height(&node.view).saturating_sub(self.rng.below(8) as u32);
        if let Some(view) = tree.ancestor(&node.view, height) {
            node.view = view;
        }
        node.behind_since = Some(self.now.wall_ms);
    }

    pub fn heal_node(&mut self, chain: usize, index: usize) {
        if self.chains[chain].is_forsaken {
            return;
        }
        let node = &mut self.chains[chain].nodes[index];
        node.verdict = None;
        node.is_isolated = false;
        node.behind_since = None;
        if node.fault != Fault::None {
            self.break_node(chain, index, Fault::None);
        }
    }

    /// A node dies, and comes back without its last blocks.
    pub fn crash_node(&mut self, chain: usize) {
        let Chain { tree, nodes, .. } = &mut self.chains[chain];
        let index = self.rng.below(nodes.len() as u64) as usize;
        let node = &mut nodes[index];
        let fault = node.fault;
        let count = self.rng.below(4) as usize;
        let lost: Vec<Hash> = tree.branch(&node.view).map(|(hash, _)| hash).take(count).collect();
        for hash in lost {
            let parent = tree.get(&hash).map(|block| block.parent);
            if let Some(parent) = parent.filter(|parent| tree.get(parent).is_some()) {
                node.view = parent;
                node.lost.insert(hash);
                self.oracle.mark("a node loses blocks");
            }
        }
        self.break_node(chain, index, fault);
    }

    pub fn trouble_wallet(&mut self, chain: usize) {
        let troubles = [
            Trouble::Refused,
            Trouble::Silent,
            Trouble::Busy,
            Trouble::LostAnswers,
            Trouble::Locked,
            Trouble::Warming,
            Trouble::Behind,
            Trouble::Ambiguous,
            Trouble::Dear,
        ];
        match self.rng.below(5) {
            0 | 1 => {
                let trouble = troubles[self.rng.below(troubles.len() as u64) as usize];
                self.oracle.mark(format!("wallet {trouble:?}"));
                self.break_wallet(chain, trouble);
            }
            2 => self.chains[chain].wallet.crash(),
            _ => {
                let trouble = if self.rng.below(2) == 0 { Trouble::LostAnswers } else { Trouble::None };
                self.break_wallet(chain, trouble);
            }
        }
    }

    /// The owner, or a copy of the wallet, spends a coin of a payment.
    pub fn spend_elsewhere(&mut self, chain: usize) {
        let payments = &self.oracle.sides[chain].books.payments;
        let open = payments.iter().filter(|payment| !payment.status.is_final());
        let Some(id) = open.filter_map(|payment| payment.signed.as_ref()).map(|signed| signed.txid).next() else {
            return;
        };
        let into_mempool = self.rng.below(2) == 0;
        let Chain { tree, wallet, .. } = &mut self.chains[chain];
        let foreign = wallet.spend_elsewhere(&id, into_mempool);
        self.oracle.mark("a coin is spent elsewhere");
        let coin = wallet.txs[&foreign].inputs[0];
        let is_there = wallet.state(tree, &tree.tip).coins.contains_key(&coin);
        if self.rng.below(3) > 0 && is_there {
            let hash = sha256d(&self.rng.next_u64().to_be_bytes());
            tree.add(hash, tree.tip, None, vec![foreign], true);
        }
    }

    /// The branch that took a coin of a payment away is left for one that takes the payment.
    pub fn undo_spend(&mut self, chain: usize) {
        let Chain { tree, wallet, .. } = &mut self.chains[chain];
        let confirmed = wallet.state(tree, &tree.tip).confirmed;
        let ours: Vec<Hash> = wallet.sent.iter().map(|(id, _)| *id).collect();
        let foreign = confirmed.iter().filter(|(id, _)| !ours.contains(id)).map(|(_, (height, _))| *height).max();
        let tip_height = tree.height(&tree.tip);
        let Some(height) = foreign.filter(|height| tip_height - height < DEEPEST) else { return };
        let Some(fork) = tree.ancestor(&tree.tip, height - 1) else { return };
        let mut wanted = wallet.minable(tree, &fork);
        wanted.retain(|id| ours.contains(id));
        let hash = sha256d(&self.rng.next_u64().to_be_bytes());
        tree.add(hash, fork, None, wanted, true);
        let (old, mut tip) = (tree.tip, hash);
        while self.chains[chain].tree.tip == old {
            tip = self.mine_elsewhere(chain, tip);
        }
        self.oracle.mark("a coin comes back to its payment");
    }
}
