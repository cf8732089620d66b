//! One chain of a pool: its nodes, its ledger, and the blocks that are not judged for good. The parent
//! chain and merge-mined children are the same type.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::base::Hash32;
use crate::base::rng::Rng;
use crate::base::time::{Now, SECOND};
use crate::coin::params::AuxWork;
use crate::coin::template::Template;

use super::blocks::Watched;
use super::ledger::Ledger;
use super::payments::Payments;
use super::spec::ChainSpec;
use super::upstream::{Source, Upstream};

/// How long the nodes that are left may take to come to the height of the one that was lost.
const CATCH_UP_MS: u64 = 10 * SECOND;

/// See the module.
pub struct Chain {
    /// What the operator asked for.
    pub spec: ChainSpec,
    /// The nodes, the preferred one first.
    pub nodes: Vec<Upstream>,
    /// Who is owed what.
    pub ledger: Ledger,
    /// Blocks that are not judged for good.
    pub watched: BTreeMap<Hash32, Watched>,
    /// The wallet that balances are paid from, where one may be used.
    pub payments: Option<Payments>,
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
        let source = source(index, &spec);
        let nodes = spec
            .nodes
            .iter()
            .map(|node| Upstream::new(node.clone(), source.clone(), spec.coin, spec.network, rng.next_u64(), now))
            .collect();
        let ledger = Ledger::new(index, spec.terms.clone());
        let wallet = spec.payments.clone();
        let payments = wallet.map(|wallet| Payments::new(wallet, spec.coin, spec.network, rng.next_u64(), now));
        let (watched, chosen) = (BTreeMap::new(), None);
        Chain { spec, nodes, ledger, watched, payments, chosen, height: 0, behind_since_ms: None }
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

    /// Blocks that nodes make pay who the terms in force say.
    pub fn tell_payee(&mut self, now: Now) {
        let payee = self.spec.address_text(&self.ledger.terms().pool_script);
        self.nodes.iter_mut().for_each(|node| node.set_payee(payee.clone(), now));
    }

    /// Has every node asked about a watched block, after submitting it where none has answered for it yet.
    pub fn follow(&mut self, hash: &Hash32, now: Now) {
        let Some(block) = self.watched.get(hash) else { return };
        let has_answered = self.ledger.block(hash).is_some_and(|block| block.judged.is_some());
        for node in &mut self.nodes {
            node.follow(*hash, block.height, block.bytes.clone(), has_answered, now);
        }
    }

    /// A block is judged for good.
    pub fn unfollow(&mut self, hash: &Hash32) {
        self.watched.remove(hash);
        for node in &mut self.nodes {
            node.forget(hash);
        }
    }
}

/// How the nodes of a chain are asked for work: a parent's, or those of a chain that is mined by itself, for templates;
/// those of a merge-mined chain for what its coin has.
fn source(index: u8, spec: &ChainSpec) -> Source {
    match spec.coin.auxpow.map(|auxpow| auxpow.work).filter(|_| index > 0) {
        None => Source::Template,
        Some(AuxWork::Template) => Source::MergedTemplate,
        Some(AuxWork::NodeBlock) => Source::NodeBlock { payee: spec.address_text(&spec.terms.pool_script) },
    }
}
