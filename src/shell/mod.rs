//! The shell: everything of edgepool that touches the world. Disk, sockets, clock, chance and the
//! command line are here, in thin wrappers around the pure floors below; no rule of the pool is.

pub mod bench;
pub mod clock;
pub mod command_line;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod demo;
mod descriptors;
mod handover;
pub mod http_call;
pub mod ledger;
mod links;
mod listeners;
mod nearest;
mod peer;
mod rpc_port;
pub mod running_pool;
pub mod secrets;
mod service;
mod sockets;
pub mod store;
mod stream;
pub mod url;

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

/// Why the daemon does not start.
#[derive(Debug)]
pub enum StartError {
    /// The system refused something basic.
    Io(io::Error),
    /// An address can't be listened on.
    Listen {
        /// Which.
        address: SocketAddr,
        /// The JSON path of what says so in the configuration.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// The ledger can't be opened.
    Store(store::StoreError),
    /// The ledger can be read but not carried on.
    Ledger(String),
    /// The admin token can't be read or made.
    Token(String),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StartError::Io(error) => error.fmt(f),
            StartError::Listen { address, path, error } => {
                write!(f, "{path}: can't listen on {address}: {error}")?;
                match error.kind() {
                    ErrorKind::AddrInUse => f.write_str("; is another edgepool running?"),
                    ErrorKind::AddrNotAvailable => f.write_str(
                        "; this machine does not have the address: write one that it has, or 0.0.0.0 for all",
                    ),
                    ErrorKind::PermissionDenied => f.write_str(
                        "; a port below 1024 is root's: choose another, or let systemd open it (edgepool.socket)",
                    ),
                    _ => Ok(()),
                }
            }
            StartError::Store(error) => error.fmt(f),
            StartError::Ledger(what) => write!(f, "the ledger can't be carried on: {what}"),
            StartError::Token(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for StartError {}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> StartError {
        StartError::Io(error)
    }
}

impl From<store::StoreError> for StartError {
    fn from(error: store::StoreError) -> StartError {
        StartError::Store(error)
    }
}
