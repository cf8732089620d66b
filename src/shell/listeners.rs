//! The ports that are listened on. Takes connections as they come, so many in a turn, and pauses when the system has
//! no room for more; whose they are is the daemon's business.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use rustix::net::sockopt;

use crate::base::time::Now;

use super::StartError;
use super::sockets::Sockets;

/// A listener that could not accept (no file descriptors left) is tried again after this, in milliseconds.
const AGAIN_MS: u64 = 1_000;

/// Connections that may wait to be taken in, as far as the system allows (`net.core.somaxconn`). After a power cut all
/// rigs come at once; those that find no place are heard again after a second, then three, then seven.
const BACKLOG: i32 = 4_096;

/// A rig that is silent for this long is asked whether it is there, then every [`PROBE`]; after [`PROBES`] without an
/// answer the connection ends. One whose plug was pulled leaves within two minutes, also where a router forgets idle
/// connections without telling anybody.
const SILENCE: Duration = Duration::from_secs(60);
/// See [`SILENCE`].
const PROBE: Duration = Duration::from_secs(15);
/// See [`SILENCE`].
const PROBES: u32 = 4;
/// What was sent to a rig and is not acknowledged for this long ends the connection, in milliseconds.
const UNACKNOWLEDGED_MS: u32 = 120_000;
/// Bytes of a rig's lines that the system keeps while they are not read: with thousands of connections, what a hostile
/// one can have kept must be small.
const RECEIVE_BUFFER: usize = 32 * 1024;
/// Bytes that the system keeps for a rig that doesn't read.
const SEND_BUFFER: usize = 64 * 1024;

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

impl Port {
    /// What configures it.
    fn path(self) -> String {
        match self {
            Port::Stratum { pool, .. } => format!("pools[{pool}].stratum.listen"),
            Port::Rpc => "rpc.listen".to_string(),
        }
    }
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
    /// Listens on one more address, by the service manager's socket where there is one.
    pub fn open(
        &mut self,
        address: SocketAddr,
        port: Port,
        sockets: &mut Sockets,
        registry: &Registry,
    ) -> Result<(), StartError> {
        let inherited = sockets.take(address);
        let how = if inherited.is_some() { ", by the service manager's socket" } else { "" };
        let mut socket = match inherited {
            Some(socket) => TcpListener::from_std(socket),
            None => TcpListener::bind(address).map_err(|error| {
                let path = port.path();
                StartError::Listen { address, path, error }
            })?,
        };
        // mio asks for room for 128.
        rustix::net::listen(&socket, BACKLOG).map_err(io::Error::from)?;
        registry.register(&mut socket, Token(self.0.len()), Interest::READABLE)?;
        if let Err(error) = keep_alive(&socket, port) {
            log::warn!("connections to {address} that die unseen stay until they time out: {error}");
        }
        let what = match port {
            Port::Stratum { .. } => "stratum",
            Port::Rpc => "status and RPC",
        };
        log::info!("{what} on {}{how}", socket.local_addr()?);
        self.0.push(Listener { socket, port, again_at: None });
        Ok(())
    }

    /// Where the first one of its kind listens.
    pub fn address(&self, kind: impl Fn(Port) -> bool) -> Option<SocketAddr> {
        self.0.iter().find(|listener| kind(listener.port))?.socket.local_addr().ok()
    }

    /// Connections wait at a listener: it is due.
    pub fn wake(&mut self, index: usize, now: Now) {
        if let Some(listener) = self.0.get_mut(index) {
            listener.again_at.get_or_insert(now.mono_ms);
        }
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

    /// When listeners that have connections waiting are due, in monotonic milliseconds.
    pub fn next_at(&self) -> impl Iterator<Item = u64> {
        self.0.iter().filter_map(|listener| listener.again_at)
    }

    /// Those that are due.
    pub fn due(&mut self, now: Now) -> Vec<usize> {
        let is_due = |listener: &mut Listener| listener.again_at.take_if(|at| now.mono_ms >= *at).is_some();
        self.0.iter_mut().enumerate().filter_map(|(index, listener)| is_due(listener).then_some(index)).collect()
    }
}

/// Sets what Linux hands on to every connection that is accepted here: whoever is gone without a word is noticed.
fn keep_alive(socket: &TcpListener, port: Port) -> Result<(), rustix::io::Errno> {
    sockopt::set_socket_keepalive(socket, true)?;
    sockopt::set_tcp_keepidle(socket, SILENCE)?;
    sockopt::set_tcp_keepintvl(socket, PROBE)?;
    sockopt::set_tcp_keepcnt(socket, PROBES)?;
    sockopt::set_tcp_user_timeout(socket, UNACKNOWLEDGED_MS)?;
    // The status port's answers are larger and its clients fewer: there the system may choose.
    if let Port::Stratum { .. } = port {
        sockopt::set_socket_recv_buffer_size(socket, RECEIVE_BUFFER)?;
        sockopt::set_socket_send_buffer_size(socket, SEND_BUFFER)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::Poll;

    #[test]
    fn an_address_that_can_not_be_listened_on_is_told_with_its_place_and_what_to_do() {
        let poll = Poll::new().unwrap();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let refused = |address: SocketAddr, port: Port| {
            let opened = Listeners::default().open(address, port, &mut Sockets::default(), poll.registry());
            opened.unwrap_err().to_string()
        };
        let said = refused(taken.local_addr().unwrap(), Port::Rpc);
        assert!(said.starts_with("rpc.listen: can't listen on 127.0.0.1:"), "{said}");
        assert!(said.ends_with("is another edgepool running?"), "{said}");
        // An address that is kept for documentation (RFC 5737): nobody has it.
        let said = refused("192.0.2.1:3333".parse().unwrap(), Port::Stratum { pool: 1, port: 0 });
        assert!(said.starts_with("pools[1].stratum.listen: can't listen on 192.0.2.1:3333: "), "{said}");
        assert!(said.contains("does not have the address") && !said.contains("another edgepool"), "{said}");
    }

    #[test]
    fn connections_are_watched_for_life_and_come_so_many_at_a_time() {
        let poll = Poll::new().unwrap();
        let mut listeners = Listeners::default();
        let stratum = Port::Stratum { pool: 0, port: 0 };
        listeners.open("127.0.0.1:0".parse().unwrap(), stratum, &mut Sockets::default(), poll.registry()).unwrap();
        let address = listeners.address(|_| true).unwrap();
        let _rigs = [(); 2].map(|()| std::net::TcpStream::connect(address).unwrap());
        let now = |mono_ms| Now { mono_ms, wall_ms: 0 };

        assert!(listeners.due(now(5)).is_empty());
        listeners.wake(0, now(5));
        assert_eq!((listeners.next_at().min(), listeners.due(now(5))), (Some(5), vec![0]));
        let (socket, ..) = listeners.accept(0, now(5)).unwrap();
        assert!(sockopt::socket_keepalive(&socket).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&socket).unwrap(), SILENCE);
        assert_eq!(sockopt::tcp_keepintvl(&socket).unwrap(), PROBE);
        assert_eq!(sockopt::tcp_keepcnt(&socket).unwrap(), PROBES);
        assert_eq!(sockopt::tcp_user_timeout(&socket).unwrap(), UNACKNOWLEDGED_MS);
        // Linux doubles what is asked for, for its own use.
        assert_eq!(sockopt::socket_recv_buffer_size(&socket).unwrap(), 2 * RECEIVE_BUFFER);
        assert!(listeners.accept(0, now(5)).is_some());
        assert!(listeners.accept(0, now(5)).is_none());
    }
}
