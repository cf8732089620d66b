//! Transactions that wait for a block. Nobody sends any in a demo, so they make themselves: whole in form, of each
//! kind that a pool has to get right (legacy and segwit, alone and needing another), with signatures of chance.

use super::block::Transaction;
use crate::base::Hash32;
use crate::base::rng::Rng;
use crate::coin::encode::{Reader, write_bytes, write_push, write_varint};
use crate::coin::params::Coin;
use crate::coin::script::Script;

/// Most that wait; no more arrive until some are mined.
const MOST: usize = 24;
/// One arrives this often, in seconds.
const ARRIVAL_S: u32 = 2;
/// Up to so many arrive at once with every block, at least one: templates are made right after blocks, and would
/// mostly be empty.
const WITH_BLOCK: u64 = 6;
/// Fees in fifths of what is dust to the coin: the least, and the room above.
const FEE: (u64, u64) = (1, 40);
/// Bytes of a signature and of a public key as they are pushed.
const SIGNATURE: usize = 71;
const PUBLIC_KEY: usize = 33;

/// A transaction that waits.
#[derive(Clone, Debug)]
pub struct Waiting {
    pub data: Vec<u8>,
    pub txid: Hash32,
    pub wtxid: Hash32,
    /// Base units.
    pub fee: u64,
    pub weight: usize,
    /// Signature operations, times four as segwit counts.
    pub sigops: u64,
    /// The transaction whose output it spends, where that one made itself here too.
    pub parent: Option<Hash32>,
}

/// All that wait, each after what it needs.
#[derive(Clone, Debug)]
pub struct Mempool {
    coin: &'static Coin,
    waiting: Vec<Waiting>,
    rng: Rng,
    last_arrival_s: u32,
    arrivals: u64,
}

impl Mempool {
    /// Transactions of this coin.
    pub fn new(seed: u64, now_s: u32, coin: &'static Coin) -> Mempool {
        let (waiting, rng) = (Vec::new(), Rng::new(seed));
        let mut mempool = Mempool { coin, waiting, rng, last_arrival_s: now_s, arrivals: 0 };
        mempool.handle_block(&[]);
        mempool
    }

    /// Lets come what came since the last time.
    pub fn advance(&mut self, now_s: u32) {
        // The clock may be set back, and far ahead.
        self.last_arrival_s = self.last_arrival_s.min(now_s);
        while self.waiting.len() < MOST && now_s - self.last_arrival_s >= ARRIVAL_S {
            self.last_arrival_s += ARRIVAL_S;
            self.arrive();
        }
        if self.waiting.len() >= MOST {
            self.last_arrival_s = now_s;
        }
    }

    /// How many have come so far: a long poll compares it.
    pub fn arrivals(&self) -> u64 {
        self.arrivals
    }

    pub fn waiting(&self) -> &[Waiting] {
        &self.waiting
    }

    /// What all that wait pay, in base units.
    pub fn all_fees(&self) -> u64 {
        self.waiting.iter().map(|transaction| transaction.fee).sum()
    }

    /// The fees of a block's transactions in base units; none unless all wait here with just these witnesses, and
    /// each comes once and after what it needs.
    pub fn fees(&self, transactions: &[Transaction<'_>]) -> Option<u64> {
        let mut fees = 0;
        let mut spent: Vec<Hash32> = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            let waiting = self.waiting.iter().find(|waiting| waiting.wtxid == transaction.wtxid)?;
            let lacks_parent = self.waiting.iter().any(|other| Some(other.txid) == waiting.parent)
                && !waiting.parent.is_some_and(|parent| spent.contains(&parent));
            if lacks_parent || spent.contains(&waiting.txid) {
                return None;
            }
            spent.push(waiting.txid);
            fees += waiting.fee;
        }
        Some(fees)
    }

    /// A block has taken these; new ones come.
    pub fn handle_block(&mut self, mined: &[Transaction<'_>]) {
        self.waiting.retain(|waiting| !mined.iter().any(|transaction| transaction.txid == waiting.txid));
        for _ in 0..1 + self.rng.below(WITH_BLOCK) {
            if self.waiting.len() < MOST {
                self.arrive();
            }
        }
    }

    fn arrive(&mut self) {
        let transaction = self.make();
        self.waiting.push(transaction);
        self.arrivals += 1;
    }

    /// Where the coin has witnesses every second one has one; every fourth spends the one before it.
    fn make(&mut self) -> Waiting {
        let segwit = self.coin.segwit;
        let has_witness = segwit && self.arrivals.is_multiple_of(2);
        let parent = self.waiting.last().filter(|_| self.arrivals % 4 == 3).map(|parent| parent.txid);
        let spent = parent.unwrap_or_else(|| self.random());
        let (signature, key) = (self.random::<SIGNATURE>(), self.random::<PUBLIC_KEY>());

        let mut data = 2u32.to_le_bytes().to_vec();
        if has_witness {
            data.extend_from_slice(&[0, 1]);
        }
        write_varint(&mut data, 1);
        data.extend_from_slice(&spent);
        data.extend_from_slice(&0u32.to_le_bytes());
        let mut unlocking = Vec::new();
        if !has_witness {
            write_push(&mut unlocking, &signature);
            write_push(&mut unlocking, &key);
        }
        write_bytes(&mut data, &unlocking);
        data.extend_from_slice(&[0xff; 4]);
        let change = self.random::<20>();
        let change = Script::witness(0, &change).filter(|_| segwit).unwrap_or_else(|| Script::p2pkh(&change));
        let outputs = [Script::p2pkh(&self.random()), change];
        write_varint(&mut data, outputs.len() as u64);
        for script in &outputs {
            data.extend_from_slice(&(100_000 + self.rng.below(1_000_000_000)).to_le_bytes());
            write_bytes(&mut data, script.as_bytes());
        }
        if has_witness {
            write_varint(&mut data, 2);
            write_bytes(&mut data, &signature);
            write_bytes(&mut data, &key);
        }
        data.extend_from_slice(&0u32.to_le_bytes());

        let read = Transaction::read(&mut Reader::new(&data)).expect("what is written here can be read");
        let (txid, wtxid, weight) = (read.txid, read.wtxid, read.weight());
        // With segwit one for the legacy output, four times, and one for the input, unscaled, where it has a witness.
        let sigops = if segwit { 4 + u64::from(has_witness) } else { 2 };
        let fee = (FEE.0 + self.rng.below(FEE.1)) * self.coin.dust.least(&outputs[0]) / 5 + self.rng.below(1_000);
        Waiting { data, txid, wtxid, fee, weight, sigops, parent }
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.rng.next_u64() as u8)
    }
}
