//! What miners get wrong, deliberately or not: each mistake has its own answer, and costs nobody else anything.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use crate::blocks::{pool_address, script_of_type};
use edgepool::shell::demo::chain::{Chain as EmbeddedChain, ChainSpec};
use edgepool::shell::demo::node::EmbeddedNode;

use crate::chain::Chain;
use crate::miner::{Miner, PATIENCE, Refusal, Share, Want};
use crate::node::Node;
use crate::place::wait_for;
use crate::pool::{ONE_HASH, Pool};

const OTHER: i64 = 20;
const JOB_NOT_FOUND: i64 = 21;
const DUPLICATE: i64 = 22;
const LOW_DIFFICULTY: i64 = 23;
const UNAUTHORIZED: i64 = 24;
const NOT_SUBSCRIBED: i64 = 25;

/// A regtest address for the demo's chain, which has no wallet.
const EMBEDDED_ADDRESS: &str = "rltc1qxvenxvenxvenxvenxvenxvenxvenxvenuxr9sr";

/// Runs `mistakes` while another miner works, whose every share must be taken and counted.
fn beside_an_honest_miner(mistakes: impl FnOnce(&Node, &Pool)) {
    let node = Node::start(Chain::Mweb);
    let pool = Pool::start(&[&node], &pool_address(&node));
    let address = node.address_of(&script_of_type("p2wpkh", 1));
    let mut honest = Miner::at_work(pool.stratum_port, &address, "x");
    let over = AtomicBool::new(false);
    let accepted = thread::scope(|scope| {
        let work = scope.spawn(|| {
            let mut accepted = 0;
            // At least once, also when the mistakes are over in no time.
            loop {
                honest.catch_up().expect("the honest miner stays connected");
                let share = honest.mine(Want::NotBlock);
                assert_eq!(honest.submit(&share), Ok(true), "share {accepted} of the honest miner");
                accepted += 1;
                if over.load(Ordering::Relaxed) {
                    return accepted;
                }
            }
        });
        // Whatever happens here, the honest miner must be told to end, or the scope would wait for ever.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| mistakes(&node, &pool)));
        over.store(true, Ordering::Relaxed);
        let accepted = work.join().expect("the honest miner noticed something");
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        accepted
    });
    assert_eq!(pool.share_count(&address), accepted);
}

#[track_caller]
fn assert_refused(outcome: &Result<bool, Refusal>, code: i64) {
    match outcome {
        Err((found, text)) => {
            assert_eq!(*found, code, "{text}");
            assert!(!text.is_empty(), "a reason is given");
        }
        Ok(result) => panic!("taken ({result}) instead of refused with {code}"),
    }
}

/// Fails unless the pool ends the connection.
#[track_caller]
fn assert_closed(miner: &mut Miner) {
    loop {
        match miner.read_message(PATIENCE) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::TimedOut => panic!("the connection stays open"),
            Err(_) => return,
        }
    }
}

/// A share of a job that this miner never had.
fn invented_share() -> Share {
    Share {
        job_id: "1".to_owned(),
        extranonce2: vec![0; 4],
        ntime: 0x6500_0000,
        nonce: 1,
        version_bits: None,
        block_hash: String::new(),
    }
}

#[test]
fn shares_out_of_order_are_refused_each_with_its_code() {
    beside_an_honest_miner(|node, pool| {
        let address = node.address_of(&script_of_type("p2pkh", 2));
        let mut miner = Miner::connect(pool.stratum_port).unwrap();
        assert_refused(&miner.submit(&invented_share()), NOT_SUBSCRIBED);
        miner.subscribe();
        assert!(!matches!(miner.authorize("not an address", "x"), Ok(true)), "nobody can be paid there");
        assert_refused(&miner.submit(&invented_share()), UNAUTHORIZED);
        let mweb = node.ask("getnewaddress", json!(["", "mweb"]));
        assert!(
            !matches!(miner.authorize(mweb.as_str().unwrap(), "x"), Ok(true)),
            "no coinbase can pay an MWEB address"
        );

        assert_eq!(miner.authorize(&address, "x"), Ok(true));
        miner.wait_for_job(|_| true);
        let share = miner.mine(Want::NotBlock);
        miner.username = "somebody-else".to_owned();
        assert_refused(&miner.submit(&share), UNAUTHORIZED);
        miner.username = address.clone();
        assert_eq!(miner.submit(&share), Ok(true), "the connection is as good as before");
        assert_eq!(pool.share_count(&address), 1);
    });
}

#[test]
fn wrong_shares_are_refused_and_not_counted() {
    beside_an_honest_miner(|node, pool| {
        let address = node.address_of(&script_of_type("p2sh", 2));
        let mut miner = Miner::at_work(pool.stratum_port, &address, "x");
        let job = miner.job.clone().unwrap();

        let share = miner.mine(Want::NotBlock);
        assert_eq!(miner.submit(&share), Ok(true));
        assert_refused(&miner.submit(&share), DUPLICATE);

        let unknown = Share { job_id: "neverwas".to_owned(), ..miner.mine(Want::NotBlock) };
        assert_refused(&miner.submit(&unknown), JOB_NOT_FOUND);

        let mut long = miner.mine(Want::NotBlock);
        long.extranonce2.push(0);
        assert_refused(&miner.submit(&long), OTHER);
        let mut short = miner.mine(Want::NotBlock);
        short.extranonce2.pop();
        assert_refused(&miner.submit(&short), OTHER);

        for ntime in [job.ntime - 24 * 3600, job.ntime + 24 * 3600, 0, u32::MAX] {
            let share = miner.mine_with(&job, Want::NotBlock, 0, ntime);
            assert_refused(&miner.submit(&share), OTHER);
        }
        // Rolling was never agreed, so the version is not the miner's to change.
        let rolled = Share { version_bits: Some(0x0000_2000), ..miner.mine(Want::NotBlock) };
        assert!(miner.submit(&rolled).is_err());

        assert_eq!(pool.share_count(&address), 1);
    });
}

/// On regtest a block is easier than almost any share, and a pool never asks for more than a block. So here the node is
/// the demo's, with a chain that nobody solves.
#[test]
fn a_share_below_its_difficulty_is_refused_and_vardiff_follows_the_miner() {
    let chain = EmbeddedChain::new(
        ChainSpec { block_interval_s: 1, start_hashes: 1 << 40, ..ChainSpec::litecoin() },
        1_800_000_000,
    );
    let node = EmbeddedNode::start(chain, "user:secret").unwrap();
    let pool = Pool::start_with(&[], EMBEDDED_ADDRESS, |entry| {
        entry["nodes"] = json!([{"url": format!("http://{}", node.addr()), "user": "user", "password": "secret"}]);
        entry["vardiff"]["target_share_s"] = json!(1);
    });
    let mut miner = Miner::at_work(pool.stratum_port, EMBEDDED_ADDRESS, "d=0.001");
    let asked = miner.job.as_ref().unwrap().difficulty;
    assert!(asked > ONE_HASH, "a miner may ask for more than the pool's minimum");
    for _ in 0..3 {
        let share = miner.mine(Want::TooEasy);
        assert_refused(&miner.submit(&share), LOW_DIFFICULTY);
    }
    assert_eq!(pool.share_count(EMBEDDED_ADDRESS), 0);

    let start = miner.job.clone().unwrap();
    for _ in 0..200 {
        let share_of_old_job = miner.mine_with(&start, Want::Share, 0, start.ntime);
        assert_eq!(miner.submit(&share_of_old_job), Ok(true), "a job keeps the difficulty that it was sent with");
        miner.catch_up().unwrap();
        if miner.job.as_ref().unwrap().difficulty > asked {
            return;
        }
    }
    panic!("far too many shares a second, and the difficulty stays");
}

#[test]
fn a_miner_that_asks_for_a_difficulty_is_credited_with_it() {
    let node = Node::start(Chain::Mweb);
    let pool = Pool::start(&[&node], &pool_address(&node));
    let address = node.address_of(&script_of_type("p2tr", 1));
    let mut miner = Miner::at_work(pool.stratum_port, &address, "x,d=0.001");
    let difficulty = miner.job.as_ref().unwrap().difficulty;
    let share = miner.mine(Want::Share);
    assert_eq!(miner.submit(&share), Ok(true));
    let credited = pool.miner_info(&address).unwrap()["total_difficulty"].to_string();
    assert_eq!(credited.trim_matches('"').parse::<f64>().unwrap(), difficulty);
}

#[test]
fn a_share_of_an_old_tip_is_stale() {
    let node = Node::start(Chain::Mweb);
    let pool = Pool::start(&[&node], &pool_address(&node));
    let address = node.address_of(&script_of_type("p2wpkh", 1));
    let mut miner = Miner::at_work(pool.stratum_port, &address, "x");
    let old = miner.job.clone().unwrap();
    node.generate(1);
    miner.wait_for_job(|job| job.prev_hash != old.prev_hash);
    let late = miner.mine_on(&old, Want::NotBlock);
    assert_refused(&miner.submit(&late), JOB_NOT_FOUND);
    let share = miner.mine(Want::NotBlock);
    assert_eq!(miner.submit(&share), Ok(true));
}

#[test]
fn garbage_costs_its_sender_at_most_the_connection() {
    beside_an_honest_miner(|_, pool| {
        for garbage in [
            &b"this is not JSON\n"[..],
            b"{\"id\":1,\"method\":\"mining.subscribe\",\"params\":[\n",
            b"[]\n{}\nnull\n1\n\"x\"\n",
            b"{\"id\":1,\"method\":7,\"params\":{}}\n",
            b"{\"id\":1,\"method\":\"mining.submit\",\"params\":[1,2,3,4,5]}\n",
            b"{\"id\":{\"a\":[1]},\"method\":\"mining.authorize\",\"params\":[]}\n",
            b"\xff\xfe\x00\x01\n\n\n\r\n",
        ] {
            let mut miner = Miner::connect(pool.stratum_port).unwrap();
            miner.send_raw(garbage).unwrap();
            // Answered or closed, as the pool likes: only what it does to the honest miner counts.
            let _ = miner.read_message(Duration::from_millis(300));
        }
        let deep = "[".repeat(900) + "\n";
        let mut miner = Miner::connect(pool.stratum_port).unwrap();
        miner.send_raw(deep.as_bytes()).unwrap();
        let _ = miner.read_message(Duration::from_millis(300));
        wait_for("the pool is well", 5, || (pool.health().ok()? == 200).then_some(()));
    });
}

#[test]
fn half_a_line_is_waited_for_and_a_cut_one_forgotten() {
    beside_an_honest_miner(|node, pool| {
        let mut miner = Miner::connect(pool.stratum_port).unwrap();
        miner.subscribe();
        let address = node.address_of(&script_of_type("p2tr", 2));
        let line = json!({"id": 77, "method": "mining.authorize", "params": [address, "x"]}).to_string() + "\n";
        let (first, second) = line.as_bytes().split_at(line.len() / 2);
        miner.send_raw(first).unwrap();
        thread::sleep(Duration::from_millis(300));
        miner.send_raw(second).unwrap();
        assert_eq!(miner.reply(77, PATIENCE).unwrap(), Ok(json!(true)));

        let mut cut = Miner::connect(pool.stratum_port).unwrap();
        cut.send_raw(first).unwrap();
        drop(cut);
    });
}

#[test]
fn a_line_of_a_megabyte_ends_its_connection() {
    beside_an_honest_miner(|_, pool| {
        let mut miner = Miner::connect(pool.stratum_port).unwrap();
        // The pool may close while this is still being sent.
        let _ = miner.send_raw(&vec![b'a'; 1 << 20]);
        assert_closed(&mut miner);

        let mut late = Miner::connect(pool.stratum_port).unwrap();
        late.subscribe();
        let _ = late.send_raw(&vec![b' '; 1 << 20]);
        assert_closed(&mut late);
    });
}

#[test]
fn a_foreign_protocol_is_sent_away() {
    beside_an_honest_miner(|_, pool| {
        for hello in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"GET / HTTP/1.1\r\nHost: pool\r\n\r\n"] {
            let mut stream = TcpStream::connect(("127.0.0.1", pool.stratum_port.number)).unwrap();
            stream.write_all(hello).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let ended = std::io::copy(&mut stream, &mut std::io::sink());
            assert!(!ended.is_err_and(|error| error.kind() == ErrorKind::WouldBlock), "the connection stays open");
        }
    });
}
