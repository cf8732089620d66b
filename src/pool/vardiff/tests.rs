//! One connection at a time, with shares that come as told. How it fares with rigs that are subject to chance
//! is simulated by `edgepool bench vardiff` and its tests.

use proptest::prelude::*;

use super::*;

const TARGET_MS: u64 = 15_000;

fn difficulty(value: f64) -> Difficulty {
    Difficulty::from_f64(value).unwrap()
}

fn spec() -> VardiffSpec {
    VardiffSpec { start: difficulty(64.0), min: difficulty(0.0001), max: difficulty(1e11), target_share_ms: TARGET_MS }
}

/// A connection and its time; shares come exactly when a rig finds them on average.
struct Link {
    vardiff: Vardiff,
    spec: VardiffSpec,
    now: u64,
    /// Difficulty that is worked off, in units.
    done: f64,
    changes: Vec<Difficulty>,
}

impl Link {
    fn new(spec: VardiffSpec) -> Link {
        Link { vardiff: Vardiff::new(&spec, 0), spec, now: 0, done: 0.0, changes: Vec::new() }
    }

    /// A rig that `fit` would suit works for so long; `None` for silence.
    fn run(&mut self, fit: Option<f64>, span_ms: u64) {
        let pace = fit.map_or(0.0, |fit| fit * 65_536.0 / self.spec.target_share_ms as f64);
        for _ in 0..span_ms / 10 {
            self.now += 10;
            // What was done for a harder share is no part of an easier one.
            self.done = self.done.min(self.vardiff.difficulty().units() as f64) + pace * 10.0;
            while self.done >= self.vardiff.difficulty().units() as f64 {
                let at = self.vardiff.difficulty();
                self.done -= at.units() as f64;
                let changed = self.vardiff.handle_share(at, &self.spec, self.now);
                self.note(changed);
            }
            if self.now.is_multiple_of(1_000) {
                let changed = self.vardiff.handle_timeout(&self.spec, self.now);
                self.note(changed);
            }
        }
    }

    fn note(&mut self, changed: Option<Difficulty>) {
        if let Some(changed) = changed {
            assert_eq!(changed, self.vardiff.difficulty());
            self.changes.push(changed);
        }
    }

    #[track_caller]
    fn fits(&self, fit: f64) {
        let found = self.vardiff.difficulty().as_f64() / fit;
        assert!((0.97..1.03).contains(&found), "{found} times what fits, after {:?}", self.changes);
    }
}

fn fitted(fit: f64) -> Link {
    let mut link = Link::new(spec());
    link.run(Some(fit), 170_000);
    link.fits(fit);
    link.changes.clear();
    link
}

#[test]
fn a_rig_is_measured_with_easy_shares_and_then_fitted() {
    let mut link = Link::new(spec());
    link.run(Some(1_000.0), 60_000);
    assert_eq!(link.vardiff.fitted(&link.spec), None);
    assert!(link.vardiff.difficulty().as_f64() < 100.0, "ten times as many shares as are wanted");
    link.run(Some(1_000.0), 110_000);
    link.fits(1_000.0);
    assert_eq!(link.vardiff.fitted(&link.spec), Some(link.vardiff.difficulty()));
    link.changes.clear();
    link.run(Some(1_000.0), 7_200_000);
    assert_eq!(link.changes, []);
}

#[test]
fn another_hashrate_is_noticed_and_measured() {
    for (factor, within_min) in [(0.1, 8), (0.5, 20), (0.7, 60), (1.35, 60), (2.0, 10), (50.0, 4)] {
        let mut link = fitted(1_000.0);
        link.run(Some(1_000.0 * factor), within_min * 60_000);
        link.fits(1_000.0 * factor);
        let left = link.changes.len();
        link.run(Some(1_000.0 * factor), 3_600_000);
        assert_eq!(link.changes.len(), left, "{factor}");
    }
}

#[test]
fn silence_brings_the_difficulty_down_to_the_least_and_no_further() {
    let mut link = Link::new(spec());
    link.run(None, 60_000);
    assert!(link.changes.is_sorted_by(|before, after| before > after), "{:?}", link.changes);
    assert_eq!(link.changes.last(), Some(&spec().min));
    let mut link = fitted(1_000.0);
    link.run(None, 3_600_000);
    assert!(link.changes.is_sorted_by(|before, after| before > after), "{:?}", link.changes);
    assert_eq!(link.changes.last(), Some(&spec().min));
    // When it is back it is measured as if there had been no silence.
    link.run(Some(1_000.0), 170_000);
    link.fits(1_000.0);
}

#[test]
fn time_without_a_job_is_no_silence() {
    let mut links = [Link::new(spec()), fitted(64.0)];
    for link in &mut links {
        let before = link.vardiff.difficulty();
        for _ in 0..600 {
            link.now += 1_000;
            link.vardiff.wait(link.now);
            assert_eq!(link.vardiff.handle_timeout(&link.spec, link.now), None);
        }
        assert_eq!(link.vardiff.difficulty(), before);
    }
}

#[test]
fn a_password_names_where_it_starts_and_what_it_never_falls_below() {
    let mut link = Link::new(spec());
    link.vardiff.suggest(difficulty(512.0), true, &spec(), 0);
    assert_eq!(link.vardiff.difficulty(), difficulty(512.0));
    link.run(None, 3_600_000);
    link.run(Some(5.0), 3_600_000);
    assert_eq!(link.changes, [], "neither silence nor a slow rig lowers it");
    link.vardiff.suggest(difficulty(1.0), false, &spec(), link.now);
    assert_eq!(link.vardiff.difficulty(), difficulty(512.0));
    link.run(Some(4_000.0), 600_000);
    link.fits(4_000.0);
}

#[test]
fn a_wish_is_granted_until_shares_prove_it_wrong() {
    let mut link = Link::new(spec());
    link.vardiff.suggest(difficulty(1_000.0), false, &spec(), 0);
    link.run(Some(1_000.0), 3_600_000);
    assert_eq!((link.vardiff.difficulty(), link.changes.len()), (difficulty(1_000.0), 0));
    assert_eq!(link.vardiff.fitted(&spec()), None, "what it wished for is not what suits it");
    link.vardiff.suggest(difficulty(2.0), false, &spec(), link.now);
    assert_eq!(link.vardiff.difficulty(), difficulty(2.0));
    link.run(Some(1_000.0), 170_000);
    link.fits(1_000.0);
    // Who was measured is known better than by what it wishes.
    let measured = link.vardiff.difficulty();
    link.vardiff.suggest(difficulty(2.0), false, &spec(), link.now);
    assert_eq!(link.vardiff.difficulty(), measured);
}

#[test]
fn who_comes_back_starts_where_it_was() {
    let mut link = Link::new(spec());
    link.vardiff.start(Some(difficulty(1_000.0)), &spec(), 0);
    assert_eq!(link.vardiff.fitted(&spec()), Some(difficulty(1_000.0)));
    link.run(Some(1_000.0), 3_600_000);
    assert_eq!((link.vardiff.difficulty(), link.changes.len()), (difficulty(1_000.0), 0));
    // One that has changed meanwhile is found out sooner than one that changes later.
    let noticed = |mut link: Link| {
        let start = link.now;
        while link.changes.is_empty() {
            link.run(Some(250.0), 1_000);
        }
        link.now - start
    };
    let mut returned = Link::new(spec());
    returned.vardiff.start(Some(difficulty(1_000.0)), &spec(), 0);
    assert!(noticed(returned) * 3 < noticed(fitted(1_000.0)) * 2);
}

#[test]
fn the_network_caps_a_difficulty_without_being_taken_for_a_slow_rig() {
    let mut link = fitted(1_000.0);
    let suits = link.vardiff.difficulty();
    link.vardiff.limit(difficulty(10.0), &spec());
    assert_eq!(link.vardiff.difficulty(), difficulty(10.0));
    link.run(Some(1_000.0), 3_600_000);
    assert_eq!((link.vardiff.difficulty(), link.changes.len()), (difficulty(10.0), 0));
    assert_eq!(link.vardiff.fitted(&spec()), Some(suits));
    link.vardiff.limit(difficulty(1e6), &spec());
    assert_eq!(link.vardiff.difficulty(), suits);
    // Also while it is measured, and while it is looked for.
    let mut link = Link::new(spec());
    link.vardiff.limit(difficulty(0.5), &spec());
    assert_eq!(link.vardiff.difficulty(), difficulty(0.5));
    link.run(Some(1_000.0), 60_000);
    assert_eq!(link.vardiff.difficulty(), difficulty(0.5));
    link.vardiff.limit(difficulty(1e6), &spec());
    link.fits(1_000.0);
}

#[test]
fn shares_of_older_jobs_count_for_the_work_that_they_are() {
    // Shares found at the old, lower difficulty keep coming for a while after a change: no ratchet.
    let mut vardiff = Vardiff::new(&spec(), 0);
    for count in 0..60 {
        assert_eq!(vardiff.handle_share(difficulty(0.1), &spec(), count * 20), None);
    }
    let mut link = fitted(1_000.0);
    for count in 0..200 {
        assert_eq!(link.vardiff.handle_share(difficulty(1.0), &spec(), link.now + count * 20), None);
    }
}

#[test]
fn difficulties_are_short_and_near() {
    for (units, expected) in [
        (0.0, 1),
        (0.4, 1),
        (1.0, 1),
        (63.4, 63),
        (127.4, 127),
        (128.4, 128),
        (129.1, 130),
        (1e18, 999_799_117_276_250_112),
    ] {
        assert_eq!(round(units).units(), expected, "{units}");
    }
    assert_eq!(shortened(129).units(), 128);
    assert_eq!(shortened(u64::MAX).units(), 127 << 57);
    assert_eq!(round(f64::MAX).units(), 127 << 57);
}

/// What can happen to a connection.
#[derive(Clone, Debug)]
enum Event {
    Pass(u64),
    Shares(u8, u64),
    Wish(u64, bool),
    Network(u64),
    Back(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let units = || (0..50u32, 1..=u64::MAX).prop_map(|(shift, units)| (units >> shift).max(1));
    prop_oneof![
        (0..400_000u64).prop_map(Event::Pass),
        (1..=255u8, units()).prop_map(|(count, units)| Event::Shares(count, units)),
        (units(), any::<bool>()).prop_map(|(units, lasting)| Event::Wish(units, lasting)),
        units().prop_map(Event::Network),
        units().prop_map(Event::Back),
    ]
}

proptest! {
    #[test]
    fn nothing_leaves_the_bounds_and_all_is_printed_exactly(events in prop::collection::vec(event(), 1..60)) {
        let units = |units| Difficulty::from_units(units).unwrap();
        let spec = VardiffSpec { start: units(1 << 22), min: units(100), max: units(1 << 40), target_share_ms: TARGET_MS };
        let (mut vardiff, mut now, mut network) = (Vardiff::new(&spec, 0), 0, u64::MAX);
        for event in events {
            match event {
                Event::Pass(ms) => {
                    now += ms;
                    vardiff.handle_timeout(&spec, now);
                }
                Event::Shares(count, at) => {
                    for _ in 0..count {
                        now += 1;
                        vardiff.handle_share(units(at), &spec, now);
                    }
                }
                Event::Wish(wanted, lasting) => vardiff.suggest(units(wanted), lasting, &spec, now),
                Event::Back(remembered) => vardiff.start(Some(units(remembered)), &spec, now),
                Event::Network(difficulty) => {
                    network = difficulty;
                    vardiff.limit(units(difficulty), &spec);
                }
            }
            let found = vardiff.difficulty();
            prop_assert!(found.units() <= network);
            prop_assert!(found <= spec.max);
            // Only a network that is easier still takes it below the least.
            prop_assert!(found >= spec.min || network < 102, "{found} with {network}");
            let read: f64 = found.to_string().parse().unwrap();
            prop_assert_eq!(Difficulty::from_f64(read), Some(found));
        }
    }
}
