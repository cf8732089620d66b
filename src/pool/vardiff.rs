//! VARDIFF: fits the difficulty of one connection to its rig, so that shares arrive near the target
//! interval whatever the hashrate. A pure estimator over the shares it is told of.
//!
//! Shares of an honest rig are a Poisson process. With n shares expected to be k, the difficulty is left
//! alone while n is within what chance explains, k ± Z·√n; outside of it the rig's rate is known well
//! enough to act. A rig a thousand times too fast is recognised after a few shares, one that is 10 % off
//! never: that is good enough, and each change costs the rig a restart of its work.

use crate::coin::difficulty::Difficulty;

use super::spec::VardiffSpec;

/// Standard deviations that chance may explain. The test is repeated at every share, hence more than the
/// usual two.
const Z: f64 = 3.0;
/// Shares before a rig is judged too fast.
const MIN_SHARES: f64 = 4.0;
/// Silence of this many target intervals is judged too slow: chance explains it once in 400.
const SILENT_INTERVALS: f64 = 6.0;
/// One change multiplies or divides by at most this.
const LARGEST_STEP: f64 = 64.0;
/// A change smaller than this ratio is not worth a rig's restart.
const SMALLEST_STEP: f64 = 1.4;
/// The observation is halved after this many target intervals, so that the past fades.
const MEMORY_INTERVALS: f64 = 80.0;

/// The difficulty of one connection and what was observed since it was last changed.
#[derive(Clone, Debug)]
pub struct Vardiff {
    difficulty: Difficulty,
    floor: Difficulty,
    since_ms: u64,
    /// Work of the shares that count, in shares of the present difficulty.
    shares: f64,
}

impl Vardiff {
    /// Starts at the configured difficulty.
    pub fn new(spec: &VardiffSpec, mono_ms: u64) -> Vardiff {
        let difficulty = spec.start.clamp(spec.min, spec.max);
        Vardiff { difficulty, floor: spec.min, since_ms: mono_ms, shares: 0.0 }
    }

    /// What new jobs are sent with.
    pub fn difficulty(&self) -> Difficulty {
        self.difficulty
    }

    /// Goes to the difficulty that a rig asked for, within the pool's bounds. `lasting`: also the least
    /// it is ever given (`d=` in the password).
    pub fn suggest(&mut self, wanted: Difficulty, lasting: bool, spec: &VardiffSpec, mono_ms: u64) {
        let wanted = wanted.clamp(spec.min, spec.max);
        if lasting {
            self.floor = wanted;
        }
        self.change(wanted.max(self.floor), mono_ms);
    }

    /// Notes an accepted share that was mined at difficulty `at`, then judges. Shares of jobs that were
    /// sent with an earlier difficulty count for the work that they are. Answers the new difficulty when
    /// it changed.
    pub fn handle_share(&mut self, at: Difficulty, spec: &VardiffSpec, mono_ms: u64) -> Option<Difficulty> {
        self.shares += at.units() as f64 / self.difficulty.units() as f64;
        self.judge(spec, mono_ms)
    }

    /// Judges as time passes, so that a rig that fell silent is not forgotten.
    pub fn handle_timeout(&mut self, spec: &VardiffSpec, mono_ms: u64) -> Option<Difficulty> {
        self.judge(spec, mono_ms)
    }

    fn judge(&mut self, spec: &VardiffSpec, mono_ms: u64) -> Option<Difficulty> {
        let elapsed = mono_ms.saturating_sub(self.since_ms).max(1) as f64;
        let expected = elapsed / spec.target_share_ms as f64;
        let margin = Z * self.shares.sqrt();
        let too_fast = self.shares >= MIN_SHARES && self.shares - margin > expected;
        let too_slow = expected > SILENT_INTERVALS && self.shares + margin < expected;
        if !too_fast && !too_slow {
            if expected > MEMORY_INTERVALS {
                self.since_ms += (elapsed / 2.0) as u64;
                self.shares /= 2.0;
            }
            return None;
        }
        // Half a share stands for none at all: silence says "slower", not "infinitely slow".
        let ratio = (self.shares.max(0.5) / expected).clamp(1.0 / LARGEST_STEP, LARGEST_STEP);
        if (1.0 / SMALLEST_STEP..SMALLEST_STEP).contains(&ratio) {
            return None;
        }
        let wanted = round(self.difficulty.units() as f64 * ratio).clamp(spec.min, spec.max).max(self.floor);
        if wanted == self.difficulty {
            // Held by a bound: the observation must not grow without end.
            self.since_ms = mono_ms;
            self.shares = 0.0;
            return None;
        }
        self.change(wanted, mono_ms);
        Some(wanted)
    }

    fn change(&mut self, difficulty: Difficulty, mono_ms: u64) {
        self.difficulty = difficulty;
        self.since_ms = mono_ms;
        self.shares = 0.0;
    }
}

/// The nearest of 1, 1.25, 1.5, 1.75 times a power of two: short numbers that every rig reads alike.
fn round(units: f64) -> Difficulty {
    let power = 2f64.powf(units.max(1.0).log2().floor());
    let quarters = (units.max(1.0) / power * 4.0).round() / 4.0;
    Difficulty::from_units(((power * quarters) as u64).max(1)).expect("at least one unit")
}

#[cfg(test)]
mod tests;
