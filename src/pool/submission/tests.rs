//! What nodes answer to a block, and what is made of it.

use super::*;
use crate::base::display_hash;

const HEIGHT: u32 = 714;
const OURS: Hash32 = [7; 32];
const OTHER: Hash32 = [8; 32];

fn at(mono_ms: u64) -> Now {
    Now { mono_ms, wall_ms: 0 }
}

fn json(text: &str) -> Result<Box<RawValue>, LinkError> {
    Ok(RawValue::from_string(text.to_string()).unwrap())
}

fn rpc(code: i64) -> Result<Box<RawValue>, LinkError> {
    Err(LinkError::Rpc { code, message: "the node's words".into() })
}

fn hash(of: Hash32) -> Result<Box<RawValue>, LinkError> {
    json(&format!("{:?}", display_hash(&of)))
}

fn with_block() -> Submissions {
    let mut submissions = Submissions::default();
    submissions.add(OURS, HEIGHT, Some(Rc::from([0xab, 0xcd])), false, at(0));
    submissions
}

fn submit() -> Option<Next> {
    Some(Next::Submit("[\"abcd\"]".into()))
}

fn check() -> Option<Next> {
    Some(Next::Check("[714]".into()))
}

/// What follows an answer: the verdict, the next call, and when it is due.
type Outcome = (Option<BlockVerdict>, Option<Next>, u64);

#[track_caller]
fn continues(mut submissions: Submissions, event: Option<(Hash32, BlockVerdict)>, (verdict, next, due): Outcome) {
    assert_eq!(event, verdict.map(|verdict| (OURS, verdict)));
    assert_eq!(submissions.next_at(), due);
    if due != NEVER {
        assert_eq!(submissions.next(at(due.saturating_sub(1))), if due == 0 { next.clone() } else { None });
    }
    assert_eq!(submissions.next(at(NEVER - 1)), next);
}

fn watching(text: &str) -> Option<BlockVerdict> {
    Some(BlockVerdict::Watching(text.into()))
}

#[test]
fn each_answer_to_submitblock_leads_on() {
    let case = |answer, outcome| {
        let mut submissions = with_block();
        assert_eq!(submissions.next(at(0)), submit());
        let event = submissions.handle_submit_answer(answer, at(5_000));
        continues(submissions, event, outcome);
    };
    let rejected = |reason: &str| (Some(BlockVerdict::Rejected(reason.into())), check(), 5_000 + WATCH_MS);
    // Taken, or known already: looked for in the chain at once, and only that is believed.
    for taken in ["null", "\"duplicate\"", "\"inconclusive\"", "\"duplicate-inconclusive\""] {
        case(json(taken), (None, check(), 5_000));
    }
    // For good.
    for reason in ["high-hash", "bad-txnmrklroot", "bad-cb-amount", "duplicate-invalid", "time-too-old", "mweb-missing"]
    {
        case(json(&format!("\"{reason}\"")), rejected(reason));
    }
    case(rpc(-22), rejected("the node's words"));
    // What time may heal.
    for reason in ["prev-blk-not-found", "time-too-new"] {
        case(json(&format!("\"{reason}\"")), (watching(reason), check(), 5_000 + WATCH_MS));
    }
    // Nobody knows whether the node has the block: it is sent again.
    let errors = [
        LinkError::Unreachable("refused".into()),
        LinkError::Timeout,
        LinkError::Closed("reset".into()),
        LinkError::Unauthorised,
        LinkError::Http { status: 500, text: "Work queue depth exceeded".into() },
        LinkError::TooLarge,
        LinkError::Malformed("no JSON".into()),
        LinkError::Rpc { code: -28, message: "Loading".into() },
        LinkError::Rpc { code: -10, message: "syncing".into() },
        LinkError::Rpc { code: -1, message: "help".into() },
    ];
    for error in errors {
        let text = error.to_string();
        case(Err(error), (watching(&text), submit(), 5_000 + RETRY_MS));
    }
}

#[test]
fn each_answer_to_getblockhash_leads_on() {
    let case = |answer, in_sync, outcome| {
        let mut submissions = with_block();
        submissions.next(at(0));
        assert_eq!(submissions.handle_submit_answer(json("null"), at(0)), None);
        assert_eq!(submissions.next(at(0)), check());
        let event = submissions.handle_check_answer(answer, in_sync, at(5_000));
        continues(submissions, event, outcome);
    };
    let (soon, later) = (5_000 + RETRY_MS, 5_000 + WATCH_MS);
    case(hash(OURS), true, (Some(BlockVerdict::InChain), None, NEVER));
    // Another block at its height: watched while the chain may yet change its mind.
    case(hash(OTHER), true, (Some(BlockVerdict::Replaced(OTHER)), check(), later));
    case(rpc(-8), true, (watching("the chain does not reach its height"), check(), later));
    // A node that is catching up says nothing by any answer.
    for answer in [hash(OURS), hash(OTHER), rpc(-8)] {
        case(answer, false, (watching("the node is not in sync"), check(), later));
    }
    // No hash at all says nothing.
    for nothing in ["null", "5", "\"abc\""] {
        case(json(nothing), true, (watching("getblockhash gives no hash"), check(), later));
    }
    case(Err(LinkError::Timeout), true, (watching("no answer in time"), check(), soon));
}

#[test]
fn the_newest_block_is_not_kept_waiting_by_those_that_are_watched() {
    let mut submissions = with_block();
    submissions.next(at(0));
    submissions.handle_submit_answer(json("null"), at(0));
    assert_eq!(submissions.next(at(0)), check());
    submissions.handle_check_answer(rpc(-8), true, at(0));
    submissions.add(OTHER, HEIGHT + 1, Some(Rc::from([0xef])), false, at(WATCH_MS));
    submissions.add(OTHER, HEIGHT + 1, Some(Rc::from([0xef])), false, at(WATCH_MS));
    assert_eq!(submissions.next(at(WATCH_MS)), Some(Next::Submit("[\"ef\"]".into())));
    let rejected = Some((OTHER, BlockVerdict::Rejected("high-hash".into())));
    assert_eq!(submissions.handle_submit_answer(json("\"high-hash\""), at(WATCH_MS)), rejected);
    assert_eq!(submissions.next(at(WATCH_MS)), check());
}

#[test]
fn a_new_tip_is_a_reason_to_look_again_at_once() {
    let mut submissions = with_block();
    submissions.next(at(0));
    submissions.handle_submit_answer(json("\"inconclusive\""), at(0));
    submissions.next(at(0));
    submissions.handle_check_answer(rpc(-8), true, at(0));
    assert_eq!(submissions.next(at(1_000)), None);
    submissions.handle_new_tip(HEIGHT, 100, at(1_000));
    assert_eq!(submissions.next(at(1_000)), check());
}

#[test]
fn an_answer_for_a_block_that_is_no_longer_waited_for_says_nothing() {
    let mut submissions = with_block();
    submissions.next(at(0));
    submissions.remove(&OURS);
    assert_eq!(submissions.handle_submit_answer(json("null"), at(0)), None);
    assert_eq!(submissions.handle_check_answer(hash(OURS), true, at(0)), None);
    assert_eq!((submissions.next_at(), submissions.next(at(NEVER))), (NEVER, None));
}

#[test]
fn a_block_that_is_looked_for_in_vain_is_looked_for_less_and_less() {
    let mut submissions = Submissions::default();
    submissions.add(OURS, HEIGHT, Some(Rc::from([0xab, 0xcd])), false, at(0));
    submissions.next(at(0));
    submissions.handle_submit_answer(json("\"inconclusive\""), at(0));
    let mut now = 0;
    let mut waits = Vec::new();
    submissions.forget_bytes(&OURS, at(0));
    for _ in 0..9 {
        assert_eq!(submissions.next(at(now)), check());
        submissions.handle_check_answer(hash(OTHER), true, at(now));
        waits.push((submissions.next_at() - now) / WATCH_MS);
        now = submissions.next_at();
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
    submissions.handle_new_tip(HEIGHT + 5, 100, at(now - 1));
    assert_eq!(submissions.next(at(now - 1)), None, "no tip is likely to bring it any more");
}

#[test]
fn the_newest_height_does_not_wait_for_siblings_of_an_older_one() {
    let mut submissions = Submissions::default();
    submissions.add(OURS, HEIGHT, Some(Rc::from([0xab, 0xcd])), false, at(0));
    submissions.add(OTHER, HEIGHT + 1, Some(Rc::from([0xef])), false, at(0));
    assert_eq!(submissions.next(at(0)), Some(Next::Submit("[\"ef\"]".into())));
}

#[test]
fn a_block_that_could_not_be_judged_is_submitted_again_when_it_is_not_found() {
    let mut submissions = with_block();
    submissions.next(at(0));
    submissions.handle_submit_answer(json("\"prev-blk-not-found\""), at(0));
    submissions.next(at(WATCH_MS));
    submissions.handle_check_answer(rpc(-8), true, at(WATCH_MS));
    assert_eq!(submissions.next(at(WATCH_MS)), submit());
}

#[test]
fn a_block_that_a_node_may_have_lost_is_submitted_again_now_and_then() {
    let mut submissions = with_block();
    submissions.next(at(0));
    submissions.handle_submit_answer(json("null"), at(0));
    let (mut now, mut calls) = (0, Vec::new());
    for _ in 0..12 {
        now = submissions.next_at();
        let next = submissions.next(at(now)).unwrap();
        match &next {
            Next::Submit(_) => submissions.handle_submit_answer(json("\"duplicate\""), at(now)),
            Next::Check(_) => submissions.handle_check_answer(rpc(-8), true, at(now)),
        };
        calls.push(matches!(next, Next::Submit(_)));
    }
    let submits = calls.iter().filter(|is_submit| **is_submit).count();
    assert_eq!((calls[3], submits), (true, 3), "{calls:?}");
    submissions.forget_bytes(&OURS, at(now));
    for _ in 0..12 {
        now = submissions.next_at();
        assert_eq!(submissions.next(at(now)), check(), "without its bytes it is looked for");
        submissions.handle_check_answer(rpc(-8), true, at(now));
    }
}

#[test]
fn what_was_answered_for_before_a_restart_is_looked_for_before_it_is_submitted() {
    let mut submissions = Submissions::default();
    submissions.add(OURS, HEIGHT, Some(Rc::from([0xab, 0xcd])), true, at(0));
    assert_eq!(submissions.next(at(0)), check());
    submissions.handle_check_answer(rpc(-8), true, at(0));
    assert_eq!(submissions.next(at(0)), submit());
}

#[test]
fn of_the_blocks_in_the_chain_the_highest_is_watched_for_all_and_each_at_its_maturity() {
    let mut submissions = Submissions::default();
    let (low, middle, high) = ([1; 32], [2; 32], [3; 32]);
    let all = [(low, HEIGHT), (middle, HEIGHT + 1), (high, HEIGHT + 50)];
    for (id, height) in all {
        submissions.add(id, height, None, false, at(0));
        submissions.next(at(0));
        assert_eq!(submissions.handle_check_answer(hash(id), true, at(0)), Some((id, BlockVerdict::InChain)));
    }
    let asked = |submissions: &mut Submissions, now: u64, answer: &dyn Fn(u32) -> Hash32| {
        let mut heights = Vec::new();
        while let Some(Next::Check(params)) = submissions.next(at(now)) {
            let height = params[1..params.len() - 1].parse().unwrap();
            heights.push(height);
            submissions.handle_check_answer(hash(answer(height)), true, at(now));
        }
        heights
    };
    let truth = |height: u32| all.iter().find(|(_, at)| *at == height).unwrap().0;
    assert!(asked(&mut submissions, 1, &truth).is_empty());
    submissions.handle_new_tip(HEIGHT + 60, 100, at(2));
    assert_eq!(asked(&mut submissions, 2, &truth), [HEIGHT + 50]);
    submissions.handle_new_tip(HEIGHT + 99, 100, at(3));
    assert_eq!(asked(&mut submissions, 3, &truth), [HEIGHT + 50, HEIGHT], "the lowest has 100 confirmations");
    // When the highest is gone, those below it may be.
    submissions.handle_new_tip(HEIGHT + 60, 100, at(4));
    let forked = |height: u32| if height > HEIGHT { OTHER } else { truth(height) };
    assert_eq!(asked(&mut submissions, 4, &forked), [HEIGHT + 50, HEIGHT + 1, HEIGHT]);
}
