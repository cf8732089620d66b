//! HTTP/1.0 and 1.1, both sides: [`RequestReader`] and [`response`] for the status port, [`ResponseReader`]
//! and [`request`] for coin nodes. Incremental and bounded: the same messages come out however the bytes
//! were cut, and a peer that goes over a bound is refused before its bytes are kept.

mod body;
mod client;
mod server;

pub use client::{HttpResponse, ResponseReader, request};
pub use server::{CONTINUE, HttpRequest, RequestReader, response};

use std::fmt;

/// Why a message can't be read. The connection is of no more use after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The head (start line and headers) is over its bound.
    HeadTooLarge,
    /// The body is over its bound, or says that it will be.
    BodyTooLarge,
    /// A JSON text where HTTP should begin: the first line of a mining rig.
    Stratum,
    /// Not HTTP, or contradicting itself.
    Malformed(&'static str),
    /// HTTP, but a transfer coding that isn't understood here.
    Unsupported(&'static str),
    /// The connection closed in the middle of the message.
    Truncated,
}

impl HttpError {
    /// The status that a server answers with.
    pub fn status(self) -> u16 {
        match self {
            HttpError::HeadTooLarge => 431,
            HttpError::BodyTooLarge => 413,
            HttpError::Stratum | HttpError::Malformed(_) | HttpError::Truncated => 400,
            HttpError::Unsupported(_) => 501,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HttpError::HeadTooLarge => f.write_str("the HTTP head is too large"),
            HttpError::BodyTooLarge => f.write_str("the HTTP body is too large"),
            HttpError::Stratum => f.write_str("stratum rather than HTTP"),
            HttpError::Malformed(what) => write!(f, "malformed HTTP: {what}"),
            HttpError::Unsupported(what) => write!(f, "HTTP that is not supported: {what}"),
            HttpError::Truncated => f.write_str("the connection closed in the middle of an HTTP message"),
        }
    }
}

impl std::error::Error for HttpError {}

/// Headers that a head may have.
const HEADERS: usize = 64;

/// What has been read of a stream and not yet been used.
#[derive(Debug, Default)]
struct Input {
    bytes: Vec<u8>,
    /// Up to where no end of a head is known to be, so that a slow head is not searched again and again.
    scanned: usize,
}

impl Input {
    /// Length of the whole head at the front, its empty line included; `None` while it is unfinished. Empty
    /// lines before it are dropped, as RFC 9112 (2.2) asks of servers.
    fn head(&mut self, max: usize) -> Result<Option<usize>, HttpError> {
        if self.scanned == 0 {
            let blank = self.bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
            self.consume(blank);
        }
        for index in self.scanned..self.bytes.len() {
            let before = &self.bytes[..=index];
            if before.ends_with(b"\n\n") || before.ends_with(b"\n\r\n") {
                let len = index + 1;
                return if len <= max { Ok(Some(len)) } else { Err(HttpError::HeadTooLarge) };
            }
        }
        self.scanned = self.bytes.len();
        if self.bytes.len() >= max { Err(HttpError::HeadTooLarge) } else { Ok(None) }
    }

    fn consume(&mut self, len: usize) {
        if len >= self.bytes.len() {
            self.bytes = Vec::new();
        } else if len > 0 {
            self.bytes.drain(..len);
        }
        self.scanned = 0;
    }
}

/// The value of a header whose meaning doesn't survive being sent twice.
fn single<'h>(headers: &[httparse::Header<'h>], name: &str) -> Result<Option<&'h [u8]>, HttpError> {
    let mut values = headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value);
    let first = values.next();
    if values.any(|value| Some(value) != first) {
        return Err(HttpError::Malformed("a header is given twice with different values"));
    }
    Ok(first)
}

/// As [`single`], as text; what isn't UTF-8 counts as absent.
fn text(headers: &[httparse::Header<'_>], name: &str) -> Result<Option<String>, HttpError> {
    Ok(single(headers, name)?.and_then(|value| std::str::from_utf8(value).ok()).map(|value| value.trim().to_owned()))
}

/// Whether a comma-separated header names `token`, in any case.
fn lists(headers: &[httparse::Header<'_>], name: &str, token: &str) -> bool {
    headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case(name))
        .flat_map(|header| header.value.split(|byte| *byte == b','))
        .any(|item| item.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// Whether the connection is used again, by the rules of the message's minor version.
fn keeps_alive(headers: &[httparse::Header<'_>], minor: Option<u8>) -> bool {
    match minor {
        Some(1) => !lists(headers, "connection", "close"),
        _ => lists(headers, "connection", "keep-alive") && !lists(headers, "connection", "close"),
    }
}

#[cfg(test)]
mod tests;
