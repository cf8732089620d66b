//! What verifying found to be wrong, each with its exact place; and, apart from that, what it could not look at.

use std::fmt::Display;

/// Every difference, in the order of finding.
#[derive(Debug, Default)]
pub(in crate::shell::ledger) struct Faults {
    pool: String,
    list: Vec<Fault>,
    unchecked: Vec<String>,
}

#[derive(Debug)]
struct Fault {
    line: String,
    /// It may only be that the running pool has not written yet what the other side knows.
    may_pass: bool,
}

impl Faults {
    /// What follows is about this pool.
    pub(super) fn enter(&mut self, pool: &str) {
        self.pool = pool.to_string();
    }

    /// Something is wrong, and stays so.
    pub(super) fn add(&mut self, place: impl Display, what: impl Display) {
        self.list.push(Fault { line: format!("pool {}, {place}: {what}", self.pool), may_pass: false });
    }

    /// Something differs that may be about to change.
    pub(super) fn add_passing(&mut self, may_pass: bool, place: impl Display, what: impl Display) {
        self.list.push(Fault { line: format!("pool {}, {place}: {what}", self.pool), may_pass });
    }

    /// Something could not be compared, which says nothing of the ledger.
    pub(super) fn add_unchecked(&mut self, place: impl Display, why: impl Display) {
        self.unchecked.push(format!("pool {}, {place}: {why}", self.pool));
    }

    /// The same, of every pool.
    pub(super) fn add_unchecked_for_all_pools(&mut self, why: impl Display) {
        self.unchecked.push(why.to_string());
    }

    /// Whether nothing is wrong, as far as it could be looked at.
    pub(in crate::shell::ledger) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether another look may find nothing.
    pub(in crate::shell::ledger) fn may_pass(&self) -> bool {
        self.list.iter().all(|fault| fault.may_pass)
    }

    /// What is wrong, and what could not be checked.
    pub(in crate::shell::ledger) fn into_lines(self) -> (Vec<String>, Vec<String>) {
        (self.list.into_iter().map(|fault| fault.line).collect(), self.unchecked)
    }
}
