//! A rig and its connection under virtual time: shares are found as a Poisson process, everything takes a
//! while on the wire, and the pool's VARDIFF is told what the pool would tell it. What it announces is kept,
//! to be held against what only the trial knows: the hashrate.

use std::collections::VecDeque;

use crate::base::rng::Rng;
use crate::coin::difficulty::Difficulty;
use crate::pool::spec::VardiffSpec;
use crate::pool::vardiff::Vardiff;

/// Milliseconds in an hour.
pub(super) const HOUR: f64 = 3_600_000.0;
/// A rig sends no more than a thousand shares a second, however many it finds.
const LEAST_GAP_MS: f64 = 1.0;
/// What a way over the wire takes, up to, in milliseconds; a share that was found meanwhile is of the job before.
const LONGEST_WAY_MS: u64 = 250;
/// The pool looks after its connections this often.
const TICK_MS: f64 = 1_000.0;
/// Share intervals between these multiples of the target are near enough.
const BAND: std::ops::RangeInclusive<f64> = 0.75..=1.25;
/// A rig is settled where it stays in the band for so long.
const SETTLED_MS: f64 = 600_000.0;

/// See the module.
pub(super) struct Trial {
    spec: VardiffSpec,
    vardiff: Vardiff,
    rng: Rng,
    now: f64,
    /// Units of difficulty in a millisecond.
    pace: f64,
    way_ms: f64,
    /// What the rig mines at, and what is on its way to it.
    difficulty: Difficulty,
    announced: VecDeque<(f64, Difficulty)>,
    /// Shares on their way to the pool.
    found: VecDeque<(f64, Difficulty)>,
    next_found: f64,
    next_tick: f64,
    /// Each difficulty from when it was announced.
    history: Vec<(f64, Difficulty)>,
    arrivals: Vec<f64>,
}

/// How a rig fared between two moments.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// Milliseconds until it was settled; `None` if it never was.
    pub settled_ms: Option<f64>,
    /// Shares that came until then.
    pub shares: usize,
    /// Changes of difficulty in an hour from then on.
    pub changes_per_hour: f64,
    /// How far the rate of shares was off from then on, on average over time: a part of the target rate.
    pub error: f64,
}

impl Trial {
    /// A rig of so many units of difficulty in a millisecond has just authorised. `remembered`: what suited it
    /// when it was last here.
    pub(super) fn begin(spec: &VardiffSpec, pace: f64, remembered: Option<Difficulty>, seed: u64) -> Trial {
        let mut rng = Rng::new(seed);
        let way_ms = rng.below(LONGEST_WAY_MS) as f64;
        let next_tick = rng.below(TICK_MS as u64) as f64;
        let mut vardiff = Vardiff::new(spec, 0);
        vardiff.start(remembered, spec, 0);
        let difficulty = vardiff.difficulty();
        let mut trial = Trial {
            spec: spec.clone(),
            vardiff,
            rng,
            now: 0.0,
            pace,
            way_ms,
            difficulty,
            announced: VecDeque::new(),
            found: VecDeque::new(),
            next_found: 0.0,
            next_tick,
            history: vec![(0.0, difficulty)],
            arrivals: Vec::new(),
        };
        trial.search();
        trial
    }

    /// The rig works at another pace from now on; 0 for not at all.
    pub(super) fn set_pace(&mut self, pace: f64) {
        self.pace = pace;
        self.search();
    }

    /// The difficulty that the pool would remember the rig by.
    pub(super) fn fitted(&self) -> Option<Difficulty> {
        self.vardiff.fitted(&self.spec)
    }

    /// Every difficulty that was announced, with its moment.
    pub(super) fn history(&self) -> &[(f64, Difficulty)] {
        &self.history
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, span_ms: f64) {
        let end = self.now + span_ms;
        loop {
            let front = |queue: &VecDeque<(f64, Difficulty)>| queue.front().map_or(f64::INFINITY, |(at, _)| *at);
            let (told, arrives) = (front(&self.announced), front(&self.found));
            let next = self.next_found.min(self.next_tick).min(told).min(arrives);
            if next > end {
                break;
            }
            self.now = next;
            if next == told {
                // The chance of a share in the next moment doesn't depend on the past: it may be drawn anew.
                self.difficulty = self.announced.pop_front().map_or(self.difficulty, |(_, difficulty)| difficulty);
                self.search();
            } else if next == arrives {
                let at = self.found.pop_front().map_or(self.difficulty, |(_, at)| at);
                self.arrivals.push(next);
                let changed = self.vardiff.handle_share(at, &self.spec, next as u64);
                self.announce(changed);
            } else if next == self.next_found {
                self.found.push_back((next + self.way_ms, self.difficulty));
                self.search();
            } else {
                self.next_tick += TICK_MS;
                let changed = self.vardiff.handle_timeout(&self.spec, next as u64);
                self.announce(changed);
            }
        }
        self.now = end;
    }

    fn announce(&mut self, changed: Option<Difficulty>) {
        if let Some(difficulty) = changed {
            self.announced.push_back((self.now + self.way_ms, difficulty));
            self.history.push((self.now, difficulty));
        }
    }

    fn search(&mut self) {
        let mean = self.difficulty.units() as f64 / self.pace;
        self.next_found = self.now + self.rng.wait(mean).max(LEAST_GAP_MS);
    }

    /// How a rig of the present pace fared from `from` until now.
    pub(super) fn outcome(&self, from: f64) -> Outcome {
        let stays = self.stays(from);
        let settled = stays.iter().find_map(|stay| self.settles(stay, &stays));
        let Some(settled) = settled else {
            return Outcome { settled_ms: None, shares: 0, changes_per_hour: 0.0, error: 0.0 };
        };
        let steady = self.now - settled;
        let changes = self.history.iter().filter(|(at, _)| *at > settled).count();
        let since = stays.iter().filter(|stay| stay.to > settled);
        let error = since.map(|stay| (1.0 / stay.interval - 1.0).abs() * (stay.to - stay.from.max(settled)));
        Outcome {
            settled_ms: Some(settled - from),
            shares: self.arrivals.iter().filter(|at| (from..settled).contains(at)).count(),
            changes_per_hour: changes as f64 / (steady / HOUR),
            error: error.sum::<f64>() / steady,
        }
    }

    /// When the rig is settled, if that is with this stay.
    fn settles(&self, stay: &Stay, stays: &[Stay]) -> Option<f64> {
        let until = stay.from + SETTLED_MS;
        let stays_in = |other: &Stay| other.to <= stay.from || other.from >= until || BAND.contains(&other.interval);
        (until <= self.now && stays.iter().all(stays_in)).then_some(stay.from)
    }

    fn stays(&self, from: f64) -> Vec<Stay> {
        let target = self.pace * self.spec.target_share_ms as f64;
        let ends = self.history.iter().skip(1).map(|(at, _)| *at).chain([self.now]);
        let all = self.history.iter().zip(ends).map(|((at, difficulty), to)| Stay {
            from: at.max(from),
            to,
            interval: difficulty.units() as f64 / target,
        });
        all.filter(|stay| stay.to > from).collect()
    }
}

/// A time at one difficulty.
struct Stay {
    from: f64,
    to: f64,
    /// The mean interval between shares as a multiple of the target.
    interval: f64,
}
