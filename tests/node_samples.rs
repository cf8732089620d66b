//! What real nodes answered, byte for byte, must be understood as what it was.

use edgepool::wire::http::ResponseReader;
use edgepool::wire::jsonrpc::{AnswerError, answer};
use serde_json::Value;

/// HTTP statuses, headers and bodies of litecoind 0.21.2.1, Knots 29.4 and dogecoind 1.14.99.
const SAMPLES: &str = include_str!("vectors/rpc_http_samples.json");

#[test]
fn real_answers_are_read_as_results_and_errors() {
    let samples: Vec<Value> = serde_json::from_str(SAMPLES).unwrap();
    assert_eq!(samples.len(), 36);
    for sample in &samples {
        let request = sample["request"].as_str().unwrap();
        let status = sample["http_status"].as_u64().unwrap();
        let body = sample["body"].as_str().unwrap();
        let mut raw = format!("HTTP/1.1 {status} As Sent\r\n");
        for (name, value) in sample["headers"].as_object().unwrap() {
            raw.push_str(&format!("{name}: {}\r\n", value.as_str().unwrap()));
        }
        raw.push_str("\r\n");
        raw.push_str(body);

        let mut reader = ResponseReader::new(1 << 20);
        let mut responses = Vec::new();
        for chunk in raw.as_bytes().chunks(7) {
            reader.push(chunk);
            responses.extend(reader.next());
        }
        let response = responses.remove(0).unwrap_or_else(|error| panic!("{request}: {error}"));
        assert!(responses.is_empty() && reader.finish().is_none(), "{request}");
        assert_eq!(u64::from(response.status), status, "{request}");
        assert_eq!(response.body, body.as_bytes(), "{request}");
        assert!(response.keep_alive, "{request}");

        let read = answer(&response.body, 7);
        let error = |code| matches!(&read, Err(AnswerError::Rpc { code: found, message }) if *found == code && !message.is_empty());
        let understood = match request {
            _ if request.contains("getblockcount\",\"params") => {
                read.as_ref().is_ok_and(|raw| raw.get().parse::<u32>().is_ok())
            }
            _ if request.contains("nosuchmethod") => error(-32601),
            _ if request.contains("getblockhash") => error(-8),
            _ if request.contains("submitblock") => error(-22),
            _ if request.contains("getblocktemplate") => error(-8) || error(-9) || error(-1),
            "garbage" | "" => error(-32700),
            // An empty body, and an answer to a batch, which is never sent.
            _ => matches!(read, Err(AnswerError::Malformed(_))),
        };
        assert!(understood, "{} answered {request} with {body}, read as {read:?}", sample["node"]);
    }
}
