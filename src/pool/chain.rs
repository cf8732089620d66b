//! One chain of a pool: its nodes, its ledger, and the blocks that are on their way to the nodes. The parent
//! chain and merge-mined children are the same type.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::base::Hash32;
use crate::base::rng::Rng;
use crate::base::time::{Now, SECOND};
use crate::coin::template::Template;

use super::ledger::Ledger;
use super::spec::ChainSpec;
use super::upstream::Upstream;

/// How long the nodes that are left may take to come to the height of the one that was lost.
const CATCH_UP_MS: u64 = 10 * SECOND;

/// A block that no node has answered for good.
#[derive(Debug)]
pub struct PendingBlock {
    /// Its height.
    pub height: u32,
    /// The whole block.
    pub bytes: Rc<[u8]>,
    /// The nodes that refused it for good, with their reasons.
    pub refused_by: BTreeMap<usize, String>,
    /// Why it was last not settled, so that the same is not logged again and again.
    pub last_word: String,
}

impl PendingBlock {
    /// A block that was not sent yet.
    pub fn new(height: u32, bytes: Rc<[u8]>) -> PendingBlock {
        PendingBlock { height, bytes, refused_by: BTreeMap::new(), last_word: String::new() }
    }
}

/// See the module.
pub struct Chain {
    /// What the operator asked for.
    pub spec: ChainSpec,
    /// The nodes, the preferred one first.
    pub nodes: Vec<Upstream>,
    /// Who is owed what.
    pub ledger: Ledger,
    /// Blocks on their way.
    pub pending: BTreeMap<Hash32, PendingBlock>,
    /// The node whose templates are used.
    pub chosen: Option<usize>,
    /// The height that was last followed.
    height: u32,
    /// Since when every ready node has been below that height.
    behind_since_ms: Option<u64>,
}

impl Chain {
    /// A chain that starts to talk to its nodes.
    pub fn new(index: u8, spec: ChainSpec, rng: &mut Rng, now: Now) -> Chain {
        let nodes = spec
            .nodes
            .iter()
            .map(|node| Upstream::new(node.clone(), spec.coin, spec.network, rng.next_u64(), now))
            .collect();
        let ledger = Ledger::new(index, spec.terms.clone());
        Chain { spec, nodes, ledger, pending: BTreeMap::new(), chosen: None, height: 0, behind_since_ms: None }
    }

    /// Chooses the node to follow: of those that are ready and know the highest block, the one the
    /// operator prefers. So a node that lags or hangs is left, and returned to when it has caught up. When
    /// the node that was followed is lost just after a new block, those left may not have it yet: they get
    /// some time before they are believed that there is none.
    pub fn choose(&mut self, now: Now) -> Option<&Rc<Template>> {
        let height = |node: &Upstream| node.ready_template().map(|template| template.height);
        let highest = self.nodes.iter().filter_map(height).max()?;
        let is_followed_lost = self.chosen.is_some_and(|chosen| height(&self.nodes[chosen]).is_none());
        if highest < self.height && is_followed_lost {
            let since_ms = *self.behind_since_ms.get_or_insert(now.mono_ms);
            if now.mono_ms < since_ms + CATCH_UP_MS {
                return None;
            }
        }
        self.behind_since_ms = None;
        self.height = highest;
        self.chosen = self.nodes.iter().position(|node| height(node) == Some(highest));
        self.nodes[self.chosen?].ready_template()
    }

    /// Sends a pending block to every node.
    pub fn submit(&mut self, hash: &Hash32, now: Now) {
        let Some(block) = self.pending.get(hash) else { return };
        for node in &mut self.nodes {
            node.submit(*hash, block.height, Rc::clone(&block.bytes), now);
        }
    }

    /// A pending block needs no more sending.
    pub fn settle(&mut self, hash: &Hash32) {
        self.pending.remove(hash);
        for node in &mut self.nodes {
            node.forget(hash);
        }
    }
}
