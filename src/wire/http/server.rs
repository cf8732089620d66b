//! The status port's side of HTTP: requests in, responses out. Knows no paths and checks no passwords.

use super::body::{Body, Framing};
use super::{HEADERS, HttpError, Input, keeps_alive, lists, text};

/// What a client that sent `Expect: 100-continue` waits for before it sends its body.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// One whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// `GET`, `POST` and so on, as sent.
    pub method: String,
    /// The request target, with its query if there is one.
    pub path: String,
    /// `Authorization`.
    pub authorization: Option<String>,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Host`: lets a server refuse names that aren't its own (DNS rebinding).
    pub host: Option<String>,
    /// `Origin`: present when a page in a browser asks.
    pub origin: Option<String>,
    /// Whether the client would use the connection again.
    pub keep_alive: bool,
    /// The body without framing; empty where there is none.
    pub body: Vec<u8>,
}

/// Reads requests of one connection, one after another. After each [`push`](RequestReader::push) take
/// requests until there is none.
#[derive(Debug)]
pub struct RequestReader {
    max_head: usize,
    max_body: usize,
    input: Input,
    state: State,
    wants_continue: bool,
}

#[derive(Debug)]
enum State {
    Head,
    /// The request so far, and its body.
    Body(Box<HttpRequest>, Body),
    Failed,
}

impl RequestReader {
    /// A reader with its bounds in bytes. Allocates nothing yet.
    pub fn new(max_head: usize, max_body: usize) -> RequestReader {
        RequestReader { max_head, max_body, input: Input::default(), state: State::Head, wants_continue: false }
    }

    /// Appends what was read. Ignored after an error.
    pub fn push(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Failed) {
            self.input.bytes.extend_from_slice(bytes);
        }
    }

    /// The next whole request; `None` until more comes. An error comes once: answer with its status and
    /// close.
    #[expect(clippy::should_implement_trait, reason = "more may come after None, which surprises of an Iterator")]
    pub fn next(&mut self) -> Option<Result<HttpRequest, HttpError>> {
        let outcome = self.advance().transpose()?;
        if outcome.is_err() {
            self.state = State::Failed;
            self.input = Input::default();
            self.wants_continue = false;
        }
        Some(outcome)
    }

    /// True once when the client waits for [`CONTINUE`] before it sends a body. To be asked when
    /// [`next`](RequestReader::next) gave `None`.
    pub fn take_continue(&mut self) -> bool {
        std::mem::take(&mut self.wants_continue)
    }

    /// Whether a request has begun to arrive.
    pub fn is_busy(&self) -> bool {
        matches!(self.state, State::Body(..)) || !self.input.bytes.is_empty()
    }

    fn advance(&mut self) -> Result<Option<HttpRequest>, HttpError> {
        if matches!(self.state, State::Head) {
            let head = self.input.head(self.max_head);
            match self.input.bytes.first() {
                // Its sender waits for an answer to its first line, and would wait in vain for the end of a head.
                Some(b'{') => return Err(HttpError::Stratum),
                // TLS begins with a byte that no text has.
                Some(byte) if byte.is_ascii_control() => return Err(HttpError::Malformed("no request")),
                _ => {}
            }
            let Some(len) = head? else { return Ok(None) };
            let (request, framing, expects) = parse_head(&self.input.bytes[..len])?;
            self.input.consume(len);
            self.wants_continue = expects;
            self.state = State::Body(Box::new(request), Body::new(framing, self.max_body)?);
        }
        let State::Body(_, body) = &mut self.state else { return Ok(None) };
        let used = body.feed(&self.input.bytes)?;
        self.input.consume(used);
        if !body.is_done() {
            return Ok(None);
        }
        let State::Body(request, body) = std::mem::replace(&mut self.state, State::Head) else { return Ok(None) };
        // A body that is already here was sent without waiting.
        self.wants_continue = false;
        Ok(Some(HttpRequest { body: body.into_bytes(), ..*request }))
    }
}

fn parse_head(bytes: &[u8]) -> Result<(HttpRequest, Framing, bool), HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Ok(httparse::Status::Partial) => return Err(HttpError::Malformed("request head")),
        Err(httparse::Error::TooManyHeaders) => return Err(HttpError::HeadTooLarge),
        Err(_) => return Err(HttpError::Malformed("request head")),
    }
    let (Some(method), Some(path)) = (head.method, head.path) else {
        return Err(HttpError::Malformed("request line"));
    };
    let request = HttpRequest {
        method: method.to_owned(),
        path: path.to_owned(),
        authorization: text(head.headers, "authorization")?,
        content_type: text(head.headers, "content-type")?,
        host: text(head.headers, "host")?,
        origin: text(head.headers, "origin")?,
        keep_alive: keeps_alive(head.headers, head.version),
        body: Vec::new(),
    };
    // A request without either header has no body (RFC 9112, 6.3).
    let framing = Framing::of(head.headers)?.unwrap_or(Framing::Length(0));
    let expects = head.version == Some(1) && lists(head.headers, "expect", "100-continue");
    Ok((request, framing, expects))
}

/// One whole response. `extra_headers` are the caller's own, never a peer's words.
pub fn response(
    status: u16,
    content_type: &str,
    body: &[u8],
    keep_alive: bool,
    extra_headers: &[(&str, &str)],
) -> Vec<u8> {
    let connection = if keep_alive { "keep-alive" } else { "close" };
    let mut head = format!("HTTP/1.1 {status} {}\r\nConnection: {connection}\r\n", reason(status));
    // RFC 9110 (8.6): no length where there can be no body.
    if status != 204 {
        head.push_str(&format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len()));
    }
    for (name, value) in extra_headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    if status != 204 {
        bytes.extend_from_slice(body);
    }
    bytes
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        _ => "",
    }
}
