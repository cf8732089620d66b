//! Requests of rigs.

use edgepool::wire::stratum::{ErrorCode, foreign_protocol, parse, reply_error, reply_true};
use serde_json::Value;

/// Whatever a rig sends is a request or a refusal, and either can be answered with one line of JSON that carries the
/// id as it came.
pub fn stratum(bytes: &[u8]) {
    let _ = foreign_protocol(bytes);
    let (id, reply) = match parse(bytes) {
        Ok(message) => (message.id.clone(), reply_true(&message.id)),
        Err(refused) => (refused.id.clone(), reply_error(&refused.id, ErrorCode::Other, &refused.reason)),
    };
    let (end, json) = reply.split_last().expect("a reply is never empty");
    assert!(*end == b'\n' && !json.contains(&b'\n'));
    let reply: Value = serde_json::from_slice(json).expect("a reply is JSON");
    let mut raw = json.strip_prefix(b"{\"id\":").expect("it begins with the id").to_vec();
    raw.truncate(id.as_bytes().len());
    assert_eq!((raw.as_slice(), reply.is_object()), (id.as_bytes(), true));
}
