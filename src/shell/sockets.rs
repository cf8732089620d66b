//! Sockets that the service manager listens on for this program (`LISTEN_FDS`, see sd_listen_fds(3)). While the
//! program is stopped, connections wait in them, and none is refused. Never accepts any.

use std::io;
use std::net::{SocketAddr, TcpListener};

use listenfd::ListenFd;

/// See the module.
#[derive(Debug, Default)]
pub struct Sockets(Vec<(SocketAddr, TcpListener)>);

impl Sockets {
    /// Those that were passed to this process, if any; to be called once.
    pub fn inherit() -> Sockets {
        let mut passed = ListenFd::from_env();
        let mut sockets = Sockets::default();
        for index in 0..passed.len() {
            match passed.take_tcp_listener(index).and_then(adopt) {
                Ok(Some(socket)) => sockets.0.push(socket),
                Ok(None) => {}
                Err(error) => log::warn!("socket {index} of the service manager can't be used: {error}"),
            }
        }
        sockets
    }

    /// The one that listens on a configured address. Where all addresses are meant, that of IPv6 serves both.
    pub fn take(&mut self, address: SocketAddr) -> Option<TcpListener> {
        let is_meant = |socket: &SocketAddr| {
            let are_all = socket.ip().is_unspecified() && address.ip().is_unspecified();
            *socket == address || (are_all && socket.is_ipv6() && socket.port() == address.port())
        };
        let index = self.0.iter().position(|(socket, _)| is_meant(socket))?;
        Some(self.0.swap_remove(index).1)
    }

    /// Closes the others, whose connections nobody would take.
    pub fn close_rest(self) {
        for (address, _) in self.0 {
            log::warn!("the service manager listens on {address}, which is not configured: no rig is served there");
        }
    }
}

fn adopt(socket: Option<TcpListener>) -> io::Result<Option<(SocketAddr, TcpListener)>> {
    let Some(socket) = socket else { return Ok(None) };
    socket.set_nonblocking(true)?;
    Ok(Some((socket.local_addr()?, socket)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_taken_by_the_address_it_listens_on_and_once() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let mut sockets = Sockets(vec![(address, socket)]);
        let other = SocketAddr::from(([127, 0, 0, 2], address.port()));
        assert!(sockets.take(other).is_none());
        assert_eq!(sockets.take(address).unwrap().local_addr().unwrap(), address);
        assert!(sockets.take(address).is_none());
    }

    #[test]
    fn one_for_all_addresses_serves_both_kinds() {
        for (listens, configured, serves) in [
            ("[::]:0", "0.0.0.0", true),
            ("[::]:0", "::", true),
            ("0.0.0.0:0", "::", false),
            ("[::]:0", "127.0.0.1", false),
        ] {
            // A board without IPv6 has no such socket.
            let Ok(socket) = TcpListener::bind(listens) else { continue };
            let address = socket.local_addr().unwrap();
            let mut sockets = Sockets(vec![(address, socket)]);
            let wanted = SocketAddr::new(configured.parse().unwrap(), address.port());
            assert_eq!(sockets.take(wanted).is_some(), serves, "{listens} for {configured}");
        }
    }
}
