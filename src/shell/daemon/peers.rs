//! What the daemon does with one connection: takes it in, reads it, hands on what came, sends, and closes it. An
//! error of a connection costs that one alone.

use std::io::{self, Write};
use std::net::Shutdown;
use std::rc::Rc;

use mio::{Interest, Token};

use crate::base::limits::{ACCEPTS_PER_TURN, RPC_CONNECTIONS, SPARE_DESCRIPTORS};
use crate::base::slots::Key;
use crate::base::time::{Now, SECOND};
use crate::pool::{Pool, farewell};
use crate::shell::listeners::Port;
use crate::shell::peer::{Peer, PeerKind};
use crate::shell::rpc_port;
use crate::wire::stratum::Line;

use super::{Daemon, FIRST_PEER, LINGER_MS};

/// Bytes that a peer which was said goodbye may still send: what buffers on the way hold.
const IGNORED: usize = 128 * 1024;

impl Daemon {
    pub(super) fn accept(&mut self, index: usize, now: Now) {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some((mut socket, address, port)) = self.listeners.accept(index, now) else { return };
            let kind = match port {
                Port::Stratum { pool, port } => {
                    // Those who make room for others take a moment to leave.
                    let (peers, room) = (self.rig_peers[pool], self.rig_room[pool]);
                    if peers >= room.saturating_add((SPARE_DESCRIPTORS / 2 / self.pools.len()).max(1)) {
                        continue;
                    }
                    let has_descriptors = peers < room;
                    if let Err(denied) = self.pools[pool].admit_connection(address.ip(), has_descriptors, now) {
                        log::debug!("{address} is turned away: {denied}");
                        // A new connection takes a line at once; one that doesn't goes without.
                        let _ = socket.write(&farewell(denied));
                        continue;
                    }
                    self.rig_peers[pool] += 1;
                    PeerKind::Miner { pool, session: self.pools[pool].handle_miner_connected(address, port, now) }
                }
                Port::Rpc => {
                    if self.rpc_peers >= RPC_CONNECTIONS && !self.close_silent_rpc(now) {
                        continue;
                    }
                    self.rpc_peers += 1;
                    PeerKind::rpc(now)
                }
            };
            let miner = kind.miner();
            let key = self.peers.insert(Peer::new(socket, address, kind));
            if let Some((pool, session)) = miner {
                self.links.add_miner(pool, session, key);
            }
            let registered = match self.peers.get_mut(key) {
                Some(peer) => register(self.poll.registry(), peer, key),
                None => continue,
            };
            if let Err(error) = registered {
                self.close(key, &error.to_string(), now);
            }
        }
        self.listeners.wake(index, now);
    }

    /// Makes room at the status port: whoever has been silent there for longest leaves, if it was a second.
    fn close_silent_rpc(&mut self, now: Now) -> bool {
        let silence = |(key, peer): (Key, &Peer)| match &peer.kind {
            PeerKind::Rpc(conversation) => Some((conversation.silent_ms(now), key)),
            PeerKind::Miner { .. } | PeerKind::Link { .. } => None,
        };
        let longest = self.peers.iter().filter_map(silence).max().filter(|(silent_ms, _)| *silent_ms >= SECOND);
        if let Some((_, key)) = longest {
            self.close(key, "", now);
        }
        longest.is_some()
    }

    pub(super) fn handle_writable(&mut self, key: Key, now: Now) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        if let PeerKind::Link { pool, node, link, is_open: is_open @ false } = &mut peer.kind {
            let (pool, node, link) = (*pool, *node, *link);
            match peer.stream.socket.take_error().and_then(|error| error.map_or(Ok(()), Err)) {
                Err(error) => return self.close(key, &error.to_string(), now),
                Ok(()) if peer.stream.socket.peer_addr().is_err() => return,
                Ok(()) => *is_open = true,
            }
            self.pools[pool].handle_link_connected(node, link, now);
        }
        self.flush(key, now);
    }

    /// Reads what a peer sent, a bounded part of it in one turn; the rest in the next.
    pub(super) fn read(&mut self, key: Key, now: Now) {
        // Who waits for its turn has had its part of this one, however much more has come.
        let Some(peer) = self.peers.get(key).filter(|peer| !peer.is_unread) else { return };
        let (reads, size) = peer.kind.reads_per_turn();
        for _ in 0..reads {
            let Some(peer) = self.peers.get_mut(key) else { return };
            match peer.stream.read(&mut self.buffer[..size]) {
                Ok(None) => return,
                Ok(Some(0)) => return self.close(key, "closed by the peer", now),
                Ok(Some(count)) => self.handle_bytes(key, count, now),
                Err(error) => return self.close(key, &error.to_string(), now),
            }
        }
        if let Some(peer) = self.peers.get_mut(key) {
            peer.is_unread = true;
            match peer.kind.miner().map(|(pool, session)| self.pools[pool].reads_from(session)) {
                Some(at) if at > now.mono_ms => _ = self.paused.insert((at, key)),
                _ => self.unread.push(key),
            }
        }
    }

    /// Hands the first `count` bytes of the buffer to whoever the peer belongs to.
    fn handle_bytes(&mut self, key: Key, count: usize, now: Now) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let bytes = &self.buffer[..count];
        match &mut peer.kind {
            // What comes after the goodbye is read away and not looked at, as long as it may have been under way before.
            _ if peer.closing_at.is_some() => {
                peer.ignored += count;
                if peer.ignored > IGNORED {
                    self.close(key, "goes on after the goodbye", now);
                }
            }
            PeerKind::Miner { pool, session } => self.pools[*pool].handle_miner_bytes(*session, bytes, now),
            PeerKind::Link { pool, node, link, .. } => self.pools[*pool].handle_link_bytes(*node, *link, bytes, now),
            PeerKind::Rpc(conversation) => {
                conversation.handle_bytes(bytes);
                self.answer_rpc(key, now);
            }
        }
    }

    fn answer_rpc(&mut self, key: Key, now: Now) {
        while let Some(peer) = self.peers.get_mut(key)
            && let PeerKind::Rpc(conversation) = &mut peer.kind
            && peer.closing_at.is_none()
            && let Some(request) = conversation.next_request(now)
        {
            let token = self.token.clone();
            let mut site = self.site(now);
            let mut reply = rpc_port::answer(&mut site, &token, request);
            let (stop, must_commit) = (site.stop, site.must_commit);
            if must_commit {
                // An operator is told that a change is made when it can't be lost any more.
                self.deliver(now);
                self.commit(now);
                if let Some(reason) = self.pools.iter().find_map(Pool::unwritten) {
                    reply.replace_with_not_durable(&reason);
                }
            }
            self.stopping |= stop;
            if let Some(peer) = self.peers.get_mut(key) {
                if reply.close {
                    peer.closing_at = Some(now.mono_ms + LINGER_MS);
                }
                peer.stream.push(reply.bytes().into());
            }
        }
        if let Some(peer) = self.peers.get_mut(key)
            && let PeerKind::Rpc(conversation) = &mut peer.kind
            && let Some(interim) = conversation.interim()
        {
            peer.stream.push(interim.into());
        }
        self.flush(key, now);
    }

    /// Sends a line to a rig: a short one with those that follow for the same rig, in one call to the system.
    pub(super) fn send(&mut self, key: Key, line: &Line, now: Now) {
        if self.outbox.key != Some(key) {
            self.send_outbox(None, now);
            self.outbox.key = Some(key);
        }
        match line.shared() {
            Some(shared) => self.send_outbox(Some(shared), now),
            None => self.outbox.bytes.extend_from_slice(line),
        }
    }

    /// Sends what is in the outbox, and `shared` after it.
    pub(super) fn send_outbox(&mut self, shared: Option<&Rc<[u8]>>, now: Now) {
        let Some(key) = self.outbox.key.take() else { return };
        let Some(peer) = self.peers.get_mut(key) else { return self.outbox.bytes.clear() };
        let outcome = peer.stream.send(&self.outbox.bytes, shared);
        self.outbox.bytes.clear();
        self.settle(key, outcome, now);
    }

    pub(super) fn flush(&mut self, key: Key, now: Now) {
        let Some(peer) = self.peers.get_mut(key) else { return };
        let outcome = peer.stream.flush();
        self.settle(key, outcome, now);
    }

    /// What follows when something was sent.
    fn settle(&mut self, key: Key, outcome: io::Result<()>, now: Now) {
        if let Err(error) = outcome {
            return self.close(key, &error.to_string(), now);
        }
        let Some(peer) = self.peers.get_mut(key) else { return };
        if peer.stream.queued() > peer.kind.backlog() {
            return self.close(key, "does not read what is sent", now);
        }
        if peer.closing_at.is_some() && peer.stream.queued() == 0 {
            // Closing with input unread would reset the connection, and the goodbye with it: the peer is
            // shown the end, and closes when it has read it. One that is gone can't be shown anything.
            let _ = peer.stream.socket.shutdown(Shutdown::Write);
        }
    }

    pub(super) fn close(&mut self, key: Key, reason: &str, now: Now) {
        let Some(mut peer) = self.peers.remove(key) else { return };
        // A socket that can't be deregistered is closed all the same.
        let _ = self.poll.registry().deregister(&mut peer.stream.socket);
        match peer.kind {
            PeerKind::Miner { pool, session } => {
                if !reason.is_empty() {
                    log::debug!("{}: {reason}", peer.address);
                }
                self.rig_peers[pool] -= 1;
                self.links.remove_miner(pool, session);
                self.pools[pool].handle_miner_closed(session);
                self.pools[pool].handle_socket_closed(peer.address.ip());
            }
            PeerKind::Link { pool, node, link, .. } => {
                self.links.forget(pool, node, link, key);
                self.pools[pool].handle_link_closed(node, link, reason, now);
            }
            PeerKind::Rpc(_) => self.rpc_peers -= 1,
        }
    }

    pub(super) fn close_overdue(&mut self, now: Now) {
        let overdue = self.peers.iter().filter(|(_, peer)| peer.is_overdue(now));
        for key in overdue.map(|(key, _)| key).collect::<Vec<Key>>() {
            self.close(key, "", now);
        }
    }
}

/// Short lines for one rig, gathered until one for another comes.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    key: Option<Key>,
    bytes: Vec<u8>,
}

/// Adds a peer to the loop, for reading and writing from the start: readiness is edge-triggered, so there
/// is nothing to change later.
pub(in crate::shell) fn register(registry: &mio::Registry, peer: &mut Peer, key: Key) -> io::Result<()> {
    let token = Token(FIRST_PEER + key.index());
    registry.register(&mut peer.stream.socket, token, Interest::READABLE | Interest::WRITABLE)
}
