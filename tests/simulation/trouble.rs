//! What breaks in nodes and wallet, and how it comes right again; and coins that others spend.

use crate::bytes::{Hash, sha256d};
use crate::node::Fault;
use crate::wallet::Trouble;
use crate::world::{DEEPEST, World};

impl World {
    /// What is broken does not stay so for ever.
    pub fn recover(&mut self) {
        for index in 0..self.nodes.len() {
            if self.rng.below(12) == 0 {
                self.heal_node(index);
            }
        }
        if self.rng.below(8) == 0 {
            self.disk.fault = None;
        }
        if self.rng.below(4) == 0 && self.wallet.trouble != Trouble::None {
            self.break_wallet(Trouble::None);
        }
        let wallet = self.pool.chains()[0].payments.as_ref().expect("there is a wallet");
        if wallet.status(self.now).trouble.is_some_and(|trouble| trouble.contains("not enough")) {
            self.oracle.mark("the wallet has not enough");
        }
    }

    pub fn trouble_node(&mut self) {
        let index = self.rng.below(self.nodes.len() as u64) as usize;
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
                self.oracle.mark(format!("node {fault:?}"));
                if matches!(fault, Fault::Behind | Fault::Downloading) {
                    self.fall_behind(index);
                }
                self.break_node(index, fault);
            }
            2 => {
                self.nodes[index].verdict = Some(verdicts[self.rng.below(verdicts.len() as u64) as usize]);
            }
            3 => self.nodes[index].is_isolated = true,
            _ => self.heal_node(index),
        }
    }

    /// A node has lost its last blocks and has yet to take them in again.
    fn fall_behind(&mut self, index: usize) {
        let height = self.tree.height(&self.nodes[index].view).saturating_sub(self.rng.below(8) as u32);
        if let Some(view) = self.tree.ancestor(&self.nodes[index].view, height) {
            self.nodes[index].view = view;
        }
        self.nodes[index].behind_since = Some(self.now.wall_ms);
    }

    pub fn heal_node(&mut self, index: usize) {
        self.nodes[index].verdict = None;
        self.nodes[index].is_isolated = false;
        self.nodes[index].behind_since = None;
        if self.nodes[index].fault != Fault::None {
            self.break_node(index, Fault::None);
        }
    }

    /// A node dies, and comes back without its last blocks.
    pub fn crash_node(&mut self) {
        let index = self.rng.below(self.nodes.len() as u64) as usize;
        let fault = self.nodes[index].fault;
        let count = self.rng.below(4) as usize;
        let lost: Vec<Hash> = self.tree.branch(&self.nodes[index].view).map(|(hash, _)| hash).take(count).collect();
        for hash in lost {
            let parent = self.tree.get(&hash).map(|block| block.parent);
            if let Some(parent) = parent.filter(|parent| self.tree.get(parent).is_some()) {
                self.nodes[index].view = parent;
                self.nodes[index].lost.insert(hash);
                self.oracle.mark("a node loses blocks");
            }
        }
        self.break_node(index, fault);
    }

    pub fn trouble_wallet(&mut self) {
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
                self.break_wallet(trouble);
            }
            2 => self.wallet.crash(),
            _ => {
                let trouble = if self.rng.below(2) == 0 { Trouble::LostAnswers } else { Trouble::None };
                self.break_wallet(trouble);
            }
        }
    }

    /// The owner, or a copy of the wallet, spends a coin of a payment.
    pub fn spend_elsewhere(&mut self) {
        let open = self.oracle.books.payments.iter().filter(|payment| !payment.status.is_final());
        let Some(id) = open.filter_map(|payment| payment.signed.as_ref()).map(|signed| signed.txid).next() else {
            return;
        };
        let into_mempool = self.rng.below(2) == 0;
        let foreign = self.wallet.spend_elsewhere(&id, into_mempool);
        self.oracle.mark("a coin is spent elsewhere");
        let coin = self.wallet.txs[&foreign].inputs[0];
        let is_there = self.wallet.state(&self.tree, &self.tree.tip).coins.contains_key(&coin);
        if self.rng.below(3) > 0 && is_there {
            let hash = sha256d(&self.rng.next_u64().to_be_bytes());
            self.tree.add(hash, self.tree.tip, None, vec![foreign], true);
        }
    }

    /// The branch that took a coin of a payment away is left for one that takes the payment.
    pub fn undo_spend(&mut self) {
        let confirmed = self.wallet.state(&self.tree, &self.tree.tip).confirmed;
        let ours: Vec<Hash> = self.wallet.sent.iter().map(|(id, _)| *id).collect();
        let foreign = confirmed.iter().filter(|(id, _)| !ours.contains(id)).map(|(_, (height, _))| *height).max();
        let tip_height = self.tree.height(&self.tree.tip);
        let Some(height) = foreign.filter(|height| tip_height - height < DEEPEST) else { return };
        let Some(fork) = self.tree.ancestor(&self.tree.tip, height - 1) else { return };
        let mut wanted = self.wallet.minable(&self.tree, &fork);
        wanted.retain(|id| ours.contains(id));
        let hash = sha256d(&self.rng.next_u64().to_be_bytes());
        self.tree.add(hash, fork, None, wanted, true);
        let (old, mut tip) = (self.tree.tip, hash);
        while self.tree.tip == old {
            tip = self.mine_elsewhere(tip);
        }
        self.oracle.mark("a coin comes back to its payment");
    }
}
