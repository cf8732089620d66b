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

/// Cuts a stream into lines: [`feed`](LineBuffer::feed) it what was read. Memory is bounded by one unfinished line.
#[derive(Debug)]
pub struct LineBuffer {
    max: usize,
    /// The line that has begun and not ended.
    unfinished: Vec<u8>,
    poisoned: bool,
}

impl LineBuffer {
    /// A buffer for lines of at most `max` bytes, not counting `\n` or `\r\n`. Allocates nothing yet.
    pub fn new(max: usize) -> LineBuffer {
        LineBuffer { max, unfinished: Vec::new(), poisoned: false }
    }

    /// The lines that end in `input`, which was read after everything before. Whole lines are borrowed from it; what
    /// follows the last is kept once there is no line left to take.
    pub fn feed<'l, 'i>(&'l mut self, input: &'i [u8]) -> Lines<'l, 'i> {
        Lines { buffer: self, input, was_kept: false }
    }

    /// The buffer with what it holds, and an empty one in its place.
    pub fn take(&mut self) -> LineBuffer {
        let empty = LineBuffer::new(self.max);
        std::mem::replace(self, empty)
    }

    fn poison(&mut self) -> LineTooLong {
        *self = LineBuffer { poisoned: true, ..LineBuffer::new(self.max) };
        LineTooLong { max: self.max }
    }
}

/// See [`LineBuffer::feed`].
#[derive(Debug)]
pub struct Lines<'l, 'i> {
    buffer: &'l mut LineBuffer,
    input: &'i [u8],
    /// The line given last was begun by earlier input: it is let go of now.
    was_kept: bool,
}

impl Lines<'_, '_> {
    /// The next line without its ending (`\n` or `\r\n`); empty lines are skipped. `None` until more comes.
    /// A line over the bound is an error once; after it there is nothing.
    #[expect(clippy::should_implement_trait, reason = "a line borrows from the buffer, which Iterator can't say")]
    pub fn next(&mut self) -> Option<Result<&[u8], LineTooLong>> {
        loop {
            if std::mem::take(&mut self.was_kept) {
                // Thousands of quiet connections must cost no buffers.
                self.buffer.unfinished = Vec::new();
            }
            if self.buffer.poisoned {
                return None;
            }
            let Some(offset) = self.input.iter().position(|byte| *byte == b'\n') else {
                return self.keep().err().map(Err);
            };
            let (end, rest) = (&self.input[..offset], &self.input[offset + 1..]);
            self.input = rest;
            if self.buffer.unfinished.is_empty() {
                let line = without_return(end);
                if line.len() > self.buffer.max {
                    return Some(Err(self.buffer.poison()));
                }
                if !line.is_empty() {
                    return Some(Ok(line));
                }
                continue;
            }
            self.was_kept = true;
            if self.buffer.unfinished.len() + end.len() > self.buffer.max + 1 {
                return Some(Err(self.buffer.poison()));
            }
            self.buffer.unfinished.extend_from_slice(end);
            let length = without_return(&self.buffer.unfinished).len();
            if length > self.buffer.max {
                return Some(Err(self.buffer.poison()));
            }
            if length > 0 {
                return Some(Ok(&self.buffer.unfinished[..length]));
            }
        }
    }

    /// Keeps what is left of the input: a line that has begun.
    fn keep(&mut self) -> Result<(), LineTooLong> {
        let rest = std::mem::take(&mut self.input);
        let length = self.buffer.unfinished.len() + rest.len();
        // A return at the end may yet be half of the line's ending.
        let ends_with_return = rest.last().or(self.buffer.unfinished.last()) == Some(&b'\r');
        if length - usize::from(ends_with_return) > self.buffer.max {
            return Err(self.buffer.poison());
        }
        self.buffer.unfinished.extend_from_slice(rest);
        Ok(())
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn drain(buffer: &mut LineBuffer, input: &[u8], lines: &mut Vec<Result<Vec<u8>, LineTooLong>>) {
        let mut fed = buffer.feed(input);
        while let Some(line) = fed.next() {
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
                drain(&mut buffer, chunk, &mut lines);
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
        let mut lines = buffer.feed(&[b'x'; 9_000]);
        assert_eq!(lines.next(), Some(Err(LineTooLong { max: 4 })));
        assert_eq!(lines.next(), None);
        assert_eq!(buffer.feed(b"\nab\n").next(), None);
        assert_eq!(buffer.unfinished.capacity(), 0);
    }

    #[test]
    fn nothing_is_kept_between_lines() {
        let mut buffer = LineBuffer::new(1_024);
        for input in [&b"{\"id\":1}\n{\"id\":2}\n"[..], b"{\"id\":1}\n{\"id", b"\":2}\n"] {
            let mut lines = buffer.feed(input);
            while lines.next().is_some() {}
        }
        assert_eq!(buffer.unfinished.capacity(), 0);
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_lines_of_one_push(
            input in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'a')], 0..64),
            cuts in proptest::collection::vec(1usize..8, 64),
        ) {
            let mut whole = LineBuffer::new(5);
            let mut expected = Vec::new();
            drain(&mut whole, &input, &mut expected);

            let mut buffer = LineBuffer::new(5);
            let mut lines = Vec::new();
            let mut rest = input.as_slice();
            for cut in cuts {
                let (chunk, after) = rest.split_at(cut.min(rest.len()));
                rest = after;
                drain(&mut buffer, chunk, &mut lines);
                prop_assert!(buffer.unfinished.len() <= 6, "one unfinished line and its return at most");
            }
            prop_assert_eq!(lines, expected);
        }
    }
}
