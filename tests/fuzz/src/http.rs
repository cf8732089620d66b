//! HTTP: what programs ask of the status port, and what nodes answer.

use edgepool::wire::http::{RequestReader, ResponseReader};

use super::pieces;

/// Bounds of a head and a body: short, so that noise reaches them.
const MAX: usize = 512;

/// Requests and responses are the same however the bytes are cut.
pub fn http(bytes: &[u8]) {
    assert_eq!(requests(std::iter::once(bytes)), requests(pieces(bytes)));
    assert_eq!(responses(std::iter::once(bytes)), responses(pieces(bytes)));
}

fn requests<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> Vec<String> {
    let mut reader = RequestReader::new(MAX, MAX);
    let mut requests = Vec::new();
    for piece in pieces {
        reader.push(piece);
        while let Some(request) = reader.next() {
            requests.push(format!("{request:?}"));
        }
    }
    requests
}

fn responses<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> Vec<String> {
    let mut reader = ResponseReader::new(MAX);
    let mut responses = Vec::new();
    for piece in pieces {
        reader.push(piece);
        while let Some(response) = reader.next() {
            responses.push(format!("{response:?}"));
        }
    }
    responses.extend(reader.finish().map(|last| format!("{last:?}")));
    assert!(!reader.is_busy() || reader.next().is_none());
    responses
}
