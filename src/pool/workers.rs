//! Workers: the rigs behind an address, by the name that they give, with their hashrates and counts. For
//! people to look at; no money depends on it, and it starts empty at every start.

use std::collections::BTreeMap;

use crate::base::slots::{Key, Slots};
use crate::coin::difficulty::Difficulty;

use super::record::MinerId;

/// Workers from which on those that are offline leave. The others are bounded by their connections.
const CAPACITY: usize = 8_192;

/// An exponentially decaying average of work done, for hashrates.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    span_ms: f64,
    value: f64,
    started_ms: u64,
    last_ms: u64,
}

impl Rate {
    /// An average that forgets with time constant `span_ms`.
    pub fn new(span_ms: u64, mono_ms: u64) -> Rate {
        Rate { span_ms: span_ms as f64, value: 0.0, started_ms: mono_ms, last_ms: mono_ms }
    }

    /// Adds work in difficulty units.
    pub fn add(&mut self, work: u64, mono_ms: u64) {
        self.value = self.value * self.decay(mono_ms) + work as f64;
        self.last_ms = mono_ms;
    }

    /// Difficulty units per second. Corrected for the time before the average began, so that it is right
    /// from the first minute on.
    pub fn per_second(&self, mono_ms: u64) -> f64 {
        let age = mono_ms.saturating_sub(self.started_ms).max(1_000) as f64;
        let filled = 1.0 - libm::exp(-age / self.span_ms);
        self.value * self.decay(mono_ms) / (self.span_ms / 1_000.0) / filled
    }

    fn decay(&self, mono_ms: u64) -> f64 {
        libm::exp(-(mono_ms.saturating_sub(self.last_ms) as f64) / self.span_ms)
    }
}

/// The three spans that people look at.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Over a minute.
    pub minute: Rate,
    /// Over a quarter of an hour.
    pub quarter: Rate,
    /// Over a day.
    pub day: Rate,
}

impl Rates {
    /// All three, empty.
    pub fn new(mono_ms: u64) -> Rates {
        let rate = |span_ms| Rate::new(span_ms, mono_ms);
        Rates { minute: rate(60_000), quarter: rate(900_000), day: rate(86_400_000) }
    }

    /// Adds work in difficulty units to all three.
    pub fn add(&mut self, work: u64, mono_ms: u64) {
        self.minute.add(work, mono_ms);
        self.quarter.add(work, mono_ms);
        self.day.add(work, mono_ms);
    }
}

/// Submissions by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Accepted shares.
    pub accepted: u64,
    /// Refused for any other reason than being stale.
    pub rejected: u64,
    /// Refused because the tip had moved or the job was gone.
    pub stale: u64,
    /// Answered `true` and not credited: they miss the difficulty of their job and meet a lower one announced since.
    pub uncredited: u64,
}

/// One rig.
#[derive(Clone, Debug)]
pub struct Worker {
    /// The address it works for.
    pub miner: MinerId,
    /// The name after the address; may be empty.
    pub name: String,
    /// Hashrates.
    pub rates: Rates,
    /// Submissions since the pool started.
    pub counts: Counts,
    /// The pool's time of the last accepted share, in milliseconds; 0 for none.
    pub last_share_ms: u64,
    /// What it called itself in `mining.subscribe`.
    pub agent: String,
    /// Where it connects from.
    pub peer: String,
    /// Difficulty in force, as text; empty when offline.
    pub difficulty: String,
    /// The difficulty that suited its rig when that was last measured: where the next connection starts.
    pub suited: Option<Difficulty>,
    sessions: u32,
}

impl Worker {
    /// Whether a connection is open for it.
    pub fn is_online(&self) -> bool {
        self.sessions > 0
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Workers {
    slots: Slots<Worker>,
    by_name: BTreeMap<(MinerId, String), Key>,
    /// Workers that were there after the last ones left.
    kept: usize,
}

impl Workers {
    /// Finds or makes the worker, and counts one more connection for it.
    pub fn connect(&mut self, miner: MinerId, name: &str, agent: &str, peer: &str, mono_ms: u64) -> Key {
        let index = (miner, name.to_string());
        let key = match self.by_name.get(&index) {
            Some(key) => *key,
            None => {
                self.make_room();
                let key = self.slots.insert(Worker {
                    miner,
                    name: name.to_string(),
                    rates: Rates::new(mono_ms),
                    counts: Counts::default(),
                    last_share_ms: 0,
                    agent: String::new(),
                    peer: String::new(),
                    difficulty: String::new(),
                    suited: None,
                    sessions: 0,
                });
                self.by_name.insert(index, key);
                key
            }
        };
        if let Some(worker) = self.slots.get_mut(key) {
            worker.sessions += 1;
            worker.agent = agent.to_string();
            worker.peer = peer.to_string();
        }
        key
    }

    /// One connection less.
    pub fn disconnect(&mut self, key: Key) {
        if let Some(worker) = self.slots.get_mut(key) {
            worker.sessions = worker.sessions.saturating_sub(1);
            if worker.sessions == 0 {
                worker.difficulty.clear();
            }
        }
    }

    /// One worker.
    pub fn get(&self, key: Key) -> Option<&Worker> {
        self.slots.get(key)
    }

    /// As [`Workers::get`], to count.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut Worker> {
        self.slots.get_mut(key)
    }

    /// Every worker, by miner and name.
    pub fn iter(&self) -> impl Iterator<Item = &Worker> {
        self.by_name.values().filter_map(|key| self.slots.get(*key))
    }

    fn make_room(&mut self) {
        // Where nearly all are online, not each newcomer has them all looked through.
        if self.slots.len() < CAPACITY.max(2 * self.kept) {
            return;
        }
        let offline: Vec<Key> =
            self.by_name.values().copied().filter(|key| self.slots.get(*key).is_some_and(|w| !w.is_online())).collect();
        for key in offline {
            self.slots.remove(key);
        }
        let slots = &self.slots;
        self.by_name.retain(|_, key| slots.get(*key).is_some());
        self.kept = self.slots.len();
    }
}

#[cfg(test)]
mod tests;
