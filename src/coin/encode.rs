//! The serialisation that every coin shares: little-endian integers, counts and lengths, script pushes. The reader
//! refuses what is cut off or not in its shortest form, and never reads beyond its slice.

use crate::base::Hash32;
use std::fmt;

/// Bytes that [`write_varint`] writes for `value`.
pub const fn varint_len(value: u64) -> usize {
    match value {
        0..=0xfc => 1,
        0xfd..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Appends a count or length in its shortest form ("CompactSize").
pub fn write_varint(out: &mut Vec<u8>, value: u64) {
    let bytes = value.to_le_bytes();
    match varint_len(value) {
        1 => out.push(bytes[0]),
        3 => {
            out.push(0xfd);
            out.extend_from_slice(&bytes[..2]);
        }
        5 => {
            out.push(0xfe);
            out.extend_from_slice(&bytes[..4]);
        }
        _ => {
            out.push(0xff);
            out.extend_from_slice(&bytes);
        }
    }
}

/// Appends `data` after its length.
pub fn write_bytes(out: &mut Vec<u8>, data: &[u8]) {
    write_varint(out, data.len() as u64);
    out.extend_from_slice(data);
}

/// Appends a script push of `data`, which must be shorter than 256 bytes: everything here lives in a scriptSig of at
/// most 100.
pub fn write_push(out: &mut Vec<u8>, data: &[u8]) {
    let length = u8::try_from(data.len()).expect("pushes in a coinbase are shorter than 256 bytes");
    if length > 0x4b {
        out.push(0x4c);
    }
    out.push(length);
    out.extend_from_slice(data);
}

/// Appends the block height as the first push of a coinbase (BIP 34): the script number in its shortest form, for
/// which heights up to 16 have opcodes of their own.
pub fn write_height(out: &mut Vec<u8>, height: u32) {
    match height {
        0 => out.push(0),
        1..=16 => out.push(0x50 + height as u8),
        _ => {
            let bytes = height.to_le_bytes();
            let used = 4 - height.leading_zeros() as usize / 8;
            // The highest bit is a sign, so a height that sets it needs one byte more.
            let sign = bytes[used - 1] & 0x80 != 0;
            out.push((used + usize::from(sign)) as u8);
            out.extend_from_slice(&bytes[..used]);
            out.extend(sign.then_some(0));
        }
    }
}

/// What a hexadecimal digit stands for; [`NO_DIGIT`] for every other byte.
const DIGITS: [u8; 256] = {
    let mut digits = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value] as usize] = value as u8;
        digits[b"0123456789ABCDEF"[value] as usize] = value as u8;
        value += 1;
    }
    digits
};
const NO_DIGIT: u8 = 0xff;

/// Hexadecimal of any length; `None` unless it is pairs of digits. Three times as fast as the `hex` crate: a full
/// template has up to 8 MB of it, and rigs wait for new work meanwhile.
pub fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let mut seen = 0;
    let mut pair = |[high, low]: &[u8; 2]| {
        let (high, low) = (DIGITS[usize::from(*high)], DIGITS[usize::from(*low)]);
        seen |= high | low;
        high << 4 | low
    };
    let bytes = pairs.iter().map(&mut pair).collect();
    (rest.is_empty() && seen != NO_DIGIT).then_some(bytes)
}

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// They end too early.
    Truncated,
    /// A count or length is not in its shortest form.
    NotShortest,
    /// Bytes are left over.
    Trailing,
    /// What should be a push of data isn't.
    NotAPush,
    /// What should be a block height is no number that could be one.
    NotAHeight,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ReadError::Truncated => "ends too early",
            ReadError::NotShortest => "has a length that is not in its shortest form",
            ReadError::Trailing => "has bytes left over at its end",
            ReadError::NotAPush => "has something else where data should be pushed",
            ReadError::NotAHeight => "starts with a number that is no block height",
        })
    }
}

impl std::error::Error for ReadError {}

/// Takes serialised values off the front of a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Reads `bytes` from their start.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// What has not been read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Nothing may be left.
    pub fn finish(self) -> Result<(), ReadError> {
        if self.rest.is_empty() { Ok(()) } else { Err(ReadError::Trailing) }
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], ReadError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(ReadError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes, as an array.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], ReadError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(ReadError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// One byte.
    pub fn u8(&mut self) -> Result<u8, ReadError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    /// Four bytes, least significant first.
    pub fn u32(&mut self) -> Result<u32, ReadError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes, least significant first.
    pub fn u64(&mut self) -> Result<u64, ReadError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A hash, in internal byte order.
    pub fn hash(&mut self) -> Result<Hash32, ReadError> {
        self.array()
    }

    /// A count or length.
    pub fn varint(&mut self) -> Result<u64, ReadError> {
        let (value, length) = match self.u8()? {
            0xfd => (u64::from(u16::from_le_bytes(self.array()?)), 3),
            0xfe => (u64::from(self.u32()?), 5),
            0xff => (self.u64()?, 9),
            small => (u64::from(small), 1),
        };
        if length == varint_len(value) { Ok(value) } else { Err(ReadError::NotShortest) }
    }

    /// Bytes after their length.
    pub fn bytes(&mut self) -> Result<&'a [u8], ReadError> {
        let length = usize::try_from(self.varint()?).map_err(|_| ReadError::Truncated)?;
        self.take(length)
    }

    /// The data of a script push of less than 256 bytes.
    pub fn push(&mut self) -> Result<&'a [u8], ReadError> {
        let length = match self.u8()? {
            length @ 0..=0x4b => length,
            0x4c => self.u8()?,
            _ => return Err(ReadError::NotAPush),
        };
        self.take(usize::from(length))
    }

    /// The height that a coinbase starts with (BIP 34).
    pub fn height(&mut self) -> Result<u32, ReadError> {
        if let Some(small @ 0x51..=0x60) = self.rest.first() {
            let height = u32::from(small - 0x50);
            self.take(1)?;
            return Ok(height);
        }
        let number = self.push()?;
        let negative = number.last().is_some_and(|byte| byte & 0x80 != 0);
        if negative || number.len() > 5 {
            return Err(ReadError::NotAHeight);
        }
        let height = number.iter().rev().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte));
        u32::try_from(height).map_err(|_| ReadError::NotAHeight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn height_push(height: u32, expected: &str) {
        let mut out = Vec::new();
        write_height(&mut out, height);
        assert_eq!(hex::encode(&out), expected);
        assert_eq!(Reader::new(&out).height(), Ok(height));
    }

    #[test]
    fn heights_are_pushed_as_script_numbers() {
        height_push(0, "00");
        height_push(1, "51");
        height_push(16, "60");
        height_push(17, "0111");
        height_push(127, "017f");
        height_push(128, "028000");
        height_push(159, "029f00");
        height_push(255, "02ff00");
        height_push(256, "020001");
        height_push(32_768, "03008000");
        // Bitcoin's first block of version 2 and one of 2024.
        height_push(227_836, "03fc7903");
        height_push(840_000, "0340d10c");
        height_push(u32::MAX, "05ffffffff00");
    }

    #[test]
    fn what_is_cut_off_or_padded_is_refused() {
        assert_eq!(Reader::new(&[]).u8(), Err(ReadError::Truncated));
        assert_eq!(Reader::new(&[0xfd, 1]).varint(), Err(ReadError::Truncated));
        assert_eq!(Reader::new(&[0xfd, 0xfc, 0]).varint(), Err(ReadError::NotShortest));
        assert_eq!(Reader::new(&[0xfe, 0xff, 0xff, 0, 0]).varint(), Err(ReadError::NotShortest));
        assert_eq!(Reader::new(&[0xff, 1, 0, 0, 0, 0, 0, 0, 0]).varint(), Err(ReadError::NotShortest));
        assert_eq!(Reader::new(&[0xff; 9]).bytes(), Err(ReadError::Truncated));
        assert_eq!(Reader::new(&[0x4c, 2, 1]).push(), Err(ReadError::Truncated));
        assert_eq!(Reader::new(&[0x4d, 2, 1]).push(), Err(ReadError::NotAPush));
        assert_eq!(Reader::new(&[6, 1, 2, 3, 4, 5, 6]).height(), Err(ReadError::NotAHeight));
        assert_eq!(Reader::new(&[1, 0x80]).height(), Err(ReadError::NotAHeight));
        assert_eq!(Reader::new(&[5, 0, 0, 0, 0, 1]).height(), Err(ReadError::NotAHeight));
        assert_eq!(Reader::new(&[0]).finish(), Err(ReadError::Trailing));
    }

    proptest! {
        #[test]
        fn values_are_read_as_they_were_written(value in any::<u64>(), by in 0..64, data in prop::collection::vec(any::<u8>(), 0..256)) {
            let mut out = Vec::new();
            write_varint(&mut out, value >> by);
            prop_assert_eq!(out.len(), varint_len(value >> by));
            write_bytes(&mut out, &data);
            write_push(&mut out, &data);
            let mut reader = Reader::new(&out);
            prop_assert_eq!(reader.varint(), Ok(value >> by));
            prop_assert_eq!(reader.bytes(), Ok(data.as_slice()));
            prop_assert_eq!(reader.push(), Ok(data.as_slice()));
            prop_assert_eq!(reader.finish(), Ok(()));
        }

        #[test]
        fn hexadecimal_is_decoded_as_by_the_hex_crate(text in "([0-9a-fA-F]{2}){0,40}[ -~é]{0,2}", data in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert_eq!(decode_hex(&text), hex::decode(&text).ok());
            prop_assert_eq!(decode_hex(&hex::encode(&data)), Some(data));
        }

        #[test]
        fn any_bytes_are_read_within_their_bounds_or_refused(data in prop::collection::vec(any::<u8>(), 0..64)) {
            for start in 0..data.len() {
                for read in [Reader::bytes, Reader::push] {
                    let mut reader = Reader::new(&data[start..]);
                    if let Ok(read) = read(&mut reader) {
                        prop_assert!(data.ends_with(&[read, reader.rest()].concat()));
                    }
                }
                if let Ok(height) = Reader::new(&data[start..]).height() {
                    let mut shortest = Vec::new();
                    write_height(&mut shortest, height);
                    prop_assert!(shortest.len() <= data.len() - start);
                }
            }
        }
    }
}
