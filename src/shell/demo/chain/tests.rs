mod auxblocks;
mod merged;

use super::*;
use crate::coin::block::{assemble, header};
use crate::coin::coinbase::{Coinbase, CoinbaseSpec};
use crate::coin::merkle;
use crate::coin::params::Algorithm;
use crate::coin::script::Script;
use crate::coin::template::{Template, TemplateTx};

const GENESIS_S: u32 = 1_700_000_000;
/// When the tests mine: transactions have come by then.
const NOW_S: u32 = GENESIS_S + 20;
const EXTRANONCE: [u8; 8] = [0, 0, 0, 7, 0, 0, 0, 9];

fn chain() -> Chain {
    Chain::new(ChainSpec { block_interval_s: 5, start_hashes: 4, ..ChainSpec::litecoin() }, GENESIS_S)
}

fn template(chain: &mut Chain, now_s: u32) -> Template {
    let template = chain.template(now_s).to_string();
    Template::parse(template.as_bytes(), chain.spec.coin).expect("a template that the pool takes")
}

/// A block before its proof of work, with everything that a test may want to be wrong.
struct Draft {
    version: u32,
    prev: Hash32,
    bits: u32,
    time: u32,
    height: u32,
    value: u64,
    tag: Vec<u8>,
    /// Outputs of one unit each beside the one of the value.
    more_outputs: usize,
    commitment: Option<Hash32>,
    /// What is done to the coinbase once it is serialised.
    mangle: fn(Vec<u8>) -> Vec<u8>,
    transactions: Vec<TemplateTx>,
    /// Changes the root that the header gets.
    root_flip: u8,
    meets_target: bool,
}

impl Draft {
    /// A block that is right.
    fn on(chain: &mut Chain, now_s: u32) -> Draft {
        let template = template(chain, now_s);
        Draft {
            version: template.version,
            prev: template.prev_hash,
            bits: template.bits,
            time: template.curtime,
            height: template.height,
            value: template.value,
            tag: b"/test/".to_vec(),
            more_outputs: 0,
            commitment: template.commitment(),
            mangle: |coinbase| coinbase,
            transactions: template.transactions,
            root_flip: 0,
            meets_target: true,
        }
    }

    fn mined(&self) -> Vec<u8> {
        let (whole, root) = self.coinbase();
        let target = Target::from_compact(self.bits).unwrap();
        let header = (0..100_000)
            .map(|nonce| header(self.version, &self.prev, &root, self.time, self.bits, nonce))
            .find(|header| target.is_met_by(&Algorithm::Scrypt.pow_hash(header)) == self.meets_target)
            .unwrap();
        assemble(&header, &whole, &self.transactions, None)
    }

    /// The coinbase, and the root of the tree that it is in.
    fn coinbase(&self) -> (Vec<u8>, Hash32) {
        let output = |value| TxOut { value, script: Script::p2pkh(&[3; 20]) };
        let mut outputs = vec![output(self.value)];
        outputs.resize(1 + self.more_outputs, output(1));
        let coinbase = Coinbase::build(&CoinbaseSpec {
            version: 2,
            height: self.height,
            aux: &[],
            // What is above the limit of the builder is put in by hand.
            tag: &self.tag,
            extranonce_len: EXTRANONCE.len(),
            outputs: &outputs,
            commitment: self.commitment,
        })
        .unwrap();
        let (first, second) = EXTRANONCE.split_at(4);
        let whole = (self.mangle)(coinbase.for_block(first, second));
        let txid = match Transaction::read(&mut crate::coin::encode::Reader::new(&whole)) {
            Ok(transaction) => transaction.txid,
            Err(_) => coinbase.txid(first, second),
        };
        let txids: Vec<Hash32> = self.transactions.iter().map(|transaction| transaction.txid).collect();
        let mut root = merkle::root(txid, &merkle::branch(&txids));
        root[0] ^= self.root_flip;
        (whole, root)
    }
}

/// Breaks one thing of a good block for the second height; the first has brought the chain beyond its genesis.
#[track_caller]
fn case(reason: &'static str, spoil: impl Fn(&mut Draft)) {
    let mut chain = chain();
    let first = Draft::on(&mut chain, NOW_S).mined();
    assert_eq!(chain.submit(&first, NOW_S), Ok(()));
    let now_s = NOW_S + 20;
    let mut draft = Draft::on(&mut chain, now_s);
    assert!(draft.transactions.len() >= 4, "there is something to get wrong");
    spoil(&mut draft);
    let tip = chain.best_hash();
    assert_eq!(chain.submit(&draft.mined(), now_s), Err(SubmitError::Rejected(reason)));
    assert_eq!((chain.height(), chain.best_hash()), (1, tip), "a refused block leaves the chain as it was");
    let good = Draft::on(&mut chain, now_s).mined();
    assert_eq!(chain.submit(&good, now_s), Ok(()), "and the good block is still taken");
}

#[test]
fn every_fault_has_its_own_name() {
    case("high-hash", |draft| draft.meets_target = false);
    case("bad-txnmrklroot", |draft| draft.root_flip = 1);
    case("prev-blk-not-found", |draft| draft.prev[0] ^= 1);
    case("bad-diffbits", |draft| draft.bits = 0x207f_fffe);
    case("time-too-new", |draft| draft.time = NOW_S + 20 + 7_201);
    case("time-too-old", |draft| draft.time = NOW_S);
    case("bad-version", |draft| draft.version = 4);
    case("bad-version", |draft| draft.version |= 1 << 31);
    case("bad-cb-height", |draft| draft.height += 1);
    case("bad-cb-amount", |draft| draft.value += 1);
    case("bad-cb-amount", |draft| draft.value = u64::MAX);
    case("bad-cb-amount", |draft| draft.more_outputs = 1);
    case("bad-witness-merkle-match", |draft| draft.commitment = Some([5; 32]));
    case("unexpected-witness", |draft| draft.commitment = None);
    case("bad-blk-weight", |draft| {
        draft.more_outputs = 30_000;
        draft.value -= 30_000;
    });
}

#[test]
fn a_coinbase_of_the_wrong_form_is_refused() {
    // Its scriptSig begins after version, witness flag, count, and the output that is spent.
    const LENGTH: usize = 4 + 2 + 1 + 36;
    case("bad-cb-missing", |draft| {
        draft.mangle = |mut coinbase| {
            coinbase[LENGTH - 1] = 0;
            coinbase
        }
    });
    case("bad-cb-length", |draft| {
        draft.mangle = |mut coinbase| {
            let longer = 101 - usize::from(coinbase[LENGTH]);
            coinbase[LENGTH] = 101;
            let at = LENGTH + 1 + 9;
            coinbase.splice(at..at, vec![0; longer]);
            coinbase
        }
    });
    case("bad-witness-nonce-size", |draft| {
        draft.mangle = |mut coinbase| {
            // The witness: one item of 32 bytes, before the lock time.
            let at = coinbase.len() - 4 - 33;
            coinbase[at] = 31;
            coinbase.remove(at + 1);
            coinbase
        }
    });
    case("bad-cb-multiple", |draft| {
        let mut data = vec![2, 0, 0, 0, 1];
        data.extend_from_slice(&[0; 32]);
        data.extend_from_slice(&[0xff; 4]);
        data.extend_from_slice(&[2, 0x52, 0x52, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0]);
        let txid = crate::coin::pow::sha256d(&data);
        draft.transactions.push(TemplateTx { data: data.into(), txid, ..draft.transactions[0].clone() });
    });
}

/// Sets the commitment to that of the transactions as they are now, so that only the transactions are wrong.
fn recommit(draft: &mut Draft) {
    let wtxids: Vec<Hash32> = draft.transactions.iter().map(|transaction| transaction.wtxid).collect();
    draft.commitment = Some(merkle::witness_commitment(&wtxids));
}

#[test]
fn transactions_must_be_known_once_and_after_what_they_need() {
    const UNSPENDABLE: &str = "bad-txns-inputs-missingorspent";
    case(UNSPENDABLE, |draft| {
        let twice = draft.transactions[0].clone();
        draft.transactions.push(twice);
        recommit(draft);
    });
    case(UNSPENDABLE, |draft| {
        let child = draft.transactions.iter().position(|transaction| !transaction.depends.is_empty()).unwrap();
        let parent = draft.transactions[child].depends[0] as usize - 1;
        draft.transactions.swap(child, parent);
        recommit(draft);
    });
    case(UNSPENDABLE, |draft| {
        let child = draft.transactions.iter().position(|transaction| !transaction.depends.is_empty()).unwrap();
        let parent = draft.transactions[child].depends[0] as usize - 1;
        draft.value -= draft.transactions.remove(parent).fee;
        recommit(draft);
    });
    case(UNSPENDABLE, |draft| {
        let mut elsewhere = Chain::new(ChainSpec { seed: 2, ..chain().spec }, GENESIS_S);
        draft.transactions = template(&mut elsewhere, NOW_S).transactions;
        recommit(draft);
    });
}

#[test]
fn fees_count_only_for_what_is_in_the_block() {
    case("bad-cb-amount", |draft| {
        draft.transactions.clear();
        recommit(draft);
    });
    let mut chain = chain();
    let mut draft = Draft::on(&mut chain, NOW_S);
    draft.transactions.clear();
    draft.value = chain.spec.subsidy;
    recommit(&mut draft);
    assert_eq!(chain.submit(&draft.mined(), NOW_S), Ok(()));
    let block = chain.block(1).unwrap();
    assert_eq!((block.fees, block.txids.len()), (0, 1));
}

#[test]
fn what_is_no_block_is_undecodable() {
    let mut chain = chain();
    let good = Draft::on(&mut chain, NOW_S).mined();
    let longer = [&good[..], &[0]].concat();
    let mut endless = good[..80].to_vec();
    endless.extend_from_slice(&[0xff; 9]);
    for bytes in [&[], &good[..79], &good[..good.len() - 1], &longer, &endless] {
        assert_eq!(chain.submit(bytes, NOW_S), Err(SubmitError::Undecodable));
    }
    assert_eq!(chain.submit(&good, NOW_S), Ok(()));
}

#[test]
fn a_block_is_taken_once_and_a_sibling_stays_beside_the_chain() {
    let mut chain = chain();
    let first = Draft::on(&mut chain, NOW_S).mined();
    let sibling = Draft { tag: b"/other/".to_vec(), ..Draft::on(&mut chain, NOW_S) }.mined();
    assert_eq!(chain.submit(&first, NOW_S), Ok(()));
    assert_eq!(chain.submit(&first, NOW_S), Err("duplicate".into()));
    assert_eq!(chain.submit(&sibling, NOW_S), Err("inconclusive".into()));
    assert_eq!(chain.height(), 1);
}

#[test]
fn blocks_built_from_templates_make_a_chain() {
    let mut chain = chain();
    let (mut now_s, mut legacy, mut segwit, mut dependent) = (NOW_S, 0, 0, 0);
    for height in 1..=20 {
        now_s += 3;
        let draft = Draft::on(&mut chain, now_s);
        for transaction in &draft.transactions {
            legacy += usize::from(transaction.txid == transaction.wtxid);
            segwit += usize::from(transaction.txid != transaction.wtxid);
            dependent += usize::from(!transaction.depends.is_empty());
        }
        let fees: u64 = draft.transactions.iter().map(|transaction| transaction.fee).sum();
        let before = chain.best_hash();
        assert_eq!(chain.submit(&draft.mined(), now_s), Ok(()));
        let block = chain.block(height).unwrap().clone();
        assert_eq!((chain.height(), chain.block_hash(height)), (height, Some(block.hash)));
        assert_eq!((block.fees, block.outputs[0].value), (fees, chain.spec.subsidy + fees));
        assert_eq!(block.txids.len(), draft.transactions.len() + 1);
        assert_eq!((draft.prev, chain.find(&block.hash)), (before, Some(height)));
    }
    assert!(legacy > 3 && segwit > 3 && dependent > 1, "{legacy} {segwit} {dependent}");
    assert_eq!((chain.block_hash(21), chain.block(21)), (None, None));
    let hashes = template(&mut chain, now_s).target.expected_hashes().to_u64().unwrap();
    assert!(hashes > 4, "blocks came faster than every five seconds, and the target is still {hashes} hashes");
}

#[test]
fn a_long_poll_id_changes_with_the_tip_and_with_transactions() {
    let mut chain = chain();
    let before = chain.long_poll_id(GENESIS_S);
    assert_eq!(chain.long_poll_id(GENESIS_S), before);
    let later = chain.long_poll_id(NOW_S);
    assert!(later != before && later[..64] == before[..64]);
    let block = Draft::on(&mut chain, NOW_S).mined();
    chain.submit(&block, NOW_S).unwrap();
    assert_ne!(chain.long_poll_id(NOW_S)[..64], before[..64]);
}

#[test]
fn a_clock_that_jumps_neither_fills_the_mempool_nor_stops_it() {
    let mut chain = chain();
    assert_eq!(template(&mut chain, u32::MAX - 10_000).transactions.len(), 24);
    let mut chain = self::chain();
    let waiting = template(&mut chain, 5).transactions.len();
    assert_eq!(template(&mut chain, 25).transactions.len(), waiting + 10);
}
