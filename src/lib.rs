//! edgepool: a mining pool that fits on one board beside the rigs.
//!
//! The floors, each importing only from those above it in this list (a test holds that):
//!
//! - [`base`]: limits, time, generational slots, seeded chance, amounts.
//! - [`coin`]: per-coin parameters, targets, proof of work, addresses, coinbase, template, block.
//! - [`wire`]: line framing, stratum messages, HTTP and JSON-RPC, the client of a coin node.
//! - [`pool`]: jobs, judging, vardiff, sessions, the contribution window, the split, the ledger.
//! - [`face`]: what people and programs read: JSON-RPC methods, metrics, the status page.
//! - `shell` (feature `shell`): mio loop, LMDB store, configuration, command line, the demo.
//!
//! Everything but the shell is pure: bytes and time in, bytes and ledger records out.

#![forbid(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

pub mod base;
pub mod coin;
pub mod face;
pub mod pool;
#[cfg(feature = "shell")]
pub mod shell;
pub mod wire;
