//! Line framing.

use edgepool::wire::line::LineBuffer;

use super::pieces;

/// The longest line here: short, so that noise reaches it.
const MAX: usize = 24;

/// The lines are those that splitting the whole at its newlines gives, however the bytes are cut.
pub fn line(bytes: &[u8]) {
    let whole = lines(std::iter::once(bytes));
    assert_eq!(whole, lines(pieces(bytes)));
    assert_eq!(whole, split(bytes));
}

/// The lines, and whether one was too long.
type Lines = (Vec<Vec<u8>>, bool);

fn lines<'b>(pieces: impl Iterator<Item = &'b [u8]>) -> Lines {
    let mut buffer = LineBuffer::new(MAX);
    let (mut lines, mut too_long) = (Vec::new(), false);
    for piece in pieces {
        let mut fed = buffer.feed(piece);
        while let Some(line) = fed.next() {
            assert!(!too_long, "nothing comes after a line that was too long");
            match line {
                Ok(line) => lines.push(line.to_vec()),
                Err(_) => too_long = true,
            }
        }
    }
    (lines, too_long)
}

fn split(bytes: &[u8]) -> Lines {
    let mut lines = Vec::new();
    let mut parts: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let unfinished = parts.pop().unwrap_or_default();
    let short = |part: &[u8]| part.strip_suffix(b"\r").unwrap_or(part).to_vec();
    for part in parts.into_iter().map(short) {
        if part.len() > MAX {
            return (lines, true);
        }
        if !part.is_empty() {
            lines.push(part);
        }
    }
    (lines, short(unfinished).len() > MAX)
}
