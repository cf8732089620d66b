//! The ports that are listened on. Takes connections as they come, and pauses when the system has no room for
//! more; whose they are is the daemon's business.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};

use crate::base::time::Now;

use super::StartError;

/// A listener that could not accept (no file descriptors left) is tried again after this, in milliseconds.
const AGAIN_MS: u64 = 1_000;

/// Connections that may wait to be taken in, as far as the system allows (`net.core.somaxconn`). After a power cut all
/// rigs come at once; those that find no place are heard again after a second, then three, then seven.
const BACKLOG: i32 = 4_096;

/// What a listener's connections are.
#[derive(Clone, Copy, Debug)]
pub enum Port {
    /// Rigs of a pool.
    Stratum {
        /// Index of the pool.
        pool: usize,
        /// Index of the port among the pool's.
        port: usize,
    },
    /// Clients of the status port.
    Rpc,
}

struct Listener {
    socket: TcpListener,
    port: Port,
    again_at: Option<u64>,
}

/// See the module. Tokens of the event loop count them from 0.
#[derive(Default)]
pub struct Listeners(Vec<Listener>);

impl Listeners {
    /// Listens on one more address.
    pub fn open(&mut self, address: SocketAddr, port: Port, registry: &Registry) -> Result<(), StartError> {
        let mut socket = TcpListener::bind(address).map_err(|error| StartError::Listen { address, error })?;
        // mio asks for room for 128.
        rustix::net::listen(&socket, BACKLOG).map_err(io::Error::from)?;
        registry.register(&mut socket, Token(self.0.len()), Interest::READABLE)?;
        let what = match port {
            Port::Stratum { .. } => "stratum",
            Port::Rpc => "status and RPC",
        };
        log::info!("{what} on {}", socket.local_addr()?);
        self.0.push(Listener { socket, port, again_at: None });
        Ok(())
    }

    /// Where the first one of its kind listens.
    pub fn address(&self, kind: impl Fn(Port) -> bool) -> Option<SocketAddr> {
        self.0.iter().find(|listener| kind(listener.port))?.socket.local_addr().ok()
    }

    /// The next connection that waits at a listener; `None` when there is none, or none can be taken now.
    pub fn accept(&mut self, index: usize, now: Now) -> Option<(TcpStream, SocketAddr, Port)> {
        let listener = self.0.get_mut(index)?;
        loop {
            match listener.socket.accept() {
                Ok((socket, address)) => return Some((socket, address, listener.port)),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return None,
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => {}
                    _ => {
                        log::warn!("no connection can be accepted: {error}");
                        listener.again_at = Some(now.mono_ms + AGAIN_MS);
                        return None;
                    }
                },
            }
        }
    }

    /// When listeners that paused are due again, in monotonic milliseconds.
    pub fn next_at(&self) -> impl Iterator<Item = u64> {
        self.0.iter().filter_map(|listener| listener.again_at)
    }

    /// Those that paused and are due again.
    pub fn due(&mut self, now: Now) -> Vec<usize> {
        let is_due = |listener: &mut Listener| listener.again_at.take_if(|at| now.mono_ms >= *at).is_some();
        self.0.iter_mut().enumerate().filter_map(|(index, listener)| is_due(listener).then_some(index)).collect()
    }
}
