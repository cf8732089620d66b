//! A coin node's client side of HTTP: one request out, one response in. The status is a value like any
//! other: nodes send their errors in bodies of 500 and 404, so every body is read.

use super::body::{Body, Framing};
use super::{HEADERS, HttpError, Input, keeps_alive};
use crate::base::limits::HTTP_HEAD;

/// One whole response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// 200 and so on; never an interim status (1xx).
    pub status: u16,
    /// Whether the server keeps the connection open for another request.
    pub keep_alive: bool,
    /// The body without framing.
    pub body: Vec<u8>,
}

/// Reads the responses of one connection.
#[derive(Debug)]
pub struct ResponseReader {
    max_body: usize,
    input: Input,
    state: State,
}

#[derive(Debug)]
enum State {
    Head,
    Body(HttpResponse, Body),
    Failed,
}

impl ResponseReader {
    /// A reader for bodies of at most `max_body` bytes. Allocates nothing yet.
    pub fn new(max_body: usize) -> ResponseReader {
        ResponseReader { max_body, input: Input::default(), state: State::Head }
    }

    /// Appends what was read. Ignored after an error.
    pub fn push(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Failed) {
            self.input.bytes.extend_from_slice(bytes);
        }
    }

    /// The next whole response; `None` until more comes. An error comes once.
    #[expect(clippy::should_implement_trait, reason = "more may come after None, which surprises of an Iterator")]
    pub fn next(&mut self) -> Option<Result<HttpResponse, HttpError>> {
        let outcome = self.advance().transpose()?;
        if outcome.is_err() {
            self.fail();
        }
        Some(outcome)
    }

    /// The connection closed: the response that ends with it, an error where one was cut off, or `None`
    /// where none had begun.
    pub fn finish(&mut self) -> Option<Result<HttpResponse, HttpError>> {
        if let Some(outcome) = self.next() {
            return Some(outcome);
        }
        let begun = !self.input.bytes.is_empty();
        match self.fail() {
            State::Body(response, body) if body.ends_with_connection() => {
                Some(Ok(HttpResponse { body: body.into_bytes(), ..response }))
            }
            State::Body(..) => Some(Err(HttpError::Truncated)),
            State::Head if begun => Some(Err(HttpError::Truncated)),
            State::Head | State::Failed => None,
        }
    }

    /// Whether bytes came that belong to no response that was taken.
    pub fn is_busy(&self) -> bool {
        !self.input.bytes.is_empty() || !matches!(self.state, State::Head)
    }

    fn fail(&mut self) -> State {
        self.input = Input::default();
        std::mem::replace(&mut self.state, State::Failed)
    }

    fn advance(&mut self) -> Result<Option<HttpResponse>, HttpError> {
        while matches!(self.state, State::Head) {
            let Some(len) = self.input.head(HTTP_HEAD)? else { return Ok(None) };
            let (response, framing) = parse_head(&self.input.bytes[..len])?;
            self.input.consume(len);
            if response.status >= 200 {
                self.state = State::Body(response, Body::new(framing, self.max_body)?);
            }
        }
        let State::Body(_, body) = &mut self.state else { return Ok(None) };
        let used = body.feed(&self.input.bytes)?;
        self.input.consume(used);
        if !body.is_done() {
            return Ok(None);
        }
        match std::mem::replace(&mut self.state, State::Head) {
            State::Body(response, body) => Ok(Some(HttpResponse { body: body.into_bytes(), ..response })),
            State::Head | State::Failed => Ok(None),
        }
    }
}

fn parse_head(bytes: &[u8]) -> Result<(HttpResponse, Framing), HttpError> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Response::new(&mut headers);
    match head.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => {}
        Err(httparse::Error::TooManyHeaders) => return Err(HttpError::HeadTooLarge),
        Ok(httparse::Status::Partial) | Err(_) => return Err(HttpError::Malformed("response head")),
    }
    let status = head.code.ok_or(HttpError::Malformed("status line"))?;
    if status == 101 || status < 100 {
        return Err(HttpError::Malformed("a status that was not asked for"));
    }
    let framing = match status {
        100..=199 | 204 | 304 => Framing::Length(0),
        _ => Framing::of(head.headers)?.unwrap_or(Framing::Close),
    };
    let keep_alive = keeps_alive(head.headers, head.version) && framing != Framing::Close;
    Ok((HttpResponse { status, keep_alive, body: Vec::new() }, framing))
}

/// A JSON-RPC call as one whole POST. `host` is `host:port`, `authorization` a whole header value such as
/// `Basic dTpw`.
pub fn request(host: &str, path: &str, authorization: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n");
    if let Some(value) = authorization {
        head.push_str(&format!("Authorization: {value}\r\n"));
    }
    head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
