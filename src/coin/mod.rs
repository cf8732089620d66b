//! What differs between coins and what every coin shares: parameters, integer difficulty, proof of work,
//! addresses, coinbase, template and block. Knows nothing of connections, miners' messages or payouts, and never
//! decides who is paid.
//!
//! Hashes are kept in internal byte order ([`crate::base::Hash32`]); amounts are base units.

pub mod address;
pub mod auxblock;
pub mod auxpow;
pub mod block;
pub mod coinbase;
pub mod difficulty;
pub mod encode;
pub mod merkle;
pub mod params;
pub mod pow;
pub mod script;
pub mod template;
pub mod transaction;
pub mod uint;
