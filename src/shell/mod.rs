//! The shell: everything of edgepool that touches the world. Disk, sockets, clock, chance and the
//! command line are here, in thin wrappers around the pure floors below; no rule of the pool is.

pub mod config;
pub mod nearest;
pub mod secrets;
pub mod store;
