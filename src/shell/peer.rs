//! One open connection: its socket and whose it is.

use std::net::SocketAddr;

use mio::net::TcpStream;

use crate::base::limits::{MINER_BACKLOG, RPC_BACKLOG};
use crate::base::slots::Key;
use crate::base::time::Now;
use crate::pool::NodeId;
use crate::pool::upstream::LinkKind;

use super::rpc_port::Conversation;
use super::stream::Stream;

/// Bytes read at once at most.
pub const READ_BUFFER: usize = 64 * 1024;
/// Bytes of a rig that are looked at before the others have their turn: some twenty shares, each of which may cost a
/// proof of work.
const MINER_READ: usize = 4 * 1024;

/// See the module.
pub struct Peer {
    /// The socket and what waits on it.
    pub stream: Stream,
    /// The other end.
    pub address: SocketAddr,
    /// Whose it is.
    pub kind: PeerKind,
    /// Set once it was said goodbye: what it still sends is not looked at, and it is closed at this time
    /// (monotonic milliseconds) unless it closes first.
    pub closing_at: Option<u64>,
    /// Bytes that came after the goodbye.
    pub ignored: usize,
    /// Whether it waits for its next turn to be read.
    pub is_unread: bool,
}

/// Whose a connection is.
pub enum PeerKind {
    /// A rig of a pool.
    Miner {
        /// Index of the pool.
        pool: usize,
        /// The pool's name for it.
        session: Key,
    },
    /// A node of a pool.
    Link {
        /// Index of the pool.
        pool: usize,
        /// Which node.
        node: NodeId,
        /// Which of its two connections.
        link: LinkKind,
        /// Whether connecting has succeeded.
        is_open: bool,
    },
    /// A client of the status port.
    Rpc(Box<Conversation>),
}

impl Peer {
    /// A connection that was just accepted or begun.
    pub fn new(socket: TcpStream, address: SocketAddr, kind: PeerKind) -> Peer {
        Peer { stream: Stream::new(socket), address, kind, closing_at: None, ignored: 0, is_unread: false }
    }
}

impl Peer {
    /// Whether it has outstayed its time.
    pub fn is_overdue(&self, now: Now) -> bool {
        let is_idle = matches!(&self.kind, PeerKind::Rpc(conversation) if conversation.is_idle(now));
        is_idle || self.closing_at.is_some_and(|at| now.mono_ms >= at)
    }
}

impl PeerKind {
    /// A new client of the status port.
    pub fn rpc(now: Now) -> PeerKind {
        PeerKind::Rpc(Box::new(Conversation::new(now)))
    }

    /// The pool and session, if it is a rig.
    pub fn miner(&self) -> Option<(usize, Key)> {
        match self {
            PeerKind::Miner { pool, session } => Some((*pool, *session)),
            PeerKind::Link { .. } | PeerKind::Rpc(_) => None,
        }
    }

    /// How often, and how many bytes at a time, it is read before the others have their turn.
    pub fn reads_per_turn(&self) -> (usize, usize) {
        match self {
            PeerKind::Miner { .. } | PeerKind::Rpc(_) => (1, MINER_READ),
            // Templates are large.
            PeerKind::Link { .. } => (16, READ_BUFFER),
        }
    }

    /// Bytes that may wait for it.
    pub fn backlog(&self) -> usize {
        match self {
            PeerKind::Miner { .. } => MINER_BACKLOG,
            PeerKind::Rpc(_) => RPC_BACKLOG,
            // A whole block in hexadecimal may wait for a node.
            PeerKind::Link { .. } => usize::MAX,
        }
    }
}
