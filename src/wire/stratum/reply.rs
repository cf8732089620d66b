//! What rigs are told: each writer makes one whole line, with its newline. Key order and shapes are those
//! that old firmware has been seen to take.

use super::line::Writer;
use super::{Configure, ErrorCode, Id, Line};
use crate::base::Hash32;
use serde::Serialize;
use serde_json::json;

/// `true`: the share counts, the worker is authorised.
pub fn reply_true(id: &Id) -> Line {
    let mut line = Writer::new();
    line.raw("{\"id\":").bytes(id.as_bytes()).raw(",\"result\":true,\"error\":null}").end()
}

/// Any other result.
pub fn reply_result(id: &Id, result: &impl Serialize) -> Line {
    let mut line = Writer::new();
    line.raw("{\"id\":").bytes(id.as_bytes()).raw(",\"result\":").json(result).raw(",\"error\":null}").end()
}

/// A refusal. cgminer shows `reject-reason`, most others the second item of `error`; about 28 characters
/// of `reason` are seen.
pub fn reply_error(id: &Id, code: ErrorCode, reason: &str) -> Line {
    let mut line = Writer::new();
    line.raw("{\"id\":").bytes(id.as_bytes()).raw(",\"result\":null,\"error\":[").raw(code.digits());
    line.raw(",").text(reason).raw(",null],\"reject-reason\":").text(reason).raw("}").end()
}

/// The answer to `mining.subscribe`. `session_id` is what the rig sends to resume, `extranonce2_len` the
/// bytes it may vary. A rig that is told its old session and extranonce1 again sends its open shares again.
pub fn subscribe_reply(id: &Id, session_id: &str, extranonce1: &[u8], extranonce2_len: usize) -> Line {
    let subscriptions = json!([["mining.set_difficulty", session_id], ["mining.notify", session_id]]);
    reply_result(id, &(subscriptions, hex::encode(extranonce1), extranonce2_len))
}

/// What the pool grants of the extensions that a rig asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// The version bits that may be rolled; `None` where version rolling is refused.
    pub version_mask: Option<u32>,
    /// Whether the minimum difficulty is kept.
    pub minimum_difficulty: bool,
    /// Whether extranonce1 may be changed while connected.
    pub subscribe_extranonce: bool,
}

/// The answer to `mining.configure` (BIP310): every extension that was `asked` for with true or false, and
/// the mask where version rolling is granted.
pub fn configure_reply(id: &Id, asked: &Configure, granted: &Granted) -> Line {
    let mut result = serde_json::Map::new();
    if asked.version_rolling.is_some() {
        result.insert("version-rolling".into(), granted.version_mask.is_some().into());
        if let Some(mask) = granted.version_mask {
            result.insert("version-rolling.mask".into(), format!("{mask:08x}").into());
        }
    }
    if asked.minimum_difficulty.is_some() {
        result.insert("minimum-difficulty".into(), granted.minimum_difficulty.into());
    }
    if asked.subscribe_extranonce {
        result.insert("subscribe-extranonce".into(), granted.subscribe_extranonce.into());
    }
    for unknown in &asked.unknown {
        result.insert(unknown.clone(), false.into());
    }
    reply_result(id, &result)
}

/// Shares of jobs sent from now on must meet `difficulty`: the exact decimal number that is enforced, for
/// `0.1` announced and 0.10000001 enforced loses shares.
pub fn set_difficulty(difficulty: &str) -> Line {
    push("mining.set_difficulty", |line| line.raw(difficulty))
}

/// The version bits that may be rolled from now on (BIP310).
pub fn set_version_mask(mask: u32) -> Line {
    push("mining.set_version_mask", |line| line.raw("\"").hex(&mask.to_be_bytes()).raw("\""))
}

/// From the next job on, coinbases carry this extranonce1. Only for rigs that asked for it: others go on with the
/// one that they subscribed with, and all their shares are wrong.
pub fn set_extranonce(extranonce1: &[u8], extranonce2_len: usize) -> Line {
    push("mining.set_extranonce", |line| line.raw("\"").hex(extranonce1).raw("\",").json(&extranonce2_len))
}

/// A text for the rig's display or log.
pub fn show_message(text: &str) -> Line {
    push("client.show_message", |line| line.text(text))
}

/// Connect again to the same place. Another host is not offered: cgminer refuses most of them.
pub fn reconnect() -> Line {
    push("client.reconnect", |line| line)
}

/// What `mining.notify` carries.
#[derive(Clone, Copy, Debug)]
pub struct NotifyParts<'a> {
    /// Unique while the job lives; short printable ASCII.
    pub job_id: &'a str,
    /// The previous block's hash as stratum swaps it: 64 digits.
    pub prev_hash: &'a str,
    /// The coinbase before the extranonce, without witness.
    pub first: &'a [u8],
    /// The coinbase after the extranonce.
    pub second: &'a [u8],
    /// The merkle branch of the coinbase, from the leaf up, internal byte order.
    pub branch: &'a [Hash32],
    /// The header's version, without rolled bits.
    pub version: u32,
    /// The header's compact target.
    pub bits: u32,
    /// The header's time.
    pub ntime: u32,
    /// Whether earlier jobs are worthless now.
    pub clean: bool,
}

/// New work. Versions, bits and times are eight digits each; minerd checks that.
pub fn notify(parts: &NotifyParts<'_>) -> Line {
    let mut line = Writer::long(256 + 2 * (parts.first.len() + parts.second.len()) + 67 * parts.branch.len());
    line.raw("{\"id\":null,\"method\":\"mining.notify\",\"params\":[")
        .text(parts.job_id)
        .raw(",")
        .text(parts.prev_hash);
    line.raw(",\"").hex(parts.first).raw("\",\"").hex(parts.second).raw("\",[");
    for (index, hash) in parts.branch.iter().enumerate() {
        line.raw(if index == 0 { "\"" } else { ",\"" }).hex(hash).raw("\"");
    }
    line.raw("]");
    for word in [parts.version, parts.bits, parts.ntime] {
        line.raw(",\"").hex(&word.to_be_bytes()).raw("\"");
    }
    line.raw(if parts.clean { ",true]}" } else { ",false]}" }).end()
}

/// A message of the pool's own accord. Its id is null: a rig has nothing to answer.
fn push(method: &str, params: impl FnOnce(&mut Writer) -> &mut Writer) -> Line {
    let mut line = Writer::new();
    line.raw("{\"id\":null,\"method\":").text(method).raw(",\"params\":[");
    params(&mut line).raw("]}").end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    #[track_caller]
    fn case(line: Line, expected: &str) {
        assert_eq!(String::from_utf8(line.to_vec()).unwrap(), format!("{expected}\n"));
    }

    fn id(json: &str) -> Id {
        Id::read(json).unwrap()
    }

    #[test]
    fn replies_carry_the_id_as_it_came() {
        case(reply_true(&id("4")), r#"{"id":4,"result":true,"error":null}"#);
        case(reply_true(&id(r#""a\"b""#)), r#"{"id":"a\"b","result":true,"error":null}"#);
        case(reply_result(&Id::NULL, &json!([])), r#"{"id":null,"result":[],"error":null}"#);
        case(
            reply_error(&id("4"), ErrorCode::JobNotFound, "Stale"),
            r#"{"id":4,"result":null,"error":[21,"Stale",null],"reject-reason":"Stale"}"#,
        );
        let long = format!("\"{}\"", "x".repeat(300));
        case(reply_true(&id(&long)), &format!(r#"{{"id":{long},"result":true,"error":null}}"#));
        case(
            reply_error(&id("4"), ErrorCode::Other, "a\"\u{e9}"),
            r#"{"id":4,"result":null,"error":[20,"a\"é",null],"reject-reason":"a\"é"}"#,
        );
        case(
            subscribe_reply(&id("1"), "00a1", &[0, 0, 0, 0xa1], 8),
            r#"{"id":1,"result":[[["mining.set_difficulty","00a1"],["mining.notify","00a1"]],"000000a1",8],"error":null}"#,
        );
    }

    #[test]
    fn every_extension_asked_for_is_answered() {
        let asked = Configure {
            version_rolling: Some(u32::MAX),
            minimum_difficulty: Some(1.0),
            subscribe_extranonce: true,
            unknown: vec!["info".into()],
        };
        let read = |granted| {
            let line: Value = serde_json::from_slice(&configure_reply(&id("1"), &asked, &granted)).unwrap();
            line["result"].clone()
        };
        assert_eq!(
            read(Granted { version_mask: Some(0x1fff_e000), minimum_difficulty: true, subscribe_extranonce: true }),
            json!({"version-rolling": true, "version-rolling.mask": "1fffe000", "minimum-difficulty": true,
                "subscribe-extranonce": true, "info": false})
        );
        assert_eq!(
            read(Granted::default()),
            json!({"version-rolling": false, "minimum-difficulty": false, "subscribe-extranonce": false, "info": false})
        );
        case(
            configure_reply(&id("1"), &Configure::default(), &Granted::default()),
            r#"{"id":1,"result":{},"error":null}"#,
        );
    }

    #[test]
    fn the_pool_speaks_with_a_null_id() {
        case(
            set_difficulty("0.0001068115234375"),
            r#"{"id":null,"method":"mining.set_difficulty","params":[0.0001068115234375]}"#,
        );
        case(set_version_mask(0x2000), r#"{"id":null,"method":"mining.set_version_mask","params":["00002000"]}"#);
        case(
            set_extranonce(&[8, 0, 0, 2], 4),
            r#"{"id":null,"method":"mining.set_extranonce","params":["08000002",4]}"#,
        );
        case(show_message("a\nb"), r#"{"id":null,"method":"client.show_message","params":["a\nb"]}"#);
        case(reconnect(), r#"{"id":null,"method":"client.reconnect","params":[]}"#);
    }

    #[test]
    fn work_is_written_with_eight_digits_to_a_word() {
        let mut parts = NotifyParts {
            job_id: "1f",
            prev_hash: "00",
            first: &[1, 0xab],
            second: &[0xff],
            branch: &[],
            version: 0x2000_0000,
            bits: 0x1e0f_fff0,
            ntime: 0xff,
            clean: true,
        };
        case(
            notify(&parts),
            r#"{"id":null,"method":"mining.notify","params":["1f","00","01ab","ff",[],"20000000","1e0ffff0","000000ff",true]}"#,
        );
        (parts.branch, parts.clean) = (&[[1; 32], [0xee; 32]], false);
        let line: Value = serde_json::from_slice(&notify(&parts)).unwrap();
        assert_eq!(line["params"][4], json!(["01".repeat(32), "ee".repeat(32)]));
        assert_eq!(line["params"][8], json!(false));
    }
}
