//! The loop: sockets, store, signals and the pools between them, in one thread. A turn reads what came, lets
//! the pools act, sends what they want sent, commits what is due, and sends what that set free. Decides
//! nothing about mining or money.

mod peers;

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

use crate::base::slots::{Key, Slots};
use crate::base::time::Now;
use crate::face::{LedgerSize, Site};
use crate::pool::record::Batch;
use crate::pool::{Output, Pool, RecoverError};

use super::clock::Clock;
use super::config::{Config, PoolConfig};
use super::descriptors::room_for_rigs;
use super::links::Links;
use super::listeners::{Listeners, Port};
use super::peer::{Peer, READ_BUFFER};
use super::secrets::AdminToken;
use super::service::Service;
use super::sockets::Sockets;
use super::store::{Store, StoreError, held_payments};
use super::{StartError, handover, secrets};

use peers::Outbox;
pub(super) use peers::register;

const SIGNALS: Token = Token(usize::MAX);
/// Connection tokens start here; below are the listeners.
const FIRST_PEER: usize = 1 << 10;
/// A peer that was said goodbye may take this long to close.
const LINGER_MS: u64 = 2_000;
/// A disk that takes this long to write a batch holds up everything that the pool does.
const SLOW_COMMIT_MS: u64 = 1_000;
/// On stop, what is still to be sent gets this long.
const FAREWELL_MS: u64 = 500;

/// See the module.
pub struct Daemon {
    poll: Poll,
    signals: Signals,
    clock: Clock,
    store: Store,
    ledger: LedgerSize,
    pools: Vec<Pool>,
    token: AdminToken,
    listeners: Listeners,
    peers: Slots<Peer>,
    /// Peers whose input was not read to its end in their turn.
    unread: Vec<Key>,
    outbox: Outbox,
    /// Peers that asked for more than they may, each with when it is read again.
    paused: BTreeSet<(u64, Key)>,
    data_dir: PathBuf,
    links: Links,
    service: Service,
    started_ms: u64,
    rpc_peers: usize,
    /// Connections of rigs, by pool.
    rig_peers: Vec<usize>,
    /// Rigs of each pool for which there are file descriptors.
    rig_room: Vec<usize>,
    stopping: bool,
    buffer: Box<[u8]>,
}

impl Daemon {
    /// Opens the ledger, recovers the pools and listens. Nothing is served before everything is open.
    pub fn start(config: &Config, clock: Clock) -> Result<Daemon, StartError> {
        let poll = Poll::new()?;
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        let names: Vec<&str> = config.pools.iter().map(|pool| pool.spec.name.as_str()).collect();
        let store = Store::open(&config.data_dir, config.map_mib, &names)?;
        let token = AdminToken::read_or_make(&config.admin_token_file).map_err(StartError::Token)?;
        let now = clock.now();
        let pools = match recover(&store, config, now) {
            Err(StartError::Store(StoreError::Damaged(what))) => return Err(store.set_aside(what).into()),
            recovered => recovered?,
        };
        for name in store.strangers()? {
            log::warn!(
                "the ledger has a pool {name} that is not configured: its books stay, and what it owes stays unpaid; \
                 \"edgepool ledger verify\" tells how much"
            );
        }
        for (index, pool) in config.pools.iter().enumerate() {
            store.tie(index, &pool.spec.chains_text())?;
        }
        let mut daemon = Daemon {
            poll,
            signals,
            clock,
            store,
            ledger: LedgerSize::default(),
            pools,
            token,
            listeners: Listeners::default(),
            peers: Slots::default(),
            unread: Vec::new(),
            outbox: Outbox::default(),
            paused: BTreeSet::new(),
            data_dir: config.data_dir.clone(),
            links: Links::new(config),
            service: Service::start(),
            started_ms: now.mono_ms,
            rpc_peers: 0,
            rig_peers: vec![0; config.pools.len()],
            rig_room: room_for_rigs(config),
            stopping: false,
            buffer: vec![0; READ_BUFFER].into_boxed_slice(),
        };
        daemon.measure_ledger();
        let held = held_payments(&config.data_dir);
        if held.exists() {
            log::error!("no payments are built while {} is there: read it", held.display());
            daemon.pools.iter_mut().for_each(|pool| pool.hold_payments(&held.display().to_string()));
        }
        let mut sockets = Sockets::inherit();
        for (pool, config) in config.pools.iter().enumerate() {
            for (port, address) in config.listen.iter().enumerate() {
                daemon.listeners.open(*address, Port::Stratum { pool, port }, &mut sockets, daemon.poll.registry())?;
            }
        }
        for address in &config.rpc_listen {
            daemon.listeners.open(*address, Port::Rpc, &mut sockets, daemon.poll.registry())?;
        }
        sockets.close_rest();
        // It can be taken once: after everything that may refuse to start, and before anything is served or written.
        handover::carry_on(&config.data_dir, &mut daemon.pools, now);
        Ok(daemon)
    }

    /// Where the status port listens; the system's choice where the configuration says port 0.
    pub fn rpc_address(&self) -> Option<SocketAddr> {
        self.listeners.address(|port| matches!(port, Port::Rpc))
    }

    /// Where the first pool's miners connect.
    pub fn stratum_address(&self) -> Option<SocketAddr> {
        self.listeners.address(|port| matches!(port, Port::Stratum { .. }))
    }

    /// Runs until a signal, the `stop` method, or the onlooker asks for an end; then commits and says goodbye.
    /// `onlooker` sees the site after every turn, at least once a second.
    pub fn run(&mut self, mut onlooker: impl FnMut(&mut Site)) -> io::Result<()> {
        let mut events = Events::with_capacity(1_024);
        self.service.ready();
        while !self.stopping {
            let timeout = self.timeout();
            if let Err(error) = self.poll.poll(&mut events, Some(timeout))
                && error.kind() != io::ErrorKind::Interrupted
            {
                return Err(error);
            }
            let now = self.clock.now();
            for event in &events {
                self.handle_event(event.token(), event.is_readable(), event.is_writable(), now);
            }
            self.turn(now);
            let mut site = self.site(now);
            onlooker(&mut site);
            self.stopping |= site.stop;
        }
        self.farewell();
        Ok(())
    }

    /// The running daemon as a request sees it.
    pub fn site(&mut self, now: Now) -> Site<'_> {
        Site {
            pools: &mut self.pools,
            journals: &self.store,
            now,
            started_ms: self.started_ms,
            ledger: self.ledger,
            is_admin: false,
            stop: false,
            must_commit: false,
        }
    }

    fn timeout(&self) -> Duration {
        if !self.unread.is_empty() {
            return Duration::ZERO;
        }
        let now = self.clock.now().mono_ms;
        let pools = self.pools.iter().map(Pool::poll_timeout);
        let rested = self.paused.first().map(|(at, _)| *at);
        let next =
            pools.chain(self.listeners.next_at()).chain(rested).min().unwrap_or(u64::MAX).min(self.service.next_at());
        Duration::from_millis(next.saturating_sub(now).min(60_000))
    }

    fn handle_event(&mut self, token: Token, readable: bool, writable: bool, now: Now) {
        match token {
            SIGNALS => {
                for signal in self.signals.pending() {
                    log::info!("signal {signal}: stopping");
                    self.stopping = true;
                }
            }
            Token(index) if index < FIRST_PEER => self.listeners.wake(index, now),
            Token(index) => {
                let Some(key) = self.peers.key_at(index - FIRST_PEER) else { return };
                if writable {
                    self.handle_writable(key, now);
                }
                if readable {
                    self.read(key, now);
                }
            }
        }
    }

    /// Everything that is due, after all that came in was handled.
    fn turn(&mut self, now: Now) {
        let rested = self.paused.range(..=(now.mono_ms, Key::from_u64(u64::MAX))).copied().collect::<Vec<_>>();
        for pause in rested {
            self.paused.remove(&pause);
            self.unread.push(pause.1);
        }
        for key in std::mem::take(&mut self.unread) {
            if let Some(peer) = self.peers.get_mut(key) {
                peer.is_unread = false;
            }
            self.read(key, now);
        }
        for index in self.listeners.due(now) {
            self.accept(index, now);
        }
        // A crowd's bytes take a while: what became due meanwhile is not left for the next turn.
        let now = self.clock.now();
        for pool in &mut self.pools {
            if pool.poll_timeout() <= now.mono_ms {
                pool.handle_timeout(now);
            }
        }
        // New work and blocks leave before the disk is waited for.
        self.deliver(now);
        if self.commit(now).is_some() {
            self.deliver(self.clock.now());
        }
        if self.service.next_at() <= now.mono_ms {
            self.close_overdue(now);
            self.service.beat(&self.pools, now);
        }
    }

    /// Writes what waits, in one transaction, and tells the pools. `None` when nothing was due. What is due of one pool
    /// takes along what waits of the others: the disk is synced as often as for one alone.
    fn commit(&mut self, now: Now) -> Option<Result<(), String>> {
        if !self.pools.iter().any(|pool| pool.batch_due(now)) {
            return None;
        }
        let is_written = |index: &usize| self.pools[*index].batch_due(now) || self.pools[*index].awaits_commit();
        let due: Vec<usize> = (0..self.pools.len()).filter(is_written).collect();
        let pools = self.pools.iter_mut().enumerate().filter(|(index, _)| due.contains(index));
        let batches: Vec<(usize, &Batch)> = pools.map(|(index, pool)| (index, pool.batch(now))).collect();
        let begun = self.clock.now();
        let outcome = self.store.commit(&batches).map_err(|error| error.to_string());
        // What follows is timed from when the disk was done.
        let now = self.clock.now();
        let took_ms = now.mono_ms.saturating_sub(begun.mono_ms);
        if took_ms >= SLOW_COMMIT_MS {
            log::warn!("the disk took {took_ms} ms to write the ledger; everything waited for it");
        }
        for index in due {
            let pool = &mut self.pools[index];
            match &outcome {
                Ok(()) => pool.handle_committed(now),
                Err(reason) => pool.handle_commit_failed(reason, now),
            }
        }
        self.measure_ledger();
        Some(outcome)
    }

    /// Notes how full the ledger is. When that can't be read, the next commit tells what is wrong.
    fn measure_ledger(&mut self) {
        if let Ok(room) = self.store.headroom() {
            self.ledger = LedgerSize { used_bytes: room.used_bytes, map_bytes: room.map_bytes };
            for pool in &mut self.pools {
                pool.handle_headroom(room.used_bytes, room.map_bytes);
            }
        }
    }

    /// Does what the pools want done, until they want nothing more.
    fn deliver(&mut self, now: Now) {
        for pool in 0..self.pools.len() {
            while let Some(output) = self.pools[pool].poll_output() {
                match output {
                    Output::ToMiner { session, line } => {
                        if let Some(key) = self.links.miner(pool, session) {
                            self.send(key, &line, now);
                        }
                    }
                    Output::CloseMiner { session, reason } => {
                        self.send_outbox(None, now);
                        if let Some(key) = self.links.miner(pool, session)
                            && let Some(peer) = self.peers.get_mut(key)
                        {
                            log::log!(self.pools[pool].log_level(now), "{} {reason}", peer.address);
                            peer.closing_at = Some(now.mono_ms + LINGER_MS);
                            self.flush(key, now);
                        }
                    }
                    Output::Link { node, action } => {
                        let done = self.links.act(pool, node, action, &mut self.peers, self.poll.registry());
                        done.report(&mut self.pools[pool], now);
                    }
                }
            }
        }
        self.send_outbox(None, now);
    }

    /// Looks at what has come, commits what is accepted, acknowledges it, leaves the rest to the next run, and gives
    /// the sockets a moment to take what was sent.
    fn farewell(&mut self) {
        self.service.stopping();
        let now = self.clock.now();
        let rigs = self.peers.iter().filter(|(_, peer)| peer.kind.miner().is_some());
        for key in rigs.map(|(key, _)| key).collect::<Vec<Key>>() {
            // What is left unread is sent again by who resumes.
            if self.clock.now().mono_ms >= now.mono_ms + FAREWELL_MS {
                break;
            }
            self.read(key, now);
        }
        // Blocks among it leave at once.
        self.deliver(now);
        for pool in &mut self.pools {
            pool.handle_stop();
        }
        if let Some(Err(reason)) = self.commit(now) {
            log::error!("the last batch was not written: {reason}");
        }
        self.deliver(now);
        handover::leave(&self.data_dir, &self.pools, self.clock.now());
        let deadline = self.clock.now().mono_ms + FAREWELL_MS;
        while self.clock.now().mono_ms < deadline && self.peers.iter().any(|(_, peer)| peer.stream.queued() > 0) {
            std::thread::sleep(Duration::from_millis(5));
            for (_, peer) in self.peers.iter_mut() {
                // A peer that is gone loses its goodbye; everything else is on disk.
                let _ = peer.stream.flush();
            }
        }
        log::info!("stopped within {} ms", self.clock.now().mono_ms.saturating_sub(now.mono_ms));
    }
}

/// The pools as the ledger has them.
fn recover(store: &Store, config: &Config, now: Now) -> Result<Vec<Pool>, StartError> {
    let recover = |(index, pool): (usize, &PoolConfig)| {
        let recovered = store.load(index)?;
        let seed = secrets::random_seed()?;
        let made = Pool::new(pool.spec.clone(), recovered, &store.journal(index), seed, now);
        if let Err(RecoverError::Journal(_)) = made {
            // Says whether it is the file that is wrong.
            store.check_journal(index)?;
        }
        made.map_err(|error| StartError::Ledger(format!("pool {}: {error}", pool.spec.name)))
    };
    config.pools.iter().enumerate().map(recover).collect()
}
