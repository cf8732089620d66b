//! Vardiff against simulated rigs whose shares arrive as a Poisson process.

use crate::base::rng::Rng;

use super::*;

const TARGET_MS: u64 = 15_000;
const HOUR: u64 = 3_600_000;

fn difficulty(value: f64) -> Difficulty {
    Difficulty::from_f64(value).unwrap()
}

fn spec() -> VardiffSpec {
    VardiffSpec { start: difficulty(64.0), min: difficulty(0.0001), max: difficulty(1e9), target_share_ms: TARGET_MS }
}

/// A rig and its connection, tended every second as the pool does.
struct Rig {
    vardiff: Vardiff,
    spec: VardiffSpec,
    rng: Rng,
    now: u64,
    /// Difficulty per millisecond.
    speed: f64,
    changes: u32,
    shares: u32,
}

impl Rig {
    /// A rig that would send one share per target interval at difficulty `fit`.
    fn new(fit: f64, spec: VardiffSpec, seed: u64) -> Rig {
        let vardiff = Vardiff::new(&spec, 0);
        Rig { vardiff, spec, rng: Rng::new(seed), now: 0, speed: fit / TARGET_MS as f64, changes: 0, shares: 0 }
    }

    fn run(&mut self, span_ms: u64) {
        let end = self.now + span_ms;
        // Forgetful arrivals may be drawn anew at each step: per step the chance of another share is the same.
        const STEP: u64 = 50;
        while self.now < end {
            let per_step = self.speed * STEP as f64 / self.vardiff.difficulty().as_f64();
            // Far too fast a rig is limited to what a wire carries.
            let mut chance = per_step.min(20.0);
            while chance > 0.0 {
                let drawn = self.rng.next_u64() as f64 / u64::MAX as f64;
                if drawn < 1.0 - (-chance.min(0.5)).exp() {
                    self.shares += 1;
                    let at = self.vardiff.difficulty();
                    let changed = self.vardiff.handle_share(at, &self.spec, self.now);
                    self.note(changed);
                }
                chance -= 0.5;
            }
            self.now += STEP;
            if self.now.is_multiple_of(1_000) {
                let changed = self.vardiff.handle_timeout(&self.spec, self.now);
                self.note(changed);
            }
        }
    }

    fn note(&mut self, changed: Option<Difficulty>) {
        if let Some(changed) = changed {
            assert_eq!(changed, self.vardiff.difficulty());
            assert!(changed >= self.spec.min && changed <= self.spec.max);
            self.changes += 1;
        }
    }

    /// How many times too fast the shares come.
    fn ratio(&self) -> f64 {
        self.speed * TARGET_MS as f64 / self.vardiff.difficulty().as_f64()
    }
}

#[test]
fn every_hashrate_is_fitted_from_the_same_start() {
    let mut settled = 0;
    let mut all = 0;
    for decade in -3..=8 {
        for seed in 0..8 {
            let mut rig = Rig::new(3.3 * 10f64.powi(decade), spec(), seed * 100 + (decade + 10) as u64);
            rig.run(HOUR);
            let ratio = rig.ratio();
            assert!((0.4..2.5).contains(&ratio), "decade {decade}, seed {seed}: {ratio}");
            all += 1;
            settled += u32::from((1.0 / 1.5..=1.5).contains(&ratio));
        }
    }
    assert!(settled * 100 >= all * 90, "{settled} of {all} are within a factor of 1.5 after an hour");
}

#[test]
fn a_steady_rig_is_left_in_peace() {
    let (mut changes, mut worst, seeds) = (0, 0, 60);
    for seed in 0..seeds {
        let mut rig = Rig::new(1_000.0, spec(), seed);
        rig.run(HOUR);
        rig.changes = 0;
        rig.run(HOUR);
        changes += rig.changes;
        worst = worst.max(rig.changes);
    }
    assert!(changes <= 2 * seeds as u32, "{changes} changes in {seeds} steady hours");
    assert!(worst <= 8, "{worst} changes in one steady hour");
}

#[test]
fn far_too_fast_a_rig_is_slowed_within_a_minute() {
    for seed in 0..10 {
        let mut rig = Rig::new(6.4e7, spec(), seed);
        rig.run(60_000);
        assert!(rig.ratio() < 30.0, "{}", rig.ratio());
        assert!(rig.shares < 600, "{} shares in the first minute", rig.shares);
    }
}

#[test]
fn twice_too_fast_means_twice_the_difficulty() {
    let spec = VardiffSpec { start: Difficulty::ONE, ..spec() };
    let mut vardiff = Vardiff::new(&spec, 0);
    let mut seen = Vec::new();
    for count in 1..400 {
        seen.extend(vardiff.handle_share(vardiff.difficulty(), &spec, count * TARGET_MS / 2));
        if !seen.is_empty() {
            break;
        }
    }
    assert_eq!(seen, [difficulty(2.0)]);
    // From there on a share comes in each interval, and nothing more is changed.
    let from = 400 * TARGET_MS;
    let mut vardiff = Vardiff::new(&VardiffSpec { start: difficulty(2.0), ..spec.clone() }, from);
    for count in 1..500 {
        assert_eq!(vardiff.handle_share(vardiff.difficulty(), &spec, from + count * TARGET_MS), None);
    }
}

#[test]
fn a_rig_that_slows_is_followed_down() {
    for seed in 0..20 {
        let mut rig = Rig::new(1_000.0, spec(), seed);
        rig.run(HOUR);
        rig.speed /= 20.0;
        rig.run(HOUR);
        assert!((0.4..2.5).contains(&rig.ratio()), "seed {seed}: {}", rig.ratio());
    }
}

#[test]
fn silence_brings_the_difficulty_down_to_the_floor_and_no_further() {
    let mut vardiff = Vardiff::new(&spec(), 0);
    let mut last = vardiff.difficulty();
    for second in 0..4 * 3_600 {
        if let Some(changed) = vardiff.handle_timeout(&spec(), second * 1_000) {
            assert!(changed < last);
            last = changed;
        }
    }
    assert_eq!(last, spec().min);

    // The floor that a rig asked for holds too.
    let mut vardiff = Vardiff::new(&spec(), 0);
    vardiff.suggest(difficulty(512.0), true, &spec(), 0);
    assert_eq!(vardiff.difficulty(), difficulty(512.0));
    for second in 0..3_600 {
        assert_eq!(vardiff.handle_timeout(&spec(), second * 1_000), None);
    }
    vardiff.suggest(difficulty(1.0), false, &spec(), HOUR);
    assert_eq!(vardiff.difficulty(), difficulty(512.0));
}

#[test]
fn nothing_leaves_the_bounds() {
    let narrow = VardiffSpec { start: difficulty(1e9), min: difficulty(10.0), max: difficulty(100.0), ..spec() };
    assert_eq!(Vardiff::new(&narrow, 0).difficulty(), narrow.max);
    for (fit, expected) in [(1e7, narrow.max), (0.01, narrow.min)] {
        let mut rig = Rig::new(fit, narrow.clone(), 1);
        rig.run(HOUR);
        assert_eq!(rig.vardiff.difficulty(), expected);
    }
    let mut vardiff = Vardiff::new(&narrow, 0);
    vardiff.suggest(difficulty(1e12), true, &narrow, 0);
    assert_eq!(vardiff.difficulty(), narrow.max);
    vardiff.suggest(difficulty(0.001), true, &narrow, 0);
    assert_eq!(vardiff.difficulty(), narrow.min);
}

#[test]
fn shares_of_older_jobs_count_for_the_work_that_they_are() {
    // Shares found at the old, lower difficulty keep coming for a while after a change: no ratchet.
    let spec = VardiffSpec { start: difficulty(64.0), ..spec() };
    let mut vardiff = Vardiff::new(&spec, 0);
    for count in 0..60 {
        assert_eq!(vardiff.handle_share(difficulty(1.0), &spec, count * 20), None);
    }
    assert_eq!(vardiff.difficulty(), difficulty(64.0));
}
