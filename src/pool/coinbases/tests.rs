//! Each class gets as much of one ranking as it takes.

use std::rc::Rc;

use super::*;
use crate::coin::params::coin;
use crate::pool::child::Children;
use crate::pool::job::Job;
use crate::pool::record::MinerId;
use crate::pool::spec::ChainSpec;
use crate::pool::split::Claim;

const EXTRANONCE2_LEN: usize = 8;

fn chain(max_outputs: u32) -> ChainSpec {
    let litecoin = coin("litecoin").unwrap();
    let pool_script = Script::witness(0, &[0xee; 32]).unwrap();
    ChainSpec {
        name: "ltc".into(),
        coin: litecoin,
        network: litecoin.network("regtest").unwrap(),
        nodes: Vec::new(),
        terms: Terms { pool_script, fee_ppm: 10_000, min_payout: 1, max_outputs },
        coinbase_tag: b"/edgepool/".to_vec(),
        payments: None,
        mine: true,
    }
}

/// Scripts of every length that is paid, the hardest worker first.
fn scripts(miners: u8) -> Vec<Script> {
    let script = |miner: u8| match miner % 3 {
        0 => Script::p2pkh(&[miner; 20]),
        1 => Script::witness(0, &[miner; 20]).unwrap(),
        _ => Script::witness(1, &[miner; 32]).unwrap(),
    };
    (0..miners).map(script).collect()
}

fn job(max_outputs: u32, miners: u8) -> Job {
    let vector = include_str!("../../../tests/vectors/vector_ltc_mweb_emptytx_1out.json");
    let vector: serde_json::Value = serde_json::from_str(vector).unwrap();
    let chain = chain(max_outputs);
    let template = Template::parse(vector["gbt"].to_string().as_bytes(), chain.coin).unwrap();
    let scripts = scripts(miners);
    let claim = |(miner, script)| Claim {
        miner: miner as MinerId,
        script: Some(script),
        work: 1_000 - miner as u64,
        balance: 0,
    };
    let claims: Vec<Claim> = scripts.iter().enumerate().map(claim).collect();
    let parts = JobParts {
        aux: &[],
        seq: 1,
        ntime: template.curtime,
        template: &Rc::new(template),
        chain: &chain,
        terms: &chain.terms,
        claims: &claims,
        extranonce2_len: EXTRANONCE2_LEN,
        made_ms: 0,
    };
    Job::build(&parts, Children::default()).unwrap()
}

/// Bytes that a rig of `class` puts together from its notify.
fn sent(job: &Job, class: CoinbaseClass) -> usize {
    let line: serde_json::Value = serde_json::from_slice(&job.notify(class, 0, true)).unwrap();
    let half = |index: usize| line["params"][index].as_str().unwrap().len() / 2;
    half(2) + EXTRANONCE1 + EXTRANONCE2_LEN + half(3)
}

#[test]
fn every_class_gets_as_many_outputs_as_it_takes_and_not_one_more() {
    let job = job(360, 250);
    let (scripts, mut before) = (scripts(250), 0);
    for class in CoinbaseClass::all() {
        let Variant { split, max_outputs, .. } = job.coinbases.of(class);
        split.check(&Terms { max_outputs: *max_outputs, ..job.terms.clone() }).unwrap();
        let paid: Vec<&Script> = split.paid.iter().map(|(_, script, _)| script).collect();
        assert_eq!(paid, scripts.iter().take(paid.len()).collect::<Vec<_>>(), "the ranking of all, cut");
        let (size, most) = (sent(&job, class), class.bytes() as usize);
        assert!(size <= most, "{size} of {most} bytes");
        if let Some(next) = scripts.get(paid.len()) {
            assert!(size + output_size(next) + COUNT_GROWTH > most, "{size} of {most} bytes would hold one more");
        }
        assert!(paid.len() > before, "{most} bytes pay more than the class below");
        before = paid.len();
    }
    assert_eq!(before, 250, "16,000 bytes hold them all");
}

#[test]
fn nobody_is_worse_off_for_a_limit_that_is_not_reached() {
    let job = job(13, 250);
    // 500 bytes hold fewer than 13 outputs; the other classes have one coinbase in common.
    let numbers: Vec<usize> = CoinbaseClass::all().map(|class| job.coinbases.index(class)).collect();
    assert_eq!(numbers, [0, 1, 1, 1, 1]);
    assert_eq!(job.coinbases.widest().split.paid.len(), 12);
    assert_eq!(job.coinbases.widest().max_outputs, 13);
    let few = self::job(10, 3);
    assert_eq!(few.coinbases.variants().len(), 1);
    assert_eq!(few.coinbases.widest().max_outputs, 10, "the terms' own limit, however few there are to pay");
}

#[test]
fn a_block_holds_what_the_largest_coinbase_needs() {
    let job = job(360, 250);
    let extranonce_len = JOB_STAMP + EXTRANONCE1 + EXTRANONCE2_LEN;
    for variant in job.coinbases.variants() {
        let coinbase = &variant.coinbase;
        assert!(job.template.fits(coinbase.weight(extranonce_len), coinbase.size(extranonce_len), coinbase.sigops()));
    }
}
