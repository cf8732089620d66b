use super::*;
use crate::coin::block::assemble;
use crate::coin::coinbase::{Coinbase, CoinbaseSpec, TxOut};
use crate::coin::params::coin;
use crate::coin::template::Template;

const NOW_MS: u64 = 1_800_000_000_000;

fn chain() -> Chain {
    Chain::new(2, 1_000, 7, NOW_MS)
}

/// What a pool would send, one part of which a test may break.
struct Draft {
    template: Template,
    height: u32,
    value: u64,
    tag: Vec<u8>,
    commitment: Option<Hash32>,
    version: u32,
    time: u32,
    bits: u32,
    prev_hash: Hash32,
    root: Option<Hash32>,
}

impl Draft {
    fn of(chain: &Chain) -> Draft {
        let json = chain.template(NOW_MS).to_string();
        let template = Template::parse(json.as_bytes(), coin("litecoin").unwrap()).unwrap();
        Draft {
            height: template.height,
            value: template.value,
            tag: b"/test/".to_vec(),
            commitment: template.commitment(),
            version: template.version,
            time: template.curtime,
            bits: template.bits,
            prev_hash: template.prev_hash,
            root: None,
            template,
        }
    }

    /// Mines it: the first nonce whose hash is, or is not, small enough.
    fn mine(&self, solved: bool) -> Vec<u8> {
        let outputs = [TxOut { value: self.value, script: Script::p2pkh(&[1; 20]) }];
        let coinbase = Coinbase::build(&CoinbaseSpec {
            version: 2,
            height: self.height,
            aux: &[],
            tag: &self.tag,
            extranonce_len: 4,
            outputs: &outputs,
            commitment: self.commitment,
        })
        .unwrap();
        let root = merkle::root(coinbase.txid(&[0; 4], &[]), &self.template.branch());
        let target = Target::from_compact(self.bits).unwrap();
        let headers = (0..).map(|nonce| {
            header(self.version, &self.prev_hash, &self.root.unwrap_or(root), self.time, self.bits, nonce)
        });
        let header =
            headers.into_iter().find(|header| target.is_met_by(&pow::scrypt(header)) == solved).expect("every nonce");
        assemble(&header, &coinbase.for_block(&[0; 4], &[]), &self.template.transactions, None)
    }
}

#[test]
fn a_good_block_becomes_the_tip_and_is_known_from_then_on() {
    let mut chain = chain();
    let block = Draft::of(&chain).mine(true);
    assert_eq!(chain.submit(&block, NOW_MS), Ok(()));
    assert_eq!(chain.height(), 1);
    assert_eq!(chain.tip().outputs.len(), 1, "the commitment pays nobody");
    assert_eq!(chain.submit(&block, NOW_MS), Err("duplicate"));
}

#[test]
fn a_block_on_an_older_tip_is_inconclusive() {
    let mut chain = chain();
    let sibling = Draft { tag: b"/other/".to_vec(), ..Draft::of(&chain) }.mine(true);
    chain.submit(&Draft::of(&chain).mine(true), NOW_MS).unwrap();
    assert_eq!(chain.submit(&sibling, NOW_MS), Err("inconclusive"));
    assert_eq!(chain.submit(&sibling, NOW_MS), Err("duplicate"));
    assert_eq!(chain.height(), 1);
}

#[track_caller]
fn refused(expected: &'static str, spoil: impl FnOnce(&mut Draft)) {
    let mut chain = chain();
    let mut draft = Draft::of(&chain);
    spoil(&mut draft);
    assert_eq!(chain.submit(&draft.mine(true), NOW_MS), Err(expected));
    assert_eq!(chain.height(), 0, "{expected}");
}

#[test]
fn whatever_is_wrong_with_a_block_is_found() {
    refused("bad-version", |draft| draft.version = 4);
    refused("prev-blk-not-found", |draft| draft.prev_hash = [9; 32]);
    refused("bad-diffbits", |draft| draft.bits = 0x207f_fffe);
    refused("time-too-old", |draft| draft.time -= 1);
    refused("time-too-new", |draft| draft.time += 7_300);
    refused("bad-txnmrklroot", |draft| draft.root = Some([9; 32]));
    refused("bad-cb-amount", |draft| drop(draft.template.transactions.pop()));
    refused("bad-cb-height", |draft| draft.height += 1);
    refused("bad-cb-amount", |draft| draft.value += 1);
    refused("bad-witness-merkle-match", |draft| draft.commitment = Some([9; 32]));
    refused("unexpected-witness", |draft| draft.commitment = None);
    refused("bad-txns-inputs-missingorspent", |draft| {
        let transaction = &mut draft.template.transactions[0];
        let bytes = made_up_payment(&mut Rng::new(99), false);
        let other = Transaction::read(&mut Reader::new(&bytes)).unwrap();
        (transaction.data, transaction.txid, transaction.wtxid) = (other.bytes, other.txid, other.wtxid);
    });
}

#[test]
fn a_hash_above_the_target_is_refused() {
    let mut chain = chain();
    assert_eq!(chain.submit(&Draft::of(&chain).mine(false), NOW_MS), Err("high-hash"));
    let block = Draft::of(&chain).mine(true);
    assert_eq!(chain.submit(&block[..block.len() - 1], NOW_MS), Err("decode"));
    assert_eq!(chain.submit(&[block, vec![0]].concat(), NOW_MS), Err("decode"));
}

#[test]
fn difficulty_follows_the_hashrate() {
    let mut chain = Chain::new(1_000, 4_000, 7, NOW_MS);
    let mut now_ms = NOW_MS;
    for (hashrate, blocks) in [(1_000, 40), (100, 40), (3_000, 60)] {
        for _ in 0..blocks {
            // A rig that is never lucky nor unlucky.
            now_ms += chain.target.expected_hashes().to_u64().unwrap() * 1_000 / hashrate;
            chain.extend(Link { hash: [0; 32], time: 0, arrived_ms: now_ms, outputs: Vec::new() });
        }
        let interval_ms = chain.target.expected_hashes().to_u64().unwrap() * 1_000 / hashrate;
        assert!((3_000..5_300).contains(&interval_ms), "{interval_ms} ms at {hashrate} H/s");
    }
}

#[test]
fn a_template_changes_with_the_tip() {
    let mut chain = chain();
    let before = chain.long_poll_id();
    chain.submit(&Draft::of(&chain).mine(true), NOW_MS).unwrap();
    assert_ne!(chain.long_poll_id(), before);
    let template = Draft::of(&chain).template;
    assert_eq!((template.height, template.prev_hash), (2, chain.tip().hash));
    assert!(!template.transactions.is_empty());
}
