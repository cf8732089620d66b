//! Measurements that the README's figures come from. They use the real parts on a real disk and print what they
//! found; nothing here is used by a running pool.

pub mod hot;
pub mod ledger;
pub mod load;
mod shares;
mod system;
pub mod vardiff;
mod year;
