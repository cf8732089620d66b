//! The languages spoken on sockets: lines, stratum, HTTP, JSON-RPC, and the client side of a coin node.
//!
//! Bytes in, values out, and back. Nothing here opens a socket, asks for the time or knows of pools, jobs
//! and coins; everything that is read has a bound, and hostile bytes become an error value.

pub mod http;
pub mod jsonrpc;
pub mod line;
pub mod node_link;
pub mod stratum;
