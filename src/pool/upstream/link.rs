//! A connection to a node as the shell sees it. Opens none.

/// The two connections to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum LinkKind {
    /// Carries one `getblocktemplate` that the node answers when there is something new.
    LongPoll,
    /// Carries everything else.
    Calls,
}

/// Something for the shell to do for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkAction {
    /// Open the connection.
    Connect(LinkKind),
    /// Send on it.
    Send(LinkKind, Vec<u8>),
    /// Close it.
    Close(LinkKind),
    /// Read the cookie or password file and answer with `handle_credentials`.
    ReadCredentials,
}
