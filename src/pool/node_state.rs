//! What is known of a coin node: its state, in the words that status shows, and how far it has synced.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::wire::node_link::LinkError;

/// The state of a node. All but `Ready` mean: wait, show it, try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeState {
    /// Not heard of yet.
    Connecting,
    /// Gives templates.
    Ready,
    /// No connection, or it broke.
    Unreachable,
    /// The user, password or cookie is refused or can't be read.
    Unauthorised,
    /// Starting (RPC error −28).
    WarmingUp,
    /// In initial block download (RPC error −10, or as it says of itself).
    Syncing,
    /// Has no peers (RPC error −9).
    NoPeers,
    /// On another network than the pool: its templates would pay nobody.
    WrongNetwork,
    /// Its template can't be mined by this pool: it follows rules that the pool does not know (RPC error −8, or a template
    /// that says so), or is none.
    TemplateRefused,
    /// Anything else that it answers instead of a template.
    Failing,
}

impl NodeState {
    /// The state that an error of `getblocktemplate` shows.
    pub fn of_error(error: &LinkError) -> NodeState {
        match error {
            LinkError::Unauthorised => NodeState::Unauthorised,
            LinkError::Rpc { code: -8, .. } => NodeState::TemplateRefused,
            LinkError::Rpc { code: -9, .. } => NodeState::NoPeers,
            LinkError::Rpc { code: -10, .. } => NodeState::Syncing,
            LinkError::Rpc { code: -28, .. } => NodeState::WarmingUp,
            LinkError::Unreachable(_) | LinkError::Closed(_) | LinkError::Timeout => NodeState::Unreachable,
            LinkError::Rpc { .. } | LinkError::Http { .. } | LinkError::TooLarge | LinkError::Malformed(_) => {
                NodeState::Failing
            }
        }
    }

    /// As RPC and logs name it.
    pub fn name(self) -> &'static str {
        match self {
            NodeState::Connecting => "connecting",
            NodeState::Ready => "ready",
            NodeState::Unreachable => "unreachable",
            NodeState::Unauthorised => "unauthorised",
            NodeState::WarmingUp => "warming_up",
            NodeState::Syncing => "syncing",
            NodeState::NoPeers => "no_peers",
            NodeState::WrongNetwork => "wrong_network",
            NodeState::TemplateRefused => "template_refused",
            NodeState::Failing => "failing",
        }
    }
}

/// How far a node has synced, as it says itself.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct NodeInfo {
    /// The network that it is on: `main`, `test`, `regtest` …
    pub chain: Option<String>,
    /// Blocks that it has.
    #[serde(rename = "blocks")]
    pub height: Option<u32>,
    /// Headers that it has.
    pub headers: Option<u32>,
    /// 0 to 1.
    #[serde(rename = "verificationprogress")]
    pub verification_progress: Option<f64>,
    /// Whether the node itself says that it is still catching up.
    #[serde(rename = "initialblockdownload")]
    pub is_catching_up: Option<bool>,
    /// Connections to other nodes.
    #[serde(skip)]
    pub peers: Option<u32>,
}

impl NodeInfo {
    /// Whether the node has taken in every block that it knows of; taken for true where it does not tell.
    pub fn is_synced(&self) -> bool {
        self.is_catching_up != Some(true) && self.height >= self.headers
    }

    /// Takes in an answer to `getblockchaininfo`; one that can't be read changes nothing.
    pub fn take_chain_info(&mut self, result: &RawValue) {
        if let Ok(info) = serde_json::from_str::<NodeInfo>(result.get()) {
            *self = NodeInfo { peers: self.peers, ..info };
        }
    }
}

/// A node for people to see.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeStatus {
    /// Without credentials.
    pub url: String,
    /// See [`NodeState`].
    pub state: NodeState,
    /// How far it has synced.
    pub info: NodeInfo,
    /// How long ago its newest template arrived, in milliseconds.
    pub template_age_ms: Option<u64>,
    /// What it last said instead of a template.
    pub error: Option<String>,
}
