//! One JSON-RPC call over a connection of its own, waiting for the answer: for commands at a terminal. The
//! pool itself never calls like this.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use serde_json::Value;
use serde_json::value::RawValue;

use crate::base::limits;
use crate::pool::spec::NodeSpec;
use crate::wire::http::{HttpResponse, ResponseReader, request};
use crate::wire::jsonrpc::{self, AnswerError};

/// How long each address of the host may take to answer the connection.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the whole answer may take.
const ANSWER: Duration = Duration::from_secs(30);

/// Why there is no result. Its display is for the terminal.
#[derive(Debug, PartialEq, Eq)]
pub enum CallError {
    /// Nothing was reached, or it stopped answering.
    Connection(String),
    /// What answered doesn't speak JSON-RPC.
    Answer(String),
    /// The method refused.
    Rpc {
        /// Such as −8, an unknown address.
        code: i64,
        /// The reason.
        message: String,
    },
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Rpc { code, message } => write!(f, "error code: {code}\nerror message:\n{message}"),
            other => write!(f, "error: {}", other.reason()),
        }
    }
}

impl CallError {
    /// The same of a running pool, within a line.
    pub fn reason(&self) -> String {
        match self {
            CallError::Connection(what) => format!("{what}; check that edgepool runs, and --url"),
            CallError::Answer(what) => format!("{what}; is this the pool's RPC port?"),
            CallError::Rpc { code, message } => format!("{message} ({code})"),
        }
    }
}

impl std::error::Error for CallError {}

/// Calls `method` with `params`, a list or an object. `authorization` is a whole header value.
pub fn call(target: &NodeSpec, authorization: Option<&str>, method: &str, params: &Value) -> Result<Value, CallError> {
    let result = call_raw(target, authorization, method, params)?;
    serde_json::from_str(result.get()).map_err(|error| CallError::Answer(error.to_string()))
}

/// As [`call`]; the result as it came, for amounts that must not become floats.
pub fn call_raw(
    target: &NodeSpec,
    authorization: Option<&str>,
    method: &str,
    params: &Value,
) -> Result<Box<RawValue>, CallError> {
    let body = jsonrpc::call(1, method, &params.to_string());
    let bytes = request(&target.authority, &target.path, authorization, body.as_bytes());
    let lost = |error: io::Error| {
        let reason = match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "no answer in time".into(),
            _ => error.to_string(),
        };
        CallError::Connection(format!("{}: {reason}", target.url))
    };
    let stream = connect(&target.authority).map_err(lost)?;
    let response = exchange(stream, &bytes).map_err(lost)?;
    match jsonrpc::answer(&response.body, 1) {
        Ok(result) => Ok(result),
        Err(AnswerError::Rpc { code, message }) => Err(CallError::Rpc { code, message }),
        Err(AnswerError::Malformed(_)) if response.status != 200 => {
            Err(CallError::Answer(format!("{} answers with HTTP status {}", target.url, response.status)))
        }
        Err(AnswerError::Malformed(what)) => Err(CallError::Answer(format!("{}: {what}", target.url))),
    }
}

/// A result as a terminal shows it: text as it is, anything else as indented JSON.
pub fn shown(result: &Value) -> String {
    match result {
        Value::String(text) => text.clone(),
        other => format!("{other:#}"),
    }
}

fn connect(authority: &str) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in authority.to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn exchange(mut stream: TcpStream, bytes: &[u8]) -> io::Result<HttpResponse> {
    let deadline = Instant::now() + ANSWER;
    stream.set_write_timeout(Some(ANSWER))?;
    stream.write_all(bytes)?;
    let mut reader = ResponseReader::new(limits::NODE_RESPONSE);
    let mut buffer = [0; 16 * 1024];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Zero would mean for ever.
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let response = match stream.read(&mut buffer)? {
            0 => Some(reader.finish().unwrap_or(Err(crate::wire::http::HttpError::Truncated))),
            count => {
                reader.push(&buffer[..count]);
                reader.next()
            }
        };
        if let Some(response) = response {
            return response.map_err(io::Error::other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::url::http_url;
    use serde_json::json;
    use std::net::TcpListener;

    /// Answers one connection with `response` after reading the whole request, which is given back.
    fn served(response: &str, authorization: Option<&str>) -> (String, Result<Value, CallError>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = http_url(&format!("http://{}/rpc", listener.local_addr().unwrap()), 80).unwrap();
        let response = response.to_string();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = vec![0; 4_096];
            let mut length = 0;
            while !seen[..length].ends_with(b"}") {
                length += stream.read(&mut seen[length..]).unwrap();
            }
            stream.write_all(response.as_bytes()).unwrap();
            String::from_utf8(seen[..length].to_vec()).unwrap()
        });
        let result = call(&target, authorization, "getblocks", &json!([2]));
        (server.join().unwrap(), result)
    }

    fn with_length(status: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[test]
    fn a_call_is_one_post_and_its_result_comes_back() {
        let (request, result) =
            served(&with_length("200 OK", "{\"result\":{\"a\":[1]},\"error\":null,\"id\":1}"), Some("Bearer t"));
        assert!(request.starts_with("POST /rpc HTTP/1.1\r\n"), "{request}");
        assert!(request.contains("\r\nAuthorization: Bearer t\r\n"), "{request}");
        assert!(request.contains("\"method\":\"getblocks\"") && request.contains("\"params\":[2]"), "{request}");
        assert_eq!(result, Ok(json!({ "a": [1] })));
        let closed = "HTTP/1.0 200 OK\r\n\r\n{\"result\":null,\"id\":1}";
        assert_eq!(served(closed, None).1, Ok(Value::Null));
    }

    #[test]
    fn refusals_are_shown_as_bitcoin_cli_does() {
        let refused = "{\"result\":null,\"error\":{\"code\":-8,\"message\":\"unknown address\"},\"id\":1}";
        let error = served(&with_length("500 Internal Server Error", refused), None).1.unwrap_err();
        assert_eq!(error.to_string(), "error code: -8\nerror message:\nunknown address");
        for (other, named) in [
            (with_length("404 Not Found", "<html>"), "HTTP status 404"),
            (with_length("200 OK", "hello"), "is this the pool's RPC port?"),
            ("SSH-2.0-OpenSSH\r\n".into(), "error: http://127.0.0.1"),
            ("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".into(), "error: http://127.0.0.1"),
        ] {
            let error = served(&other, None).1.unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn a_pool_that_does_not_run_is_told() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = call(&http_url(&format!("http://{free}"), 80).unwrap(), None, "x", &json!([])).unwrap_err();
        assert!(error.to_string().ends_with("check that edgepool runs, and --url"), "{error}");
    }

    #[test]
    fn text_is_shown_raw_and_the_rest_as_json() {
        assert_eq!(shown(&json!("two\nlines")), "two\nlines");
        assert_eq!(shown(&json!({ "a": 1 })), "{\n  \"a\": 1\n}");
    }
}
