//! A simulation of the whole core in a world made of one seed: a parent chain and one that is merge-mined with it, each
//! with a network that changes its mind, nodes and a wallet; a disk and rigs that fail in every known way, and a process
//! that dies between any two steps. An oracle that calls none of the pool's code for work or money keeps its own books
//! of both chains and demands that they close to the unit.
//!
//! `EDGEPOOL_SEEDS=10000` runs so many seeds, `EDGEPOOL_SEED=17` one of them and tells each step.

mod books;
mod bytes;
mod chain;
mod day;
mod death;
#[path = "../pool_core/disk.rs"]
mod disk;
mod miner;
mod node;
mod oracle;
mod rule;
mod setup;
mod side;
mod sweep;
mod tree;
mod trouble;
mod wallet;
mod who;
mod world;
mod year;
