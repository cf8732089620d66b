//! The JSON-RPC envelope of both sides: versions 1.0 and 2.0 with batches and notifications for the status
//! port, shaped as bitcoind shapes them; single calls for coin nodes. Knows no methods.

use crate::base::limits::RPC_BATCH;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::fmt;

/// Not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// JSON, but not a request.
pub const INVALID_REQUEST: i64 = -32600;
/// No such method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// Parameters that don't fit the method.
pub const INVALID_PARAMS: i64 = -32602;
/// The caller may not do this.
pub const NOT_AUTHORISED: i64 = -32001;

/// Which shape the answer takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// `result` and `error` both present; also where a call names no version.
    V1,
    /// `jsonrpc`, and one of `result` and `error`.
    V2,
}

/// One call.
#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    /// A string, a number or null.
    pub id: Value,
    /// The version of the call and of its answer.
    pub version: Version,
    /// Whether no answer is wanted: a call of 2.0 without an id.
    pub notification: bool,
    /// The method's name.
    pub method: String,
    /// An array, an object or null.
    pub params: Value,
}

/// An error as it is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct RpcError {
    /// The number that programs look at.
    pub code: i64,
    /// What was wrong and what to do.
    pub message: String,
    /// More for programs, where there is more.
    pub data: Option<Value>,
}

impl RpcError {
    /// An error without data.
    pub fn new(code: i64, message: impl Into<String>) -> RpcError {
        RpcError { code, message: message.into(), data: None }
    }

    /// The HTTP status of a response that is this error alone, as bitcoind chooses it for version 1.0.
    pub fn http_status(&self) -> u16 {
        match self.code {
            INVALID_REQUEST => 400,
            METHOD_NOT_FOUND => 404,
            NOT_AUTHORISED => 401,
            _ => 500,
        }
    }

    fn to_value(&self) -> Value {
        match &self.data {
            Some(data) => json!({"code": self.code, "message": self.message, "data": data}),
            None => json!({"code": self.code, "message": self.message}),
        }
    }
}

/// A call that can't be made, and how to answer it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// The id to answer to; null where it can't be known.
    pub id: Value,
    /// The version to answer in.
    pub version: Version,
    /// What was wrong.
    pub error: RpcError,
}

/// A body of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// One call.
    Single(Result<Call, Fault>),
    /// Several, answered together and in order.
    Batch(Vec<Result<Call, Fault>>),
}

/// Reads a request's body. A fault of the whole body is a single fault.
pub fn parse(body: &[u8]) -> Body {
    let fault = |code, message: &str| {
        Body::Single(Err(Fault { id: Value::Null, version: Version::V1, error: RpcError::new(code, message) }))
    };
    match serde_json::from_slice(body) {
        Err(_) => fault(PARSE_ERROR, "Parse error: the body is not JSON"),
        Ok(Value::Array(items)) if items.is_empty() => fault(INVALID_REQUEST, "the batch is empty"),
        Ok(Value::Array(items)) if items.len() > RPC_BATCH => {
            fault(INVALID_REQUEST, &format!("more than {RPC_BATCH} calls in one batch"))
        }
        Ok(Value::Array(items)) => Body::Batch(items.into_iter().map(parse_call).collect()),
        Ok(item) => Body::Single(parse_call(item)),
    }
}

fn parse_call(item: Value) -> Result<Call, Fault> {
    let invalid = |id: &Value, version, message: &str| Fault {
        id: id.clone(),
        version,
        error: RpcError::new(INVALID_REQUEST, message),
    };
    let Value::Object(mut fields) = item else {
        return Err(invalid(&Value::Null, Version::V1, "a call must be an object"));
    };
    let (id, given) = match fields.remove("id") {
        None => (Value::Null, false),
        Some(id @ (Value::Null | Value::Number(_) | Value::String(_))) => (id, true),
        Some(_) => return Err(invalid(&Value::Null, Version::V1, "id must be a string, a number or null")),
    };
    let version = match fields.remove("jsonrpc") {
        None => Version::V1,
        // 1.1 was a draft that clients of bitcoind still name.
        Some(Value::String(version)) if version == "1.0" || version == "1.1" => Version::V1,
        Some(Value::String(version)) if version == "2.0" => Version::V2,
        Some(_) => return Err(invalid(&id, Version::V1, "jsonrpc must be \"1.0\" or \"2.0\"")),
    };
    let method = match fields.remove("method") {
        Some(Value::String(method)) => method,
        Some(_) => return Err(invalid(&id, version, "method must be a string")),
        None => return Err(invalid(&id, version, "method is missing")),
    };
    let params = match fields.remove("params") {
        None => Value::Null,
        Some(params @ (Value::Null | Value::Array(_) | Value::Object(_))) => params,
        Some(_) => return Err(invalid(&id, version, "params must be an array or an object")),
    };
    Ok(Call { notification: version == Version::V2 && !given, id, version, method, params })
}

/// What goes back over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The HTTP status: 204 with an empty body when nothing was asked but notifications.
    pub status: u16,
    /// The JSON, with a newline at its end.
    pub body: Vec<u8>,
}

/// Reads a body, has each call made by `make`, and writes the response.
pub fn serve(body: &[u8], mut make: impl FnMut(&Call) -> Result<Value, RpcError>) -> Served {
    let mut answer = |call: Result<Call, Fault>| match call {
        Err(fault) => Some((envelope(&fault.id, fault.version, Err(&fault.error)), fault_status(&fault))),
        Ok(call) => {
            let outcome = make(&call);
            let status = match (&outcome, call.version) {
                (Err(error), Version::V1) => error.http_status(),
                // 2.0 keeps HTTP for HTTP, but a browser asks for a password only on 401.
                (Err(error), Version::V2) if error.code == NOT_AUTHORISED => 401,
                _ => 200,
            };
            (!call.notification).then(|| (envelope(&call.id, call.version, outcome.as_ref()), status))
        }
    };
    let (value, status) = match parse(body) {
        Body::Single(call) => match answer(call) {
            Some((value, status)) => (value, status),
            None => return Served { status: 204, body: Vec::new() },
        },
        Body::Batch(calls) => {
            let answers: Vec<Value> = calls.into_iter().filter_map(answer).map(|(value, _)| value).collect();
            if answers.is_empty() {
                return Served { status: 204, body: Vec::new() };
            }
            (Value::Array(answers), 200)
        }
    };
    Served { status, body: line(&value) }
}

fn fault_status(fault: &Fault) -> u16 {
    match fault.version {
        Version::V1 => fault.error.http_status(),
        Version::V2 => 200,
    }
}

/// The answer to one call, with a newline at its end.
pub fn response(call: &Call, outcome: Result<&Value, &RpcError>) -> Vec<u8> {
    line(&envelope(&call.id, call.version, outcome))
}

fn envelope(id: &Value, version: Version, outcome: Result<&Value, &RpcError>) -> Value {
    match (version, outcome) {
        (Version::V1, Ok(result)) => json!({"result": result, "error": null, "id": id}),
        (Version::V1, Err(error)) => json!({"result": null, "error": error.to_value(), "id": id}),
        (Version::V2, Ok(result)) => json!({"jsonrpc": "2.0", "result": result, "id": id}),
        (Version::V2, Err(error)) => json!({"jsonrpc": "2.0", "error": error.to_value(), "id": id}),
    }
}

fn line(value: &Value) -> Vec<u8> {
    format!("{value}\n").into_bytes()
}

/// A call to a node. `params` is a JSON array, already written.
pub fn call(id: u64, method: &str, params: &str) -> String {
    let method = Value::from(method);
    format!("{{\"jsonrpc\":\"1.0\",\"id\":{id},\"method\":{method},\"params\":{params}}}")
}

/// Why a body is not a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AnswerError {
    /// The node's own error.
    Rpc {
        /// Such as −28 (warming up).
        code: i64,
        /// The node's words.
        message: String,
    },
    /// Not an answer to this call.
    Malformed(String),
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AnswerError::Rpc { code, message } => write!(f, "{message} ({code})"),
            AnswerError::Malformed(what) => write!(f, "not a JSON-RPC answer: {what}"),
        }
    }
}

impl std::error::Error for AnswerError {}

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default, deserialize_with = "even_null")]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<ErrorBody>,
    #[serde(default)]
    id: Value,
}

#[derive(Deserialize)]
struct ErrorBody {
    code: i64,
    #[serde(default)]
    message: String,
}

/// A result of null is a result: it is how a node says that a block was taken.
fn even_null<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

/// The result in a node's answer to the call `id`, not yet parsed: templates are large. Reads both versions,
/// since nodes answer in either.
pub fn answer(body: &[u8], id: u64) -> Result<Box<RawValue>, AnswerError> {
    let malformed = |what: String| AnswerError::Malformed(what);
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(malformed("not a JSON object".into()));
    }
    let answer: Answer<'_> = serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
    // A node that could not read the call answers to null.
    let for_this_call = answer.id == id || (answer.id.is_null() && answer.error.is_some());
    match (answer.error, answer.result) {
        _ if !for_this_call => Err(malformed(format!("its id is {}, not {id}", answer.id))),
        (Some(error), _) => Err(AnswerError::Rpc { code: error.code, message: error.message }),
        (None, Some(result)) => Ok(result.to_owned()),
        (None, None) => Err(malformed("neither result nor error".into())),
    }
}

#[cfg(test)]
mod tests;
