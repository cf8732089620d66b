//! The ledger on a real disk: what was committed is there again, whole, after anything.

#![cfg(feature = "shell")]

mod care;
mod commits;
mod crash;
mod damage;
mod migration;
#[path = "../program/mod.rs"]
mod program;
mod readers;
mod rot;
mod scene;
