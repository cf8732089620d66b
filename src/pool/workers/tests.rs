//! Hashrates and the table of rigs.

use super::*;

#[test]
fn a_rate_is_right_from_the_first_minute_on_and_forgets() {
    // 100 units a second, in shares of 500 every 5 s.
    let mut rates = Rates::new(1_000);
    let mut now = 1_000;
    let close = |found: f64, expected: f64, within: f64| {
        assert!((found - expected).abs() <= within * expected, "{found} is not {expected}");
    };
    for count in 1..=4_000u64 {
        now += 5_000;
        rates.add(500, now);
        if count >= 12 {
            for rate in [rates.minute, rates.quarter, rates.day] {
                // Measured in the middle of an interval, where a share is neither new nor overdue.
                close(rate.per_second(now + 2_500), 100.0, 0.06);
            }
        }
    }
    assert!(rates.minute.per_second(now + 600_000) < 0.1);
    close(rates.day.per_second(now + 600_000), 100.0, 0.05);
}

#[test]
fn a_rate_of_nothing_is_nothing() {
    let rate = Rate::new(60_000, 5);
    assert_eq!(rate.per_second(5), 0.0);
    assert_eq!(rate.per_second(u64::MAX), 0.0);
}

#[test]
fn rigs_of_one_name_are_one_worker() {
    let mut workers = Workers::default();
    let first = workers.connect(1, "a", "cgminer/4", "10.0.0.1:1", 0);
    let again = workers.connect(1, "a", "cgminer/5", "10.0.0.2:1", 0);
    let other = workers.connect(2, "a", "x", "10.0.0.3:1", 0);
    assert_eq!(first, again);
    assert_ne!(first, other);
    assert_eq!(workers.get(first).unwrap().agent, "cgminer/5");
    if let Some(worker) = workers.get_mut(first) {
        worker.difficulty = "64".into();
    }
    workers.disconnect(first);
    assert!(workers.get(first).unwrap().is_online());
    assert_eq!(workers.get(first).unwrap().difficulty, "64");
    workers.disconnect(first);
    assert!(!workers.get(first).unwrap().is_online());
    assert_eq!(workers.get(first).unwrap().difficulty, "", "no difficulty is in force for a rig that is gone");
    workers.disconnect(first);
    assert_eq!(workers.iter().count(), 2);
}

#[test]
fn offline_rigs_leave_when_there_are_too_many() {
    let mut workers = Workers::default();
    let kept = workers.connect(1, "online", "", "", 0);
    let mut gone = Vec::new();
    for count in 1..CAPACITY {
        let key = workers.connect(1, &count.to_string(), "", "", 0);
        workers.disconnect(key);
        gone.push(key);
    }
    assert_eq!(workers.iter().count(), CAPACITY);
    let newcomer = workers.connect(2, "new", "", "", 0);
    assert_eq!(workers.iter().count(), 2);
    assert!(workers.get(kept).is_some() && workers.get(newcomer).is_some());
    assert!(gone.iter().all(|key| workers.get(*key).is_none()), "an old key finds no newcomer");
    // A rig that comes back is a new worker.
    assert_ne!(workers.connect(1, "1", "", "", 0), gone[0]);
}
