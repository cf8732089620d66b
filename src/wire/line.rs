//! Bounded line framing for stratum: bytes as they arrive in, whole lines out, the same lines however the
//! bytes were cut. Never keeps more than one unfinished line, and nothing at all between lines.

use std::fmt;

/// A peer sent more bytes than a line may have; it can't be understood from here on and must be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineTooLong {
    /// The longest line allowed, in bytes without the newline.
    pub max: usize,
}

impl fmt::Display for LineTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line is longer than {} bytes", self.max)
    }
}

impl std::error::Error for LineTooLong {}

/// Cuts a stream into lines. After each [`push`](LineBuffer::push) take lines until there is none: then
/// memory is bounded by one line and one read.
#[derive(Debug)]
pub struct LineBuffer {
    max: usize,
    bytes: Vec<u8>,
    /// Where the first line not yet given begins.
    start: usize,
    /// Up to where no newline is known to be, so that a byte is looked at once.
    scanned: usize,
    poisoned: bool,
}

impl LineBuffer {
    /// A buffer for lines of at most `max` bytes, not counting `\n` or `\r\n`. Allocates nothing yet.
    pub fn new(max: usize) -> LineBuffer {
        LineBuffer { max, bytes: Vec::new(), start: 0, scanned: 0, poisoned: false }
    }

    /// Appends what was read. Ignored after a line was too long.
    pub fn push(&mut self, bytes: &[u8]) {
        if !self.poisoned {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// The next line without its ending (`\n` or `\r\n`); empty lines are skipped. `None` until more comes.
    /// A line over the bound is an error once; after it there is nothing.
    #[expect(clippy::should_implement_trait, reason = "a line borrows from the buffer, which Iterator can't say")]
    pub fn next(&mut self) -> Option<Result<&[u8], LineTooLong>> {
        loop {
            let Some(offset) = self.bytes[self.scanned..].iter().position(|byte| *byte == b'\n') else {
                self.scanned = self.bytes.len();
                let pending = &self.bytes[self.start..];
                // A return at the end may yet be half of the line's ending.
                if pending.strip_suffix(b"\r").unwrap_or(pending).len() > self.max {
                    return Some(Err(self.poison()));
                }
                self.compact();
                return None;
            };
            let start = self.start;
            let newline = self.scanned + offset;
            self.start = newline + 1;
            self.scanned = newline + 1;
            let end = if self.bytes[start..newline].ends_with(b"\r") { newline - 1 } else { newline };
            if end - start > self.max {
                return Some(Err(self.poison()));
            }
            if end > start {
                return Some(Ok(&self.bytes[start..end]));
            }
        }
    }

    fn poison(&mut self) -> LineTooLong {
        *self = LineBuffer { poisoned: true, ..LineBuffer::new(self.max) };
        LineTooLong { max: self.max }
    }

    /// Lets go of lines already given: thousands of quiet connections must cost no buffers.
    fn compact(&mut self) {
        if self.start > 0 {
            self.bytes = self.bytes[self.start..].to_vec();
            self.scanned -= self.start;
            self.start = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drain(buffer: &mut LineBuffer, lines: &mut Vec<Result<Vec<u8>, LineTooLong>>) {
        while let Some(line) = buffer.next() {
            lines.push(line.map(<[u8]>::to_vec));
        }
    }

    #[track_caller]
    fn case(input: &[u8], expected: &[Result<&[u8], LineTooLong>]) {
        let expected: Vec<_> = expected.iter().map(|line| line.map(<[u8]>::to_vec)).collect();
        for size in 1..=input.len().max(1) {
            let mut buffer = LineBuffer::new(4);
            let mut lines = Vec::new();
            for chunk in input.chunks(size) {
                buffer.push(chunk);
                drain(&mut buffer, &mut lines);
            }
            assert_eq!(lines, expected, "in chunks of {size}");
        }
    }

    #[test]
    fn lines_are_the_same_however_they_are_cut() {
        let too_long = Err(LineTooLong { max: 4 });
        case(b"", &[]);
        case(b"ab", &[]);
        case(b"ab\ncd\r\n", &[Ok(b"ab"), Ok(b"cd")]);
        case(b"\n\r\n\nab\n\n", &[Ok(b"ab")]);
        case(b"a\rb\n", &[Ok(b"a\rb")]);
        case(b"abcd\nabcd\r\n", &[Ok(b"abcd"), Ok(b"abcd")]);
        case(b"ab\nabcde\ncd\n", &[Ok(b"ab"), too_long]);
        case(b"abcd\r\r\nab\n", &[too_long]);
        case(b"abcd\rx\n", &[too_long]);
        case(b"abcde", &[too_long]);
    }

    #[test]
    fn an_over_long_line_ends_the_stream_and_frees_its_memory() {
        let mut buffer = LineBuffer::new(4);
        buffer.push(&[b'x'; 9_000]);
        assert_eq!(buffer.next(), Some(Err(LineTooLong { max: 4 })));
        buffer.push(b"\nab\n");
        assert_eq!(buffer.next(), None);
        assert_eq!(buffer.bytes.capacity(), 0);
    }

    #[test]
    fn nothing_is_kept_between_lines() {
        let mut buffer = LineBuffer::new(1_024);
        buffer.push(b"{\"id\":1}\n{\"id\":2}\n");
        while buffer.next().is_some() {}
        assert_eq!(buffer.bytes.capacity(), 0);
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_lines_of_one_push(
            input in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a')], 0..64),
            cuts in proptest::collection::vec(1usize..8, 64),
        ) {
            let mut whole = LineBuffer::new(5);
            let mut expected = Vec::new();
            whole.push(&input);
            drain(&mut whole, &mut expected);

            let mut buffer = LineBuffer::new(5);
            let mut lines = Vec::new();
            let mut rest = input.as_slice();
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                rest = after;
                buffer.push(chunk);
                drain(&mut buffer, &mut lines);
                prop_assert!(buffer.bytes.len() <= 6, "one unfinished line and its return at most");
            }
            prop_assert_eq!(lines, expected);
        }
    }
}
