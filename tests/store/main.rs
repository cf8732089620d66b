//! The ledger on a real disk: what was committed is there again, whole, after anything.

#![cfg(feature = "shell")]

mod commits;
mod crash;
mod damage;
mod migration;
mod scene;
