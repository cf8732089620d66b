//! Blocks and transactions read from their bytes, with no code of the pool's.

use bitcoin_hashes::sha256d;

/// In the order of bytes on the wire.
pub type Hash = [u8; 32];

/// An output of a transaction.
pub type Coin = (Hash, u32);

/// A transaction as its bytes say.
#[derive(Clone, Debug)]
pub struct Tx {
    pub id: Hash,
    pub inputs: Vec<Coin>,
    /// Value and script.
    pub outputs: Vec<(u64, Vec<u8>)>,
}

/// A block of the pool's as its bytes say.
pub struct RawBlock {
    pub hash: Hash,
    pub prev: Hash,
    pub root: Hash,
    pub bits: u32,
    pub coinbase: Tx,
    /// All that follows the coinbase.
    pub rest: Vec<u8>,
}

pub fn sha256d(data: &[u8]) -> Hash {
    sha256d::Hash::hash(data).to_byte_array()
}

/// As nodes print it.
pub fn show(hash: &Hash) -> String {
    hex::encode(hash.iter().rev().copied().collect::<Vec<u8>>())
}

pub fn read(text: &str) -> Option<Hash> {
    let mut bytes = hex::decode(text).ok()?;
    bytes.reverse();
    bytes.try_into().ok()
}

/// The highest half of the proof of work: more than enough to compare it.
pub fn scrypt(header: &[u8]) -> u128 {
    let mut pow = [0; 32];
    scrypt::scrypt(header, header, &scrypt::Params::new(10, 1, 1).unwrap(), &mut pow).unwrap();
    u128::from_le_bytes(pow[16..].try_into().unwrap())
}

/// The highest half of the target that a header's bits stand for.
pub fn target(bits: u32) -> u128 {
    u128::from(bits & 0x7f_ffff) << (8 * ((bits >> 24) - 3) - 128)
}

struct Cursor<'a>(&'a [u8], usize);

impl Cursor<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        self.1 += count;
        &self.0[self.1 - count..self.1]
    }

    fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }

    fn hash(&mut self) -> Hash {
        self.take(32).try_into().unwrap()
    }

    fn count(&mut self) -> usize {
        match self.take(1)[0] {
            0xfd => usize::from(u16::from_le_bytes(self.take(2).try_into().unwrap())),
            small @ ..0xfd => usize::from(small),
            _ => panic!("nothing here is that long"),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let count = self.count();
        self.take(count).to_vec()
    }
}

/// Reads one transaction from the start of `bytes`, and says how long it is.
fn parse(bytes: &[u8]) -> (Tx, usize) {
    let mut at = Cursor(bytes, 0);
    at.take(4);
    let has_witness = bytes[4] == 0;
    if has_witness {
        at.take(2);
    }
    let body = at.1;
    let inputs: Vec<Coin> = (0..at.count())
        .map(|_| {
            let coin = (at.hash(), at.word());
            at.bytes();
            at.take(4);
            coin
        })
        .collect();
    let outputs = (0..at.count())
        .map(|_| {
            let value = u64::from_le_bytes(at.take(8).try_into().unwrap());
            (value, at.bytes())
        })
        .collect();
    let end = at.1;
    if has_witness {
        for _ in &inputs {
            (0..at.count()).for_each(|_| drop(at.bytes()));
        }
    }
    let time = at.take(4).to_vec();
    let id = sha256d(&[&bytes[..4], &bytes[body..end], &time].concat());
    (Tx { id, inputs, outputs }, at.1)
}

pub fn transaction(bytes: &[u8]) -> Tx {
    let (tx, length) = parse(bytes);
    assert_eq!(length, bytes.len(), "a transaction is all of its bytes");
    tx
}

/// Reads a block of two transactions.
pub fn block(bytes: &[u8]) -> RawBlock {
    let mut at = Cursor(bytes, 0);
    at.take(4);
    let (prev, root) = (at.hash(), at.hash());
    at.take(4);
    let bits = at.word();
    at.take(4);
    assert_eq!(at.count(), 2, "the coinbase and the one transaction of the template");
    let (coinbase, length) = parse(&bytes[at.1..]);
    RawBlock { hash: sha256d(&bytes[..80]), prev, root, bits, coinbase, rest: bytes[at.1 + length..].to_vec() }
}

/// A transaction without witnesses.
pub fn serialise(coins: &[Coin], outputs: &[(u64, Vec<u8>)], lock_time: u32) -> Vec<u8> {
    let mut out = vec![2, 0, 0, 0, coins.len() as u8];
    for (txid, vout) in coins {
        out.extend(txid);
        out.extend(vout.to_le_bytes());
        out.extend([0, 0xfe, 0xff, 0xff, 0xff]);
    }
    out.push(outputs.len() as u8);
    for (value, script) in outputs {
        out.extend(value.to_le_bytes());
        out.push(script.len() as u8);
        out.extend(script);
    }
    out.extend(lock_time.to_le_bytes());
    out
}
