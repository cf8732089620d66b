//! VARDIFF: fits the difficulty of one connection to its rig, so that shares arrive near the target
//! interval whatever the hashrate. A pure estimator over the shares it is told of; it never sends anything.
//!
//! Shares of an honest rig are a Poisson process, so what can be known after n shares is known to one part
//! in √n. A connection is therefore first measured with easy shares, three a second, until there are enough
//! of them to be sure of a quarter; then it is fitted once and watched: it is left alone until the
//! shares prove that the hashrate is another one, and then it is measured again. A rig is never followed
//! up and down with its luck, and each change costs it a restart of its work.

mod watch;

use serde::{Deserialize, Serialize};

use crate::coin::difficulty::Difficulty;

use super::spec::VardiffSpec;
use watch::{Alarm, Watch};

/// Time between two shares while a rig is measured, in milliseconds, unless the target is shorter.
const MEASURING_SHARE_MS: u64 = 300;
/// Shares that a rig is fitted by: chance puts them a quarter off once in 20,000 times.
const ENOUGH: f64 = 320.0;
/// After this long, in milliseconds, a rig is fitted by `FEW` shares, and after as long at one difficulty
/// by any.
const LONGEST_MS: u64 = 150_000;
const FEW: f64 = 100.0;
/// Shares within which a measurement that goes too slowly is made faster, and what too slowly is.
const AIMING: core::ops::Range<f64> = 24.0..200.0;
const SLOW: f64 = 0.75;
/// Shares that show that a rig is `FAR` too fast, and expected shares that show that it is as far too slow.
const FAR_SHARES: f64 = 8.0;
const FAR_EXPECTED: f64 = 12.0;
const FAR: f64 = 4.0;
/// One change during a measurement multiplies or divides by at most these: shares that came tell more than
/// those that didn't.
const LARGEST_RISE: f64 = 4_096.0;
const LARGEST_FALL: f64 = 16.0;
/// Binary digits of a difficulty: rounding is off by less than one part in a hundred, and the printed number
/// is short.
const DIGITS: u32 = 7;

/// The difficulty of one connection and what is known of its rig.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Vardiff {
    difficulty: Difficulty,
    floor: Difficulty,
    /// The network's difficulty, once it is known.
    ceiling: Option<Difficulty>,
    phase: Phase,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Phase {
    /// Finding out the hashrate, with shares that are easier than the target asks for.
    Measuring {
        /// When it began.
        from_ms: u64,
        /// When it began at the present difficulty.
        since_ms: u64,
        /// Work since then, in shares of the present difficulty.
        shares: f64,
    },
    /// Left alone as long as the shares agree.
    Fitted {
        /// The hashrate that is assumed, in units of difficulty in a millisecond.
        pace: f64,
        /// Whether it is known by the rig's own shares.
        is_proven: bool,
        /// Up to when time was counted.
        seen_ms: u64,
        watch: Watch,
    },
}

impl Vardiff {
    /// A rig of which nothing is known: starts at the configured difficulty.
    pub fn new(spec: &VardiffSpec, mono_ms: u64) -> Vardiff {
        let difficulty = spec.start.clamp(spec.min, spec.max);
        let phase = Phase::Measuring { from_ms: mono_ms, since_ms: mono_ms, shares: 0.0 };
        Vardiff { difficulty, floor: spec.min, ceiling: None, phase }
    }

    /// What new jobs are sent with: within the pool's bounds, and never above the network's difficulty.
    pub fn difficulty(&self) -> Difficulty {
        self.difficulty
    }

    /// The least that it is ever given.
    pub fn floor(&self) -> Difficulty {
        self.floor
    }

    /// The difficulty that suits the rig, as far as its own shares have shown, whatever the bounds. To be
    /// remembered for when the rig comes back.
    pub fn fitted(&self, spec: &VardiffSpec) -> Option<Difficulty> {
        match self.phase {
            Phase::Fitted { pace, is_proven: true, .. } => Some(round(pace * spec.target_share_ms as f64)),
            _ => None,
        }
    }

    /// The rig is about to get its first job. `remembered`: what suited it when it was last here.
    pub fn start(&mut self, remembered: Option<Difficulty>, spec: &VardiffSpec, mono_ms: u64) {
        self.wait(mono_ms);
        if let Some(remembered) = remembered {
            self.presume(remembered, true, spec, mono_ms);
        }
    }

    /// No share could be credited up to now: the time that passed says nothing of the rig.
    pub fn wait(&mut self, mono_ms: u64) {
        match &mut self.phase {
            Phase::Measuring { from_ms, since_ms, shares } => {
                (*from_ms, *since_ms, *shares) = (mono_ms, mono_ms, 0.0);
            }
            Phase::Fitted { seen_ms, .. } => *seen_ms = mono_ms,
        }
    }

    /// Goes to the difficulty that a rig asked for, within the pool's bounds, and stays there unless its
    /// shares say otherwise. `lasting`: that is also the least it is ever given (`d=` in the password). A wish
    /// that is not lasting tells nothing new of a rig that was measured.
    pub fn suggest(&mut self, wanted: Difficulty, lasting: bool, spec: &VardiffSpec, mono_ms: u64) {
        let wanted = wanted.clamp(spec.min, spec.max);
        if lasting {
            self.floor = wanted;
        }
        if self.fitted(spec).is_none() {
            self.presume(wanted, false, spec, mono_ms);
        } else {
            self.refit(spec);
        }
    }

    /// Keeps to the network's difficulty from now on: a share must never be harder than a block.
    pub fn limit(&mut self, network: Difficulty, spec: &VardiffSpec) {
        let ceiling = shortened(network.units());
        self.ceiling = Some(ceiling);
        match &mut self.phase {
            Phase::Measuring { shares, .. } if self.difficulty > ceiling => {
                *shares *= self.difficulty.units() as f64 / ceiling.units() as f64;
                self.difficulty = ceiling;
            }
            Phase::Measuring { .. } => {}
            Phase::Fitted { .. } => self.refit(spec),
        }
    }

    /// Notes an accepted share that was mined at difficulty `at`, then judges. Shares of jobs that were
    /// sent with an earlier difficulty count for the work that they are. Answers the new difficulty when
    /// it changed.
    pub fn handle_share(&mut self, at: Difficulty, spec: &VardiffSpec, mono_ms: u64) -> Option<Difficulty> {
        self.judge(at.units() as f64 / self.difficulty.units() as f64, spec, mono_ms)
    }

    /// Judges as time passes, so that a rig that fell silent is not forgotten.
    pub fn handle_timeout(&mut self, spec: &VardiffSpec, mono_ms: u64) -> Option<Difficulty> {
        self.judge(0.0, spec, mono_ms)
    }

    fn judge(&mut self, came: f64, spec: &VardiffSpec, mono_ms: u64) -> Option<Difficulty> {
        let before = self.difficulty;
        match &mut self.phase {
            Phase::Measuring { shares, .. } => {
                *shares += came;
                self.measure(spec, mono_ms);
            }
            Phase::Fitted { .. } => self.compare(came, spec, mono_ms),
        }
        (self.difficulty != before).then_some(self.difficulty)
    }

    fn measure(&mut self, spec: &VardiffSpec, mono_ms: u64) {
        let Phase::Measuring { from_ms, since_ms, shares } = self.phase else { return };
        let elapsed_ms = mono_ms.saturating_sub(since_ms).max(1);
        let whole_ms = mono_ms.saturating_sub(from_ms);
        let units = self.difficulty.units() as f64;
        let is_enough = shares >= ENOUGH
            || (shares >= FEW && whole_ms >= LONGEST_MS)
            || (shares >= 1.0 && elapsed_ms >= LONGEST_MS);
        if is_enough {
            return self.fit(shares * units / elapsed_ms as f64, spec, mono_ms);
        }
        let expected = elapsed_ms as f64 / measuring_ms(spec);
        let rate = shares / expected;
        if shares >= FAR_SHARES && rate > FAR {
            self.begin(units * rate.min(LARGEST_RISE), spec, mono_ms);
        } else if expected >= FAR_EXPECTED && rate < 1.0 / FAR {
            // As if the share that is waited for came now.
            self.begin(units * ((shares + 1.0) / expected).max(1.0 / LARGEST_FALL), spec, mono_ms);
        } else if AIMING.contains(&shares) && rate < SLOW {
            self.hasten(units * rate, spec, mono_ms);
        }
    }

    /// Measures anew at another difficulty.
    fn begin(&mut self, units: f64, spec: &VardiffSpec, mono_ms: u64) {
        let wanted = self.bounded(units, spec);
        let Phase::Measuring { from_ms, since_ms, shares } = &mut self.phase else { return };
        if wanted != self.difficulty {
            (*since_ms, *shares) = (mono_ms, 0.0);
            self.difficulty = wanted;
        } else if *shares < 1.0 {
            // Held by a bound it goes on there; but a silence tells nothing of what comes after it.
            (*from_ms, *since_ms, *shares) = (mono_ms, mono_ms, 0.0);
        }
    }

    /// Goes on at a lower difficulty: the same shares in as much less time tell the same.
    fn hasten(&mut self, units: f64, spec: &VardiffSpec, mono_ms: u64) {
        let wanted = self.bounded(units, spec);
        let Phase::Measuring { since_ms, .. } = &mut self.phase else { return };
        let elapsed_ms = mono_ms.saturating_sub(*since_ms) as f64;
        *since_ms =
            mono_ms.saturating_sub((elapsed_ms * wanted.units() as f64 / self.difficulty.units() as f64) as u64);
        self.difficulty = wanted;
    }

    fn compare(&mut self, came: f64, spec: &VardiffSpec, mono_ms: u64) {
        let Some((pace, alarm)) = self.watched(came, mono_ms) else { return };
        let pace = pace * alarm.ratio();
        if self.bounded(pace * spec.target_share_ms as f64, spec) == self.difficulty {
            // Held by a bound, which a measurement would only leave to come back.
            return self.fit(pace, spec, mono_ms);
        }
        self.phase = Phase::Measuring { from_ms: mono_ms, since_ms: mono_ms, shares: 0.0 };
        self.difficulty = self.bounded(pace * measuring_ms(spec), spec);
    }

    /// The assumed pace and what speaks against it, now that so many shares more have come.
    fn watched(&mut self, came: f64, mono_ms: u64) -> Option<(f64, Alarm)> {
        let Phase::Fitted { pace, seen_ms, watch, .. } = &mut self.phase else { return None };
        let expected = mono_ms.saturating_sub(*seen_ms) as f64 * *pace / self.difficulty.units() as f64;
        *seen_ms = mono_ms;
        watch.see(came, expected).map(|alarm| (*pace, alarm))
    }

    fn fit(&mut self, pace: f64, spec: &VardiffSpec, mono_ms: u64) {
        self.phase = Phase::Fitted { pace, is_proven: true, seen_ms: mono_ms, watch: Watch::new() };
        self.refit(spec);
    }

    fn presume(&mut self, wanted: Difficulty, is_proven: bool, spec: &VardiffSpec, mono_ms: u64) {
        let pace = wanted.units() as f64 / spec.target_share_ms as f64;
        self.phase = Phase::Fitted { pace, is_proven, seen_ms: mono_ms, watch: Watch::suspicious() };
        self.refit(spec);
    }

    /// Applies the bounds to what suits the rig.
    fn refit(&mut self, spec: &VardiffSpec) {
        if let Phase::Fitted { pace, .. } = self.phase {
            self.difficulty = self.bounded(pace * spec.target_share_ms as f64, spec);
        }
    }

    fn bounded(&self, units: f64, spec: &VardiffSpec) -> Difficulty {
        let wanted = round(units).clamp(spec.min, spec.max).max(self.floor);
        self.ceiling.map_or(wanted, |ceiling| wanted.min(ceiling))
    }
}

fn measuring_ms(spec: &VardiffSpec) -> f64 {
    spec.target_share_ms.min(MEASURING_SHARE_MS) as f64
}

/// The nearest short difficulty.
fn round(units: f64) -> Difficulty {
    let units = units.round() as u64;
    shortened(units.saturating_add((1 << excess(units)) / 2))
}

/// The next short difficulty that is not above.
fn shortened(units: u64) -> Difficulty {
    let excess = excess(units);
    Difficulty::from_units((units >> excess << excess).max(1)).expect("at least one unit")
}

/// Binary digits of a number of units that are too many.
fn excess(units: u64) -> u32 {
    (u64::BITS - units.leading_zeros()).saturating_sub(DIGITS)
}

#[cfg(test)]
mod tests;
