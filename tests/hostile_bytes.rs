//! Whatever a peer sends, a parser gives a value: no panic, no deep recursion, no output from noise.

use edgepool::base::limits::{HTTP_HEAD, RPC_REQUEST, STRATUM_LINE};
use edgepool::base::time::Now;
use edgepool::wire::http::{RequestReader, ResponseReader};
use edgepool::wire::line::LineBuffer;
use edgepool::wire::node_link::NodeLink;
use edgepool::wire::{jsonrpc, stratum};
use proptest::prelude::*;

/// Feeds `bytes` to everything that reads a peer.
fn feed(bytes: &[u8]) {
    let _ = stratum::foreign_protocol(bytes);
    let _ = stratum::parse(bytes);
    let _ = jsonrpc::answer(bytes, 1);
    let served = jsonrpc::serve(bytes, |call| Ok(call.params.clone()));
    assert_eq!(served.body.is_empty(), served.status == 204);

    let mut lines = LineBuffer::new(STRATUM_LINE);
    let mut fed = lines.feed(bytes);
    while let Some(line) = fed.next() {
        let _ = line.map(stratum::parse);
    }
    let mut requests = RequestReader::new(HTTP_HEAD, RPC_REQUEST);
    requests.push(bytes);
    while requests.next().is_some() {}
    let mut responses = ResponseReader::new(RPC_REQUEST);
    responses.push(bytes);
    while responses.next().is_some() {}
    let _ = responses.finish();

    let now = Now { mono_ms: 1, wall_ms: 1 };
    let mut link = NodeLink::new("node:1".into(), "/".into(), 1);
    link.call(1, "help", "[]".into(), 1_000, now).expect("an empty queue has room");
    link.handle_connected(now);
    link.handle_bytes(bytes, now);
    link.handle_closed("end", now);
    assert_eq!(link.poll_answer().map(|(tag, _)| tag), Some(1));
    assert!(link.poll_answer().is_none());
}

/// Texts that pass the first checks of a parser, to be spoiled.
const SEEDS: [&str; 8] = [
    r#"{"id":1,"method":"mining.submit","params":["a.b","1f","00000000","6553f100","00c0ffee","1fffe000"]}"#,
    r#"{"id":1,"method":"mining.configure","params":[["version-rolling"],{"version-rolling.mask":"1fffe000"}]}"#,
    r#"{"id":1,"method":"mining.subscribe","params":["cgminer/4.11.1","0001"]}"#,
    r#"[{"jsonrpc":"2.0","id":1,"method":"getinfo","params":[]},{"id":2,"method":"help"}]"#,
    r#"{"result":{"height":1},"error":null,"id":1}"#,
    "POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n{}",
    "HTTP/1.1 200 OK\r\nContent-Length: 34\r\n\r\n{\"result\":{\"a\":[]},\"error\":null,\"id\":1}",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nA: b\r\n\r\n",
];

proptest! {
    #[test]
    fn noise_is_survived(bytes in proptest::collection::vec(any::<u8>(), 0..2_048)) {
        feed(&bytes);
    }

    #[test]
    fn spoiled_messages_are_survived(
        seed in 0..SEEDS.len(),
        spoils in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 0..6),
        end in "(\r\n|\n|)",
    ) {
        let mut bytes = SEEDS[seed].as_bytes().to_vec();
        for (place, byte, kind) in spoils {
            if bytes.is_empty() {
                break;
            }
            let at = place.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => bytes.truncate(at),
            }
        }
        bytes.extend_from_slice(end.as_bytes());
        feed(&bytes);
    }
}

#[test]
fn depth_does_not_reach_the_stack() {
    for open in ["[", "{\"a\":", "{\"id\":[", "{\"params\":[", "{\"result\":[{\"a\":"] {
        feed(open.repeat(200_000 / open.len()).as_bytes());
    }
}
