//! Scrypt as coins use it (RFC 7914 with N = 1024, r = 1, p = 1), in working memory that stays. One header at a time,
//! in plain words of 32 bits: that needs no instruction that a board may lack. Knows nothing of coins and targets.
//!
//! Blocks are kept by diagonals instead of rows: what one step of Salsa20/8 works on then stands side by side, for
//! the rows of a block and, after turning them, for its columns too.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

use bitcoin_hashes::hmac::HmacEngine;
use bitcoin_hashes::{Hash as _, HashEngine, sha256};
use core::array::from_fn;

/// Blocks that are written before any is read: the parameter N.
const N: usize = 1_024;
/// Where each word of a block goes: along its diagonals.
const DIAGONALS: [usize; 16] = [0, 5, 10, 15, 4, 9, 14, 3, 8, 13, 2, 7, 12, 1, 6, 11];

/// Four words, one of each column.
type Row = [u32; 4];
/// What Salsa20/8 mixes: 64 bytes.
type Half = [Row; 4];
/// What the mixing of memory works on: 128 bytes.
type Block = [Half; 2];

/// The working memory of one hash at a time, 128 KiB once it is used.
#[derive(Debug, Default)]
pub struct Pad(Vec<Block>);

impl Pad {
    /// Without memory yet.
    pub const fn new() -> Pad {
        Pad(Vec::new())
    }

    /// The hash of a header, which is both password and salt.
    pub fn hash(&mut self, header: &[u8; 80]) -> [u8; 32] {
        self.0.resize(N, Block::default());
        let pad = self.0.as_mut_slice().try_into().expect("it was just made N blocks long");
        let mut keyed = HmacEngine::<sha256::HashEngine>::new(header);
        let mut salted = keyed.clone();
        salted.input(header);
        let mut bytes = [0; 128];
        for (number, part) in (1u32..).zip(bytes.chunks_exact_mut(32)) {
            part.copy_from_slice(&derived(salted.clone(), number));
        }
        let mixed = mix(block(&bytes), pad);
        keyed.input(&to_bytes(&mixed));
        derived(keyed, 1)
    }
}

/// One part of what PBKDF2 derives in a single iteration, from its key and salt.
fn derived(mut salted: HmacEngine<sha256::HashEngine>, number: u32) -> [u8; 32] {
    salted.input(&number.to_be_bytes());
    salted.finalize().to_byte_array()
}

fn block(bytes: &[u8; 128]) -> Block {
    let word = |at: usize| u32::from_le_bytes(from_fn(|i| bytes[4 * at + i]));
    from_fn(|half| from_fn(|row| from_fn(|column| word(16 * half + DIAGONALS[4 * row + column]))))
}

fn to_bytes(block: &Block) -> [u8; 128] {
    let mut bytes = [0; 128];
    for (half, bytes) in block.iter().zip(bytes.chunks_exact_mut(64)) {
        for (word, at) in half.as_flattened().iter().zip(DIAGONALS) {
            bytes[4 * at..][..4].copy_from_slice(&word.to_le_bytes());
        }
    }
    bytes
}

/// Fills the pad with what the block becomes, then mixes it with blocks of the pad that it chooses itself.
fn mix([mut x, mut y]: Block, pad: &mut [Block; N]) -> Block {
    for slot in pad.iter_mut() {
        *slot = [x, y];
        x = salsa(xor_all(x, y));
        y = salsa(xor_all(y, x));
    }
    for _ in 0..N {
        let [left, right] = pad[y[0][0] as usize % N];
        y = xor_all(y, right);
        x = salsa(xor_all(xor_all(x, left), y));
        y = salsa(xor_all(y, x));
    }
    [x, y]
}

/// Salsa20/8.
#[inline(always)]
fn salsa(before: Half) -> Half {
    let [mut a, mut b, mut c, mut d] = before;
    // Twice for each double round: the turned diagonals of the columns are those of the rows.
    for _ in 0..8 {
        b = xor(b, turn_bits::<7>(add(a, d)));
        c = xor(c, turn_bits::<9>(add(b, a)));
        d = xor(d, turn_bits::<13>(add(c, b)));
        a = xor(a, turn_bits::<18>(add(d, c)));
        (b, c, d) = (turn::<1>(d), turn::<2>(c), turn::<3>(b));
    }
    let after = [a, b, c, d];
    from_fn(|row| add(before[row], after[row]))
}

#[inline(always)]
fn xor_all(a: Half, b: Half) -> Half {
    from_fn(|row| xor(a[row], b[row]))
}

#[inline(always)]
fn add(a: Row, b: Row) -> Row {
    from_fn(|i| a[i].wrapping_add(b[i]))
}

#[inline(always)]
fn xor(a: Row, b: Row) -> Row {
    from_fn(|i| a[i] ^ b[i])
}

#[inline(always)]
fn turn_bits<const BITS: u32>(row: Row) -> Row {
    from_fn(|i| row[i].rotate_left(BITS))
}

#[inline(always)]
fn turn<const PLACES: usize>(row: Row) -> Row {
    from_fn(|i| row[(i + PLACES) % 4])
}
