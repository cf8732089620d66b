//! Which socket is whose: rigs by session, and the connections to nodes, which are opened here. Resolves a
//! node's name, reads its credentials, and decides nothing.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use mio::Registry;
use mio::net::TcpStream;

use crate::base::slots::{Key, Slots};
use crate::base::time::Now;
use crate::pool::upstream::{LinkAction, LinkKind};
use crate::pool::{NodeId, Pool};

use super::config::Config;
use super::daemon::register;
use super::peer::{Peer, PeerKind};
use super::secrets::Secret;

/// A node's address, as far as it is known.
struct Node {
    authority: String,
    /// Which of the addresses that the name stands for is tried next.
    attempt: usize,
    secret: Secret,
}

/// See the module.
pub struct Links {
    miners: HashMap<(usize, Key), Key>,
    open: HashMap<(usize, NodeId, LinkKind), Key>,
    nodes: HashMap<(usize, NodeId), Node>,
}

/// What an action came to, to be told to the pool.
pub enum Done {
    /// Nothing that the pool waits for.
    Nothing,
    /// The connection could not be begun.
    Failed(NodeId, LinkKind, String),
    /// What was read of a node's credentials.
    Credentials(NodeId, Result<Option<String>, String>),
}

impl Done {
    /// Tells the pool.
    pub fn report(self, pool: &mut Pool, now: Now) {
        match self {
            Done::Nothing => {}
            Done::Failed(node, link, reason) => pool.handle_link_closed(node, link, &reason, now),
            Done::Credentials(node, credentials) => pool.handle_credentials(node, credentials, now),
        }
    }
}

impl Links {
    /// Knows where the configured nodes are, and opens nothing yet.
    pub fn new(config: &Config) -> Links {
        let mut nodes = HashMap::new();
        for (pool, config) in config.pools.iter().enumerate() {
            for (chain, (spec, secrets)) in config.spec.chains.iter().zip(&config.secrets).enumerate() {
                for (node, (spec, secret)) in spec.nodes.iter().zip(secrets).enumerate() {
                    let id = NodeId { chain: chain as u8, node: node as u8 };
                    let node = Node { authority: spec.authority.clone(), attempt: 0, secret: secret.clone() };
                    nodes.insert((pool, id), node);
                }
            }
            for (chain, (spec, secret)) in config.spec.chains.iter().zip(&config.wallet_secrets).enumerate() {
                if let Some((spec, secret)) = spec.payments.as_ref().zip(secret.as_ref()) {
                    let id = NodeId { chain: chain as u8, node: NodeId::WALLET };
                    let node = Node { authority: spec.wallet.authority.clone(), attempt: 0, secret: secret.clone() };
                    nodes.insert((pool, id), node);
                }
            }
        }
        Links { miners: HashMap::new(), open: HashMap::new(), nodes }
    }

    /// A rig's socket.
    pub fn miner(&self, pool: usize, session: Key) -> Option<Key> {
        self.miners.get(&(pool, session)).copied()
    }

    /// A rig has connected.
    pub fn add_miner(&mut self, pool: usize, session: Key, peer: Key) {
        self.miners.insert((pool, session), peer);
    }

    /// A rig is gone.
    pub fn remove_miner(&mut self, pool: usize, session: Key) {
        self.miners.remove(&(pool, session));
    }

    /// A node's connection is gone, if it is still this one.
    pub fn forget(&mut self, pool: usize, node: NodeId, link: LinkKind, peer: Key) {
        if self.open.get(&(pool, node, link)) == Some(&peer) {
            self.open.remove(&(pool, node, link));
        }
    }

    /// Does what a pool wants done with a node.
    pub fn act(
        &mut self,
        pool: usize,
        id: NodeId,
        action: LinkAction,
        peers: &mut Slots<Peer>,
        registry: &Registry,
    ) -> Done {
        match action {
            LinkAction::Connect(link) => match self.connect(pool, id, link, peers, registry) {
                Ok(()) => Done::Nothing,
                Err(error) => Done::Failed(id, link, error.to_string()),
            },
            LinkAction::Send(link, bytes) => {
                let key = self.open.get(&(pool, id, link));
                if let Some(peer) = key.and_then(|key| peers.get_mut(*key)) {
                    peer.stream.push(bytes.into());
                    // A socket that fails here fails again when it is read, and is closed there.
                    let _ = peer.stream.flush();
                }
                Done::Nothing
            }
            LinkAction::Close(link) => {
                if let Some(mut peer) = self.open.remove(&(pool, id, link)).and_then(|key| peers.remove(key)) {
                    // Dropping the socket closes it, deregistered or not.
                    let _ = registry.deregister(&mut peer.stream.socket);
                }
                Done::Nothing
            }
            LinkAction::ReadCredentials => {
                let credentials =
                    self.nodes.get(&(pool, id)).map_or(Ok(String::new()), |node| node.secret.credentials());
                let header =
                    |text: String| (!text.is_empty()).then(|| format!("Basic {}", BASE64_STANDARD.encode(text)));
                Done::Credentials(id, credentials.map(header))
            }
        }
    }

    fn connect(
        &mut self,
        pool: usize,
        id: NodeId,
        link: LinkKind,
        peers: &mut Slots<Peer>,
        registry: &Registry,
    ) -> io::Result<()> {
        let node = self.nodes.get_mut(&(pool, id)).ok_or(io::ErrorKind::NotFound)?;
        let address = node.next_address()?;
        let kind = PeerKind::Link { pool, node: id, link, is_open: false };
        let key = peers.insert(Peer::new(TcpStream::connect(address)?, address, kind));
        let peer = peers.get_mut(key).ok_or(io::ErrorKind::NotFound)?;
        if let Err(error) = register(registry, peer, key) {
            peers.remove(key);
            return Err(error);
        }
        self.open.insert((pool, id, link), key);
        Ok(())
    }
}

impl Node {
    /// Resolves the name anew, and goes round the addresses that it stands for. An address as numbers is
    /// not looked up; a name may hold the loop until the resolver answers, so the README advises numbers.
    fn next_address(&mut self) -> io::Result<SocketAddr> {
        let addresses: Vec<SocketAddr> = self.authority.to_socket_addrs()?.collect();
        let index = self.attempt.checked_rem(addresses.len()).unwrap_or(0);
        self.attempt = self.attempt.wrapping_add(1);
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("{} has no address", self.authority));
        addresses.get(index).copied().ok_or_else(missing)
    }
}
