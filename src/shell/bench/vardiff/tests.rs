//! What VARDIFF must reach, over fewer seeds than the benchmark.

use super::*;

const OPTIONS: Options = Options { seeds: 12, target_share_s: 15 };

fn outcomes(kind: Kind, options: &Options) -> Vec<Outcome> {
    let spec = spec(options);
    (0..options.seeds).map(|seed| kind.outcome(&spec, seed)).collect()
}

#[track_caller]
fn settles(kind: Kind, within_s: f64, options: &Options) {
    let all = outcomes(kind, options);
    for (seed, outcome) in all.iter().enumerate() {
        let settled = outcome.settled_ms.unwrap_or(f64::INFINITY) / 1_000.0;
        assert!(settled < within_s, "{kind}, seed {seed}: settled after {settled} s");
    }
    let summary = Summary::of(&all);
    assert!(summary.changes.mean < 6.0, "{kind}: {} changes an hour", summary.changes.mean);
    assert!(summary.error.median < 0.1, "{kind}: the rate is {} off", summary.error.median);
}

#[test]
fn every_rig_is_settled_in_three_minutes_and_then_left_in_peace() {
    for decade in 3..=13 {
        settles(Kind::ColdScrypt(10f64.powi(decade)), 180.0, &OPTIONS);
    }
    for decade in 6..=15 {
        settles(Kind::ColdSha256d(10f64.powi(decade)), 180.0, &Options { seeds: 4, ..OPTIONS });
    }
}

#[test]
fn the_target_may_be_any() {
    for target_share_s in [1, 5, 60, 600] {
        settles(Kind::ColdScrypt(5e8), 180.0, &Options { seeds: 6, target_share_s });
    }
}

#[test]
fn a_rig_that_changes_is_followed() {
    settles(Kind::Changed(10.0), 180.0, &OPTIONS);
    settles(Kind::Changed(2.0), 1_800.0, &OPTIONS);
    settles(Kind::Changed(0.5), 3_600.0, &OPTIONS);
    settles(Kind::Changed(0.1), 900.0, &OPTIONS);
    settles(Kind::Silent, 180.0, &OPTIONS);
    settles(Kind::Returning, 1.0, &Options { seeds: 4, ..OPTIONS });
}

#[test]
fn a_rig_is_never_followed_up_and_down_with_its_luck() {
    let falls_and_rises = |trial: &Trial, from: f64| {
        let of = |difficulty: Difficulty| difficulty.as_f64();
        let history: Vec<f64> = trial.history().iter().filter(|(at, _)| *at >= from).map(|(_, d)| of(*d)).collect();
        history.windows(3).filter(|three| (three[1] > three[0]) != (three[2] > three[1])).count()
    };
    let mut turns = 0;
    for seed in 0..12 {
        let mut trial = Trial::begin(&spec(&OPTIONS), 500_000.0, None, seed);
        trial.run(12.0 * HOUR);
        turns += falls_and_rises(&trial, 300_000.0);
    }
    assert!(turns <= 12, "{turns} turns in 144 hours");
}

#[test]
fn silence_is_noticed() {
    for seed in 0..10 {
        let (first, last) = fall(&spec(&OPTIONS), seed).expect("the difficulty falls to the least");
        assert!(first < 240_000.0 && last < 360_000.0, "seed {seed}: {first}, {last}");
    }
}

#[test]
fn the_table_shows_every_kind() {
    let mut out = Vec::new();
    run(&Options { seeds: 1, ..OPTIONS }, &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    for row in ["scrypt 1 kH/s ", "scrypt 10 TH/s ", "sha256d 1 PH/s ", "2 times as fast ", "connects again "] {
        assert_eq!(text.lines().filter(|line| line.starts_with(row)).count(), 1, "{row}:\n{text}");
    }
}
