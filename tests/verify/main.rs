//! `edgepool ledger verify` finds what is planted: a true ledger is copied, one thing in it is changed, and the place
//! of the change must be named.

#![cfg(feature = "shell")]

mod chain;
mod consistent;
mod keeper;
mod live;
mod merged;
mod merged_chain;
mod merged_keeper;
mod place;
mod raw;
mod rebuild;
mod sharing;
mod wallet;
