//! Tests with real parts: litecoind and bitcoind on regtest, the edgepool binary as it ships, and a miner over real TCP
//! that shares no code with edgepool. They are one test binary so that every part below is used by it.
//!
//! Needs litecoind (`apt install litecoind`); nothing here stands in for it. Debian 12 has no bitcoind: `tests/bitcoind`
//! unpacks one, and what needs it is skipped aloud where that can't be done. The nodes of merge-mined chains, dogecoind and
//! pepecoind, are asked where they are in PATH; Debian has neither, and the demo's chains take their place, said aloud.

#![cfg(feature = "shell")]

mod chain;
mod child;
mod http;
mod kind;
mod miner;
mod node;
mod place;
mod pool;
mod pour;
#[path = "../program/mod.rs"]
mod program;
mod proof_of_work;
mod rpc;
mod transactions;
mod visitor;

mod bitcoin;
mod blocks;
mod books;
mod child_payments;
mod coinbases;
mod crash;
mod hard_life;
mod harness;
mod merged;
mod mistakes;
mod outages;
mod payments;
mod pools;
mod reorganisations;
mod status;
