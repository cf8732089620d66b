//! What a call to a node was for.

use super::Source;

/// What a call was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Template = 0,
    LongPoll,
    Tip,
    ChainInfo,
    Peers,
    Submit,
    Check,
}

impl Tag {
    pub(super) const ALL: [Tag; 7] =
        [Tag::Template, Tag::LongPoll, Tag::Tip, Tag::ChainInfo, Tag::Peers, Tag::Submit, Tag::Check];

    /// The node's name for the call, where work comes from `source`.
    pub(super) fn method(self, source: &Source) -> &'static str {
        match self {
            Tag::Template if source.is_node_block() => "createauxblock",
            Tag::Submit if source.is_node_block() => "submitauxblock",
            Tag::Template | Tag::LongPoll => "getblocktemplate",
            Tag::Tip => "getbestblockhash",
            Tag::ChainInfo => "getblockchaininfo",
            Tag::Peers => "getconnectioncount",
            Tag::Submit => "submitblock",
            Tag::Check => "getblockhash",
        }
    }
}
