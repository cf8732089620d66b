use super::*;

const SPEC: GuardSpec = GuardSpec { max_per_address: 2, max_requests_per_second: 100, ban_ms: 10 * MINUTE };

fn at(mono_ms: u64) -> Now {
    Now { mono_ms, wall_ms: 0 }
}

fn origin(text: &str) -> Origin {
    Origin::from(text.parse::<IpAddr>().unwrap())
}

/// `invalid` shares in the minute `minute`.
fn flood(guard: &mut Guard, from: Origin, minute: u64, invalid: u32) {
    for _ in 0..invalid {
        guard.note(from, Outcome::Invalid, false, at(minute * MINUTE));
    }
}

#[test]
fn an_ipv6_host_is_its_network_and_a_mapped_ipv4_host_is_itself() {
    assert_eq!(origin("2001:db8:1:2:3:4:5:6"), origin("2001:db8:1:2::9"));
    assert_ne!(origin("2001:db8:1:2::9"), origin("2001:db8:1:3::9"));
    assert_eq!(origin("::ffff:10.0.0.1"), origin("10.0.0.1"));
    assert_eq!(origin("2001:db8:1:2:3:4:5:6").to_string(), "2001:db8:1:2::/64");
    assert_eq!(origin("::ffff:10.0.0.1").to_string(), "10.0.0.1");
}

#[test]
fn an_address_has_so_many_connections_and_others_have_theirs() {
    let mut guard = Guard::default();
    let (one, other) = (origin("10.0.0.1"), origin("10.0.0.2"));
    assert_eq!(guard.admit(one, true, &SPEC, at(0)), Ok(()));
    assert_eq!(guard.admit(one, true, &SPEC, at(0)), Ok(()));
    assert_eq!(guard.admit(one, true, &SPEC, at(0)), Err(Denied::Crowded));
    assert_eq!(guard.admit(other, true, &SPEC, at(0)), Ok(()));
    assert_eq!(guard.admit(other, false, &SPEC, at(0)), Err(Denied::Full));
    guard.release(one);
    assert_eq!(guard.admit(one, true, &SPEC, at(0)), Ok(()));
    assert_eq!(guard.turned_away(), TurnedAway { full: 1, crowded: 1, ..TurnedAway::default() });
}

#[test]
fn nothing_is_kept_of_addresses_that_are_gone() {
    let mut guard = Guard::default();
    for number in 0..10_000u32 {
        let from = Origin::from(IpAddr::from(number.to_be_bytes()));
        guard.admit(from, true, &SPEC, at(0)).unwrap();
        guard.note(from, Outcome::Invalid, false, at(0));
        guard.release(from);
    }
    assert_eq!((guard.open.len(), guard.suspects.len()), (0, MOST_SUSPECTS));
    guard.sweep(at(2 * MINUTE));
    assert_eq!(guard.suspects.len(), 0);
}

#[test]
fn five_bad_minutes_on_end_are_a_flood_and_four_are_none() {
    let mut guard = Guard::default();
    let from = origin("10.0.0.1");
    for minute in 10..14 {
        flood(&mut guard, from, minute, 1_000);
    }
    flood(&mut guard, from, 14, 99);
    assert!(!guard.is_flood(from), "four whole minutes, and one with a share less than a bad one has");
    for minute in 15..20 {
        flood(&mut guard, from, minute, 100);
        assert!(!guard.is_flood(from), "minute {minute}");
    }
    flood(&mut guard, from, 20, 1);
    assert!(guard.is_flood(from), "five whole minutes");
}

#[test]
fn minutes_with_a_pause_between_them_are_not_on_end() {
    let mut guard = Guard::default();
    let from = origin("10.0.0.1");
    for minute in [0, 1, 2, 4, 5, 6, 8, 9, 10, 12] {
        flood(&mut guard, from, minute, 5_000);
        assert!(!guard.is_flood(from), "minute {minute}");
    }
}

#[test]
fn one_honest_share_a_minute_keeps_an_address_from_being_banned() {
    let mut guard = Guard::default();
    let from = origin("10.0.0.1");
    for minute in 0..30 {
        flood(&mut guard, from, minute, 5_000);
        guard.note(from, Outcome::Credited, true, at(minute * MINUTE));
        assert!(!guard.is_flood(from), "minute {minute}");
        assert!(!guard.is_wasteful(from), "minute {minute}");
    }
}

#[test]
fn a_flood_is_not_excused_by_the_few_shares_that_it_carries() {
    let mut guard = Guard::default();
    let from = origin("10.0.0.1");
    for minute in 0..=5 {
        flood(&mut guard, from, minute, 5_000);
        guard.note(from, Outcome::Credited, false, at(minute * MINUTE));
    }
    assert!(guard.is_flood(from));
}

#[test]
fn late_shares_are_read_slowly_when_there_is_nothing_else_and_are_never_a_flood() {
    let mut guard = Guard::default();
    let from = origin("10.0.0.1");
    for minute in 0..10 {
        for _ in 0..500 {
            guard.note(from, Outcome::Late, false, at(minute * MINUTE));
        }
        assert!(guard.is_wasteful(from) && !guard.is_flood(from), "minute {minute}");
    }
}

#[test]
fn a_ban_ends_by_itself_or_when_it_is_lifted() {
    let mut guard = Guard::default();
    let (one, other) = (origin("10.0.0.1"), origin("10.0.0.2"));
    guard.ban(one, None, &SPEC, at(1_000));
    assert_eq!(guard.admit(one, true, &SPEC, at(1_001)), Err(Denied::Banned { seconds: 600 }));
    assert_eq!(guard.admit(other, true, &SPEC, at(1_001)), Ok(()));
    assert_eq!(guard.admit(one, true, &SPEC, at(1_000 + 10 * MINUTE)), Ok(()));

    guard.ban(one, None, &SPEC, at(0));
    guard.ban(other, Some("x.rig".into()), &SPEC, at(0));
    let bans: Vec<Ban> = guard.bans(at(MINUTE)).collect();
    let ban = |origin, username| Ban { origin, username, seconds: 540 };
    assert_eq!(bans, [ban(one, None), ban(other, Some("x.rig".into()))]);
    assert_eq!(guard.lift(Some(one)), 1);
    assert_eq!(guard.admit(one, true, &SPEC, at(0)), Ok(()));
    assert_eq!(guard.lift(None), 1);
    assert_eq!(guard.bans(at(0)).count(), 0);
}

#[test]
fn a_banned_username_is_refused_at_its_address_alone_and_the_address_is_not() {
    let mut guard = Guard::default();
    let (one, other) = (origin("10.0.0.1"), origin("10.0.0.2"));
    guard.ban(one, Some("x.rig".into()), &SPEC, at(0));
    assert_eq!(guard.refused_for(one, "x.rig", at(1)), Some(600));
    assert_eq!(guard.refused_for(one, "x.other", at(1)), None);
    assert_eq!(guard.refused_for(other, "x.rig", at(1)), None);
    assert_eq!(guard.refused_for(one, "x.rig", at(10 * MINUTE)), None);
    assert_eq!(guard.admit(one, true, &SPEC, at(1)), Ok(()));
}

#[test]
fn bans_are_bounded_and_the_oldest_gives_way() {
    let mut guard = Guard::default();
    for number in 0..=MOST_BANS as u32 {
        guard.ban(Origin::from(IpAddr::from(number.to_be_bytes())), None, &SPEC, at(u64::from(number)));
    }
    assert_eq!(guard.bans(at(0)).count(), MOST_BANS);
    assert_eq!(guard.admit(origin("0.0.0.0"), true, &SPEC, at(0)), Ok(()));
    assert!(guard.admit(origin("0.0.0.1"), true, &SPEC, at(0)).is_err());
}

#[test]
fn no_ban_is_made_where_none_is_wanted() {
    let mut guard = Guard::default();
    let spec = GuardSpec { ban_ms: 0, ..SPEC };
    guard.ban(origin("10.0.0.1"), None, &spec, at(0));
    assert_eq!(guard.admit(origin("10.0.0.1"), true, &spec, at(0)), Ok(()));
}

#[test]
fn a_bucket_gives_two_seconds_at_once_and_then_its_rate() {
    let mut bucket = Bucket::default();
    let now = at(50_000);
    let taken = (0..).take_while(|_| {
        let is_ready = bucket.ready_at() <= now.mono_ms;
        bucket.take(100, now);
        is_ready
    });
    assert_eq!(taken.count(), 201);
    let ready_at = bucket.ready_at();
    assert_eq!(ready_at, 50_020, "two tokens are owed");
    assert!(bucket.ready_at() > 50_019);
    bucket.take(100, at(90_000));
    assert!(bucket.ready_at() < 90_000, "what was not used is not owed for ever, and not saved up either");
}

#[test]
fn the_log_is_told_so_much_and_no_more() {
    let mut guard = Guard::default();
    let loud = |guard: &mut Guard, now| (0..1_000).filter(|_| guard.log_level(now) == log::Level::Info).count();
    assert_eq!(loud(&mut guard, at(10_000)), 41);
    assert_eq!(loud(&mut guard, at(11_000)), 20);
}
