//! JSON-RPC: calls of programs, and answers of nodes.

use edgepool::wire::jsonrpc::{answer, serve};
use serde_json::Value;

/// A call is served with one JSON value or nothing; an answer is read or refused.
pub fn jsonrpc(bytes: &[u8]) {
    let _ = answer(bytes, 1);
    let served = serve(bytes, |call| Ok(call.params.clone()));
    assert_eq!(served.body.is_empty(), served.status == 204);
    if !served.body.is_empty() {
        serde_json::from_slice::<Value>(&served.body).expect("what is served is JSON");
    }
}
