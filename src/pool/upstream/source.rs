//! Where the work of a chain comes from: what its nodes are asked, and how the answer is read. Asks nobody.

use serde_json::value::RawValue;

use crate::coin::auxblock::AuxBlock;
use crate::coin::params::{Coin, Network};
use crate::coin::template::Template;

/// What a node is asked for work with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// getblocktemplate: the block is made here.
    Template,
    /// getblocktemplate for a block that carries an auxpow: only from the network's first such height on.
    MergedTemplate,
    /// createauxblock: the block is the node's own, and pays this address.
    NodeBlock {
        /// As the node reads it.
        payee: String,
    },
}

impl Source {
    pub(super) fn is_node_block(&self) -> bool {
        matches!(self, Source::NodeBlock { .. })
    }

    /// Whether the node can be asked to answer when there is something new.
    pub(super) fn has_long_polls(&self) -> bool {
        !self.is_node_block()
    }

    /// The parameters of the call; with `long_poll_id` its answer waits for something new.
    pub(super) fn request(&self, coin: &Coin, long_poll_id: Option<&str>) -> String {
        if let Source::NodeBlock { payee } = self {
            return serde_json::json!([payee]).to_string();
        }
        let mut request = serde_json::Map::new();
        if !coin.template_rules.is_empty() {
            request.insert("rules".into(), coin.template_rules.into());
        }
        if let Some(id) = long_poll_id {
            request.insert("longpollid".into(), id.into());
        }
        serde_json::Value::Array(vec![request.into()]).to_string()
    }

    /// Reads what the node answered; the error says why nothing can be made of it, or not yet.
    pub(super) fn read(&self, result: &RawValue, coin: &'static Coin, network: &Network) -> Result<Template, String> {
        let bytes = result.get().as_bytes();
        let template = match self {
            Source::NodeBlock { .. } => AuxBlock::parse(bytes, coin).map(Template::from),
            Source::Template | Source::MergedTemplate => Template::parse(bytes, coin),
        };
        let template = template.map_err(|error| error.to_string())?;
        let first = network.auxpow_height.filter(|_| *self != Source::Template).unwrap_or(0);
        if template.height < first {
            return Err(format!("merged mining begins with block {first}, and the next one is {}", template.height));
        }
        Ok(template)
    }
}
