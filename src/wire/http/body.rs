//! The body of a message of either side: where it ends, and its bytes without the framing.

use super::{HttpError, lists, single};

/// Longest line of a chunk's size with its extensions, in bytes.
const CHUNK_LINE: usize = 256;
/// Bytes of trailers that are read, and dropped, after the last chunk.
const TRAILERS: usize = 4_096;

/// How the end of a body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After so many bytes.
    Length(usize),
    /// By a chunk of size 0.
    Chunked,
    /// By the end of the connection (answers only).
    Close,
}

impl Framing {
    /// What the headers say; `None` when they say nothing. Contradictions are refused, not resolved: two
    /// readers that resolve them differently can be played against each other (RFC 9112, 6.3).
    pub fn of(headers: &[httparse::Header<'_>]) -> Result<Option<Framing>, HttpError> {
        let length = single(headers, "content-length")?;
        match (length, single(headers, "transfer-encoding")?) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(HttpError::Malformed("both Content-Length and Transfer-Encoding")),
            (Some(digits), None) => parse_length(digits.trim_ascii()).map(Framing::Length).map(Some),
            (None, Some(_)) if lists(headers, "transfer-encoding", "chunked") => match headers
                .iter()
                .filter(|header| header.name.eq_ignore_ascii_case("transfer-encoding"))
                .all(|header| header.value.trim_ascii().eq_ignore_ascii_case(b"chunked"))
            {
                true => Ok(Some(Framing::Chunked)),
                false => Err(HttpError::Unsupported("a transfer coding beside chunked")),
            },
            (None, Some(_)) => Err(HttpError::Unsupported("a transfer coding other than chunked")),
        }
    }
}

/// Only digits, as RFC 9110 says; a length too large for the machine is over any bound.
fn parse_length(digits: &[u8]) -> Result<usize, HttpError> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(HttpError::Malformed("Content-Length is not a number"));
    }
    let text = std::str::from_utf8(digits).map_err(|_| HttpError::Malformed("Content-Length is not a number"))?;
    text.parse().map_err(|_| HttpError::BodyTooLarge)
}

#[derive(Debug)]
enum State {
    /// So many bytes of a body of known length are still to come.
    Length(usize),
    /// In the line with a chunk's size.
    Size(Vec<u8>),
    /// So many bytes of a chunk are still to come.
    Chunk(usize),
    /// Between a chunk's bytes and the next size.
    ChunkEnd,
    /// After the last chunk: bytes read of the trailers, and those of the current line.
    Trailers {
        read: usize,
        line: usize,
    },
    Close,
    Done,
}

/// A body being read.
#[derive(Debug)]
pub struct Body {
    state: State,
    bytes: Vec<u8>,
    max: usize,
}

impl Body {
    /// A body of at most `max` bytes. Where its length is told, room is made once: a template of many
    /// megabytes is not to be moved while it grows, and `max` bounds what a lie can reserve.
    pub fn new(framing: Framing, max: usize) -> Result<Body, HttpError> {
        let state = match framing {
            Framing::Length(len) if len > max => return Err(HttpError::BodyTooLarge),
            Framing::Length(0) => State::Done,
            Framing::Length(len) => State::Length(len),
            Framing::Chunked => State::Size(Vec::new()),
            Framing::Close => State::Close,
        };
        let bytes = match framing {
            Framing::Length(len) => Vec::with_capacity(len),
            Framing::Chunked | Framing::Close => Vec::new(),
        };
        Ok(Body { state, bytes, max })
    }

    /// Reads what belongs to the body; returns how many bytes of `input` that were. Fewer than all only
    /// when the body is done.
    pub fn feed(&mut self, input: &[u8]) -> Result<usize, HttpError> {
        let mut rest = input;
        while !rest.is_empty() && !self.is_done() {
            rest = self.step(rest)?;
        }
        Ok(input.len() - rest.len())
    }

    /// Whether the end was seen.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Whether the end of the connection is the end of this body.
    pub fn ends_with_connection(&self) -> bool {
        matches!(self.state, State::Close)
    }

    /// The bytes read so far, without framing.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Reads a part of `input`, which is not empty; returns the rest of it.
    fn step<'i>(&mut self, input: &'i [u8]) -> Result<&'i [u8], HttpError> {
        match &mut self.state {
            State::Length(left) | State::Chunk(left) => {
                let (taken, rest) = input.split_at(input.len().min(*left));
                *left -= taken.len();
                let finished = *left == 0;
                self.bytes.extend_from_slice(taken);
                if finished {
                    self.state = if matches!(self.state, State::Chunk(_)) { State::ChunkEnd } else { State::Done };
                }
                Ok(rest)
            }
            State::Close => {
                if self.bytes.len() + input.len() > self.max {
                    return Err(HttpError::BodyTooLarge);
                }
                self.bytes.extend_from_slice(input);
                Ok(&[])
            }
            State::Size(line) => {
                let (byte, rest) = split_first(input);
                if byte != b'\n' {
                    line.push(byte);
                    return if line.len() > CHUNK_LINE { Err(HttpError::Malformed("chunk size")) } else { Ok(rest) };
                }
                self.state = match chunk_size(line)? {
                    0 => State::Trailers { read: 0, line: 0 },
                    size if size > self.max - self.bytes.len() => return Err(HttpError::BodyTooLarge),
                    size => State::Chunk(size),
                };
                Ok(rest)
            }
            State::ChunkEnd => {
                let (byte, rest) = split_first(input);
                match byte {
                    b'\r' => {}
                    b'\n' => self.state = State::Size(Vec::new()),
                    _ => return Err(HttpError::Malformed("a chunk is longer than its size")),
                }
                Ok(rest)
            }
            State::Trailers { read, line } => {
                let (byte, rest) = split_first(input);
                *read += 1;
                match byte {
                    b'\n' if *line == 0 => self.state = State::Done,
                    _ if *read > TRAILERS => return Err(HttpError::HeadTooLarge),
                    b'\n' => *line = 0,
                    b'\r' => {}
                    _ => *line += 1,
                }
                Ok(rest)
            }
            State::Done => Ok(input),
        }
    }
}

fn split_first(input: &[u8]) -> (u8, &[u8]) {
    let (byte, rest) = input.split_first().expect("a step is only made with input");
    (*byte, rest)
}

/// The number before any extension; one too large for the machine is over any bound.
fn chunk_size(line: &[u8]) -> Result<usize, HttpError> {
    let malformed = HttpError::Malformed("chunk size");
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(malformed);
    }
    let text = std::str::from_utf8(digits).map_err(|_| malformed)?;
    usize::from_str_radix(text, 16).map_err(|_| HttpError::BodyTooLarge)
}
