//! Tests with real parts: Debian's litecoind on regtest, the edgepool binary as it ships, and a miner over real TCP
//! that shares no code with edgepool. They are one test binary so that every part below is used by it.
//!
//! Needs litecoind (`apt install litecoind`); nothing here stands in for it.

#![cfg(feature = "shell")]

mod child;
mod http;
mod litecoind;
mod miner;
mod place;
mod pool;
#[path = "../program/mod.rs"]
mod program;
mod transactions;

mod blocks;
mod books;
mod coinbases;
mod crash;
mod hard_life;
mod harness;
mod merged;
mod mistakes;
mod outages;
mod payments;
mod reorganisations;
mod status;
