//! Each kind of refusal, on jobs of a real node's template.

use std::rc::Rc;

use super::*;
use crate::base::limits::EXTRANONCE1;
use crate::coin::params::coin;
use crate::coin::script::Script;
use crate::coin::template::Template;
use crate::pool::child::Children;
use crate::pool::firmware::CoinbaseClass;
use crate::pool::job::{Filled, JobId, JobParts, Jobs};
use crate::pool::spec::{ChainSpec, NodeSpec, Terms};
use crate::pool::split::Claim;

const EXTRANONCE1_OF_RIG: [u8; EXTRANONCE1] = [1, 2, 3, 4];
const EXTRANONCE2: [u8; 8] = [9; 8];
const MASK: u32 = 0x1fff_e000;

/// A job of the template that a litecoind gave after MWEB; `bits` stand in for its own where given.
fn job(seq: u64, bits: Option<&str>) -> Job {
    let vector = include_str!("../../../tests/vectors/vector_ltc_mweb_emptytx_1out.json");
    let mut vector: serde_json::Value = serde_json::from_str(vector).unwrap();
    let template = vector["gbt"].as_object_mut().unwrap();
    if let Some(bits) = bits {
        template.insert("bits".into(), bits.into());
        template.remove("target");
    }
    let litecoin = coin("litecoin").unwrap();
    let template = Template::parse(vector["gbt"].to_string().as_bytes(), litecoin).unwrap();
    let terms = Terms { pool_script: Script::from_bytes(vec![0x51]), fee_ppm: 10_000, min_payout: 1, max_outputs: 10 };
    let node = NodeSpec { url: "http://a".into(), authority: "a".into(), path: "/".into() };
    let chain = ChainSpec {
        name: "ltc".into(),
        coin: litecoin,
        network: litecoin.network("regtest").unwrap(),
        nodes: vec![node],
        terms: terms.clone(),
        coinbase_tag: b"/tag/".to_vec(),
        payments: None,
        mine: true,
    };
    let miner = Script::p2pkh(&[7; 20]);
    let ntime = template.curtime;
    let parts = JobParts {
        aux: &[],
        seq,
        template: &Rc::new(template),
        chain: &chain,
        terms: &terms,
        claims: &[Claim { miner: 1, script: Some(&miner), work: 10, balance: 0 }],
        extranonce2_len: EXTRANONCE2.len(),
        ntime,
        made_ms: 0,
    };
    Job::build(&parts, Children::default()).unwrap()
}

fn filled(epoch: u32) -> Filled<'static> {
    let class = CoinbaseClass::DEFAULT;
    Filled { class, epoch, extranonce1: EXTRANONCE1_OF_RIG, extranonce2: &EXTRANONCE2 }
}

fn submission(job: &Job) -> Submission<'static> {
    Submission {
        filled: filled(0),
        ntime: job.ntime,
        nonce: 0,
        version_bits: None,
        version_mask: 0,
        difficulty: Difficulty::MIN,
        lowered: None,
    }
}

fn at<'a>(share: &Submission<'a>, nonce: u32) -> Submission<'a> {
    Submission { nonce, ..*share }
}

fn judged(job: &Job, submission: &Submission) -> Verdict {
    judge(job, submission, Algorithm::Scrypt, &mut Hasher::new(), EXTRANONCE2.len(), 0)
}

/// The first nonce for which the header meets the job's own target, or does not.
fn with_nonce<'a>(job: &Job, submission: &Submission<'a>, solves: bool) -> Submission<'a> {
    (0..).map(|nonce| at(submission, nonce)).find(|s| judged(job, s).solves.is_some() == solves).unwrap()
}

#[track_caller]
fn refused(change: impl Fn(&mut Job, &mut Submission), expected: Reject, code: u16) {
    for solves in [true, false] {
        // Half of all hashes solve a block at this target, as on regtest.
        let mut job = job(1, None);
        let mut found = submission(&job);
        change(&mut job, &mut found);
        if matches!(expected, Reject::Extranonce2Length(_)) {
            assert_eq!(judged(&job, &found).solves, None);
        } else {
            found = with_nonce(&job, &found, solves);
        }
        let verdict = judged(&job, &found);
        assert_eq!(verdict.credit, Err(expected.clone()), "with a header that solves: {solves}");
        assert_eq!(expected.code().digits(), code.to_string());
        assert!(expected.reason().len() <= 28, "cgminer's screen cuts {:?}", expected.reason());
    }
}

#[test]
fn every_refusal_has_its_reason_and_a_block_is_tried_all_the_same() {
    refused(|job, _| job.stale = true, Reject::Stale, 21);
    refused(|_, share| share.difficulty = Difficulty::from_units(u64::MAX).unwrap(), Reject::LowDifficulty, 23);
    refused(|job, share| share.ntime = job.template.mintime - 1, Reject::NtimeTooOld, 20);
    refused(|job, share| share.ntime = job.ntime + NTIME_AHEAD + 1, Reject::NtimeTooNew, 20);
    refused(|_, share| share.version_bits = Some(0x2000), Reject::VersionBits, 20);
    let outside = |_: &mut Job, share: &mut Submission| (share.version_mask, share.version_bits) = (MASK, Some(1));
    refused(outside, Reject::VersionBits, 20);
    refused(|_, share| share.filled.extranonce2 = &EXTRANONCE2[1..], Reject::Extranonce2Length(8), 20);
    refused(|_, share| share.filled.extranonce2 = &[], Reject::Extranonce2Length(8), 20);
}

#[test]
fn times_up_to_the_bounds_are_taken_and_the_upper_one_moves_on() {
    let job = job(1, Some("1e00ffff"));
    let credit = |ntime, elapsed_s| {
        let share = Submission { ntime, ..submission(&job) };
        // One unit of difficulty is met by nearly every hash; the few others are another time.
        (0..).find_map(|nonce| {
            let mut hasher = Hasher::new();
            let share = at(&share, nonce);
            let verdict = judge(&job, &share, Algorithm::Scrypt, &mut hasher, EXTRANONCE2.len(), elapsed_s);
            Some(verdict.credit).filter(|credit| *credit != Err(Reject::LowDifficulty))
        })
    };
    assert!(credit(job.template.mintime, 0).unwrap().is_ok());
    assert!(credit(job.ntime + NTIME_AHEAD, 0).unwrap().is_ok());
    assert_eq!(credit(job.ntime + NTIME_AHEAD + 9, 8), Some(Err(Reject::NtimeTooNew)));
    assert!(credit(job.ntime + NTIME_AHEAD + 9, 9).unwrap().is_ok());
}

#[test]
fn the_same_share_counts_once_and_every_other_one_counts() {
    let mut job = job(1, None);
    let credit = |job: &Job, share: &Submission| {
        (0..)
            .map(|nonce| at(share, nonce))
            .find_map(|share| judged(job, &share).credit.ok().map(|fingerprint| (share.nonce, fingerprint)))
    };
    let mut seen = std::collections::BTreeSet::new();
    let share = Submission { version_mask: MASK, ..submission(&job) };
    let variants = [
        share,
        Submission { filled: filled(1), ..share },
        Submission { filled: Filled { extranonce1: [1, 2, 3, 5], ..share.filled }, ..share },
        Submission { filled: Filled { extranonce2: &[8; 8], ..share.filled }, ..share },
        Submission { ntime: share.ntime + 1, ..share },
        Submission { version_bits: Some(0x2000), ..share },
    ];
    for variant in variants {
        let (nonce, fingerprint) = credit(&job, &variant).unwrap();
        assert!(seen.insert(fingerprint), "{variant:?}");
        assert!(job.remember(fingerprint));
        let again = judged(&job, &at(&variant, nonce));
        assert_eq!((again.credit, again.solves), (Err(Reject::Duplicate), None));
    }
    // The same header, claimed at another difficulty or with no bits rolled instead of none sent.
    let (nonce, fingerprint) =
        (0..).find_map(|nonce| Some((nonce, judged(&job, &at(&share, nonce)).credit.ok()?))).unwrap();
    job.remember(fingerprint);
    for again in [
        Submission { nonce, version_bits: Some(0), ..share },
        Submission { nonce, difficulty: Difficulty::ONE, ..share },
        Submission { nonce, version_mask: 0, ..share },
    ] {
        assert_eq!(judged(&job, &again).credit, Err(Reject::Duplicate));
    }
}

#[test]
fn no_header_belongs_to_two_jobs_or_to_two_sendings_of_one() {
    let jobs = [job(1, None), job(2, None)];
    let mut roots = std::collections::BTreeSet::new();
    for job in &jobs {
        for epoch in [0, 1, 2, 300] {
            assert!(roots.insert(job.coinbase_id(&filled(epoch))), "{} {epoch}", job.seq);
        }
    }
}

#[test]
fn a_block_carries_the_version_that_the_rig_rolled() {
    let job = job(1, None);
    assert_eq!(job.version & MASK, 0);
    let rolled = Submission { version_mask: MASK, version_bits: Some(0x0042_4000), ..submission(&job) };
    let header = judged(&job, &with_nonce(&job, &rolled, true)).solves.unwrap().header;
    assert_eq!(header[..4], (job.version | 0x0042_4000).to_le_bytes());
    // Bits outside of what was negotiated never reach a block.
    let cheeky = Submission { version_bits: Some(0xc042_4001), ..rolled };
    let header = judged(&job, &with_nonce(&job, &cheeky, true)).solves.unwrap().header;
    assert_eq!(header[..4], (job.version | 0x0042_4000).to_le_bytes());
}

#[test]
fn what_rigs_are_told_hashes_to_what_is_judged() {
    // A rig's own way: from the notify line to the merkle root.
    let job = job(0x12_3456, None);
    for epoch in [0, 7] {
        let line: serde_json::Value = serde_json::from_slice(&job.notify(CoinbaseClass::DEFAULT, epoch, true)).unwrap();
        let bytes = |index: usize| hex::decode(line["params"][index].as_str().unwrap()).unwrap();
        let coinbase = [&bytes(2)[..], &EXTRANONCE1_OF_RIG, &EXTRANONCE2, &bytes(3)].concat();
        let id = crate::coin::pow::sha256d(&coinbase);
        assert_eq!(id, job.coinbase_id(&filled(epoch)));
        let share = with_nonce(&job, &Submission { filled: filled(epoch), ..submission(&job) }, true);
        let header = judged(&job, &share).solves.unwrap().header;
        let root = bytes_of_branch(&line)
            .iter()
            .fold(id, |root, node| crate::coin::pow::sha256d(&[root.as_slice(), node].concat()));
        assert_eq!(header[36..68], root);
        let block = job.assemble(&header, &filled(epoch));
        assert_eq!(block[..80], header);
        // The coinbase in the block is the one that was hashed, with its witness.
        let stripped = [&coinbase[..4], &[0, 1], &coinbase[4..coinbase.len() - 4]].concat();
        assert_eq!(block[81..81 + stripped.len()], stripped);
        assert_eq!(JobId::parse(line["params"][0].as_str().unwrap()), Some(JobId { seq: job.seq, epoch }));
    }
}

fn bytes_of_branch(line: &serde_json::Value) -> Vec<Vec<u8>> {
    line["params"][4].as_array().unwrap().iter().map(|node| hex::decode(node.as_str().unwrap()).unwrap()).collect()
}

#[test]
fn jobs_of_the_last_tip_go_stale_and_only_the_newest_are_kept() {
    use crate::base::limits::{LIVE_JOBS, STALE_JOBS};
    let mut jobs = Jobs::default();
    let mut seq = 0;
    let mut push = |jobs: &mut Jobs, clean| {
        seq += 1;
        jobs.push(job(seq, None), clean);
        seq
    };
    let first = push(&mut jobs, true);
    let mut last = first;
    for _ in 0..LIVE_JOBS {
        last = push(&mut jobs, false);
    }
    assert!(jobs.find(first).is_none());
    assert_eq!(jobs.oldest(), Some(first + 1));
    assert!(!jobs.find(last).unwrap().stale);
    let clean = push(&mut jobs, true);
    assert_eq!(jobs.current().unwrap().seq, clean);
    assert!(jobs.find(last).unwrap().stale && !jobs.find(clean).unwrap().stale);
    assert_eq!(jobs.oldest(), Some(clean - STALE_JOBS as u64));
    for _ in 0..2 * LIVE_JOBS {
        push(&mut jobs, false);
    }
    assert_eq!(jobs.oldest(), Some(clean - STALE_JOBS as u64), "the last tip's jobs may still solve a block");
    assert!(jobs.find(clean).is_none());
}
