use super::*;
use proptest::prelude::*;

/// A link and a clock; what it does is written down in words.
struct Rig {
    link: NodeLink,
    now: Now,
}

impl Rig {
    fn new() -> Rig {
        Rig { link: NodeLink::new("node:9332".into(), "/".into(), 1), now: Now { mono_ms: 1_000, wall_ms: 0 } }
    }

    /// Connected, with the call `tag` under way.
    fn waiting(tag: u32) -> Rig {
        let mut rig = Rig::new();
        rig.call(tag);
        rig.link.handle_connected(rig.now);
        assert_eq!(rig.actions(), ["connect", "send getblockcount"]);
        rig
    }

    fn call(&mut self, tag: u32) {
        self.link.call(tag, "getblockcount", "[]".into(), 5_000, self.now).unwrap();
    }

    fn wait(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.link.handle_timeout(self.now);
        assert!(self.link.poll_timeout() > self.now.mono_ms, "a handled deadline is past");
    }

    fn wait_for_timeout(&mut self) -> u64 {
        let ms = self.link.poll_timeout() - self.now.mono_ms;
        self.wait(ms);
        ms
    }

    fn actions(&mut self) -> Vec<String> {
        let words = |action| match action {
            Action::Connect => "connect".into(),
            Action::Close => "close".into(),
            Action::Send(bytes) => format!("send {}", sent(&bytes)["method"].as_str().unwrap()),
        };
        std::iter::from_fn(|| self.link.poll_action()).map(words).collect()
    }

    fn answers(&mut self) -> Vec<(u32, Result<String, LinkError>)> {
        std::iter::from_fn(|| self.link.poll_answer())
            .map(|(tag, answer)| (tag, answer.map(|raw| raw.get().to_owned())))
            .collect()
    }

    /// The node answers the call numbered `id`.
    fn result(&mut self, id: u64) {
        let body = format!(r#"{{"result":{id},"error":null,"id":{id}}}"#);
        self.respond("200 OK", &body);
    }

    fn respond(&mut self, status: &str, body: &str) {
        let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
        self.link.handle_bytes((head + body).as_bytes(), self.now);
    }
}

/// The JSON of a request.
fn sent(bytes: &[u8]) -> serde_json::Value {
    let body = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap() + 4;
    serde_json::from_slice(&bytes[body..]).unwrap()
}

fn closed(reason: &str) -> Result<String, LinkError> {
    Err(LinkError::Closed(reason.into()))
}

#[test]
fn a_call_connects_is_sent_and_answered_and_the_next_uses_the_same_connection() {
    let mut rig = Rig::new();
    assert_eq!(rig.link.poll_timeout(), NEVER);
    assert!(rig.actions().is_empty(), "without calls there is no connection");
    rig.link.set_authorization(Some("Basic dTpw".into()));
    rig.call(40);
    rig.call(41);
    assert_eq!(rig.actions(), ["connect"]);
    rig.link.handle_connected(rig.now);
    let Some(Action::Send(bytes)) = rig.link.poll_action() else { panic!("nothing sent") };
    assert!(bytes.starts_with(b"POST / HTTP/1.1\r\nHost: node:9332\r\n"));
    assert!(String::from_utf8(bytes).unwrap().contains("\r\nAuthorization: Basic dTpw\r\n"));
    assert!(rig.actions().is_empty(), "one call at a time");
    rig.result(1);
    assert_eq!(rig.answers(), [(40, Ok("1".into()))]);
    assert_eq!(rig.actions(), ["send getblockcount"]);
    rig.result(2);
    assert_eq!(rig.answers(), [(41, Ok("2".into()))]);
    assert_eq!(rig.link.poll_timeout(), NEVER);
}

#[test]
fn a_block_overtakes_the_queue_but_not_the_call_under_way() {
    let mut rig = Rig::waiting(1);
    rig.call(2);
    rig.link.call_first(3, "submitblock", "[\"00\"]".into(), 60_000, rig.now).unwrap();
    rig.link.call_first(4, "submitblock", "[\"01\"]".into(), 60_000, rig.now).unwrap();
    for id in 1..=4 {
        rig.result(id);
    }
    let tags: Vec<u32> = rig.answers().into_iter().map(|(tag, _)| tag).collect();
    assert_eq!(tags, [1, 3, 4, 2]);
}

#[test]
fn the_queue_is_bounded() {
    let mut rig = Rig::waiting(0);
    for tag in 0..NODE_QUEUE as u32 {
        rig.call(tag);
    }
    assert_eq!(rig.link.call(99, "help", "[]".into(), 1, rig.now), Err(QueueFull));
}

#[test]
fn a_broken_connection_costs_the_call_under_way_and_no_other() {
    let mut rig = Rig::waiting(1);
    rig.call(2);
    rig.link.handle_bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"result\":", rig.now);
    rig.link.handle_closed("reset by peer", rig.now);
    let reason = "reset by peer (the connection closed in the middle of an HTTP message)";
    assert_eq!(rig.answers(), [(1, closed(reason))]);
    assert!(rig.actions().is_empty(), "it waits before it connects again");
    rig.wait_for_timeout();
    assert_eq!(rig.actions(), ["connect"]);
    rig.link.handle_connected(rig.now);
    assert_eq!(rig.actions(), ["send getblockcount"]);
    rig.result(2);
    assert_eq!(rig.answers(), [(2, Ok("2".into()))]);
}

#[test]
fn who_waits_for_a_connection_that_fails_is_told_why() {
    let mut rig = Rig::new();
    rig.call(1);
    rig.link.call_first(2, "submitblock", "[]".into(), 1, rig.now).unwrap();
    rig.link.handle_closed("connection refused", rig.now);
    let refused = Err(LinkError::Unreachable("connection refused".into()));
    assert_eq!(rig.answers(), [(2, refused.clone()), (1, refused)]);
    rig.call(3);
    assert_eq!(rig.actions(), ["connect"], "the second attempt waits its time");
    rig.wait_for_timeout();
    assert_eq!(rig.actions(), ["connect"]);
    rig.wait(CONNECT_MS);
    assert_eq!(rig.actions(), ["close"]);
    assert_eq!(rig.answers(), [(3, Err(LinkError::Unreachable("no connection in 10 s".into())))]);
}

#[test]
fn waits_double_up_to_fifteen_seconds_and_a_good_answer_ends_that() {
    let mut rig = Rig::new();
    let mut expected = RETRY_MIN_MS;
    for _ in 0..10 {
        rig.call(1);
        if rig.link.state != (State::Connecting { deadline: rig.now.mono_ms + CONNECT_MS }) {
            let waited = rig.wait_for_timeout();
            assert!(waited >= expected * 3 / 4 && waited <= expected * 5 / 4 + 1, "{waited} for {expected}");
            expected = (expected * 2).min(15_000);
        }
        rig.link.handle_closed("connection refused", rig.now);
    }
    assert_eq!(expected, 15_000);
    rig.call(1);
    rig.wait_for_timeout();
    rig.link.handle_connected(rig.now);
    // The node's own errors are good answers: it lives.
    let number = rig.link.next_id - 1;
    let warming_up = format!(r#"{{"result":null,"error":{{"code":-28,"message":"Loading"}},"id":{number}}}"#);
    rig.respond("500 Internal Server Error", &warming_up);
    rig.call(2);
    rig.link.handle_closed("gone", rig.now);
    rig.call(3);
    assert!(rig.link.poll_timeout() - rig.now.mono_ms <= RETRY_MIN_MS * 5 / 4 + 1);
    let last: Vec<_> = rig.answers().into_iter().rev().take(2).collect();
    let loading = LinkError::Rpc { code: -28, message: "Loading".into() };
    assert_eq!(last, [(2, closed("gone")), (1, Err(loading))]);
}

#[test]
fn an_idle_connection_that_closes_is_made_again_at_once_when_it_is_needed() {
    let mut rig = Rig::waiting(1);
    rig.result(1);
    rig.link.handle_closed("end of stream", rig.now);
    assert_eq!(rig.link.poll_timeout(), NEVER);
    rig.call(2);
    assert_eq!(rig.actions(), ["connect"]);
}

#[test]
fn a_connection_that_the_node_is_about_to_close_is_not_trusted_with_a_call() {
    let mut rig = Rig::waiting(1);
    rig.result(1);
    rig.wait(REUSE_MS);
    rig.call(2);
    assert_eq!(rig.actions(), ["send getblockcount"]);
    rig.result(2);
    rig.wait(REUSE_MS + 1);
    rig.call(3);
    assert_eq!(rig.actions(), ["close", "connect"]);
}

#[test]
fn a_call_has_its_own_time_and_a_long_poll_has_all() {
    let mut rig = Rig::waiting(1);
    assert_eq!(rig.link.poll_timeout(), rig.now.mono_ms + 5_000);
    rig.wait(4_999);
    assert!(rig.answers().is_empty());
    rig.wait(1);
    assert_eq!(rig.answers(), [(1, Err(LinkError::Timeout))]);
    assert_eq!(rig.actions(), ["close"], "a late answer must not meet the next call");
    rig.link.call(2, "getblocktemplate", "[]".into(), NEVER, rig.now).unwrap();
    rig.wait_for_timeout();
    rig.link.handle_connected(rig.now);
    assert_eq!(rig.link.poll_timeout(), NEVER);
}

#[test]
fn answers_that_are_not_results_are_told_apart() {
    #[track_caller]
    fn case(status: &str, body: &str, expected: LinkError, actions: &[&str]) {
        let mut rig = Rig::waiting(1);
        rig.respond(status, body);
        assert_eq!(rig.answers(), [(1, Err(expected))]);
        assert_eq!(rig.actions(), actions);
    }
    let http = |status, text: &str| LinkError::Http { status, text: text.into() };
    case("401 Unauthorized", "", LinkError::Unauthorised, &[]);
    case("403 Forbidden", "", http(403, ""), &[]);
    case("500 Internal Server Error", "Work queue depth exceeded", http(500, "Work queue depth exceeded"), &[]);
    case(
        "503 Busy",
        &format!("a\u{1b}[2J\r\n{}", "x".repeat(900)),
        http(503, &format!("a [2J  {}", "x".repeat(193))),
        &[],
    );
    case("200 OK", "<html>", LinkError::Malformed("not a JSON object".into()), &["close"]);
    case("200 OK", r#"{"result":1,"id":9}"#, LinkError::Malformed("its id is 9, not 1".into()), &["close"]);

    let mut rig = Rig::waiting(1);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", NODE_RESPONSE + 1);
    rig.link.handle_bytes(head.as_bytes(), rig.now);
    assert_eq!(rig.answers(), [(1, Err(LinkError::TooLarge))]);
    assert_eq!(rig.actions(), ["close"]);
}

#[test]
fn a_connection_is_not_used_again_when_either_side_would_not() {
    let body = r#"{"result":1,"error":null,"id":1}"#;
    let closing = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let too_much = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}HTTP", body.len());
    for bytes in [closing, too_much] {
        let mut rig = Rig::waiting(1);
        rig.call(2);
        rig.link.handle_bytes(bytes.as_bytes(), rig.now);
        assert_eq!(rig.answers(), [(1, Ok("1".into()))]);
        assert_eq!(rig.actions(), ["close", "connect"], "at once: the node answers well");
    }
    let mut rig = Rig::waiting(1);
    rig.link.handle_bytes(format!("HTTP/1.0 200 OK\r\n\r\n{body}").as_bytes(), rig.now);
    rig.link.handle_closed("end of stream", rig.now);
    assert_eq!(rig.answers(), [(1, Ok("1".into()))]);
    assert!(rig.actions().is_empty());

    let mut rig = Rig::waiting(1);
    rig.result(1);
    rig.link.handle_bytes(b"HTTP/1.1 408 Request Timeout\r\n\r\n", rig.now);
    assert_eq!(rig.actions(), ["close"], "a node that speaks unasked is not listened to");
}

#[derive(Clone, Debug)]
enum Event {
    Call(bool),
    Connected,
    Closed,
    Good,
    Unauthorised,
    Garbage(Vec<u8>),
    Wait(u64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => any::<bool>().prop_map(Event::Call),
        3 => Just(Event::Connected),
        1 => Just(Event::Closed),
        3 => Just(Event::Good),
        1 => Just(Event::Unauthorised),
        1 => proptest::collection::vec(any::<u8>(), 0..20).prop_map(Event::Garbage),
        2 => (0u64..40_000).prop_map(Event::Wait),
    ]
}

proptest! {
    #[test]
    fn every_call_is_answered_once_whatever_the_node_does(events in proptest::collection::vec(event(), 0..80)) {
        let mut rig = Rig::new();
        let mut open = std::collections::BTreeSet::new();
        let mut next_tag = 0;
        for event in events {
            match event {
                Event::Call(first) => {
                    let call = if first { NodeLink::call_first } else { NodeLink::call };
                    if call(&mut rig.link, next_tag, "help", "[]".into(), 5_000, rig.now).is_ok() {
                        open.insert(next_tag);
                    }
                    next_tag += 1;
                }
                Event::Connected => rig.link.handle_connected(rig.now),
                Event::Closed => rig.link.handle_closed("cut", rig.now),
                Event::Good => rig.result(rig.link.next_id.saturating_sub(1)),
                Event::Unauthorised => rig.respond("401 Unauthorized", ""),
                Event::Garbage(bytes) => rig.link.handle_bytes(&bytes, rig.now),
                Event::Wait(ms) => rig.wait(ms),
            }
            rig.actions();
            for (tag, _) in rig.answers() {
                prop_assert!(open.remove(&tag), "{} was not asked, or answered before", tag);
            }
        }
        // A node that is silent from here on leaves no call unanswered.
        for _ in 0..1_000 {
            if rig.link.poll_timeout() == NEVER {
                break;
            }
            rig.wait_for_timeout();
            rig.actions();
            for (tag, _) in rig.answers() {
                prop_assert!(open.remove(&tag));
            }
        }
        prop_assert!(open.is_empty(), "without answers: {:?}", open);
    }
}
