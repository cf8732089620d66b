//! With `--node`: the chain against what is recorded of it, and a node that says so.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;

use edgepool::base::amount::format_amount;
use edgepool::base::{Hash32, display_hash};
use edgepool::coin::params::coin;
use edgepool::coin::script::Script;
use edgepool::coin::{address, auxpow};
use edgepool::pool::record::{BlockStatus, Entry, OutPoint};
use edgepool::shell::ledger::verify::Options;
use serde_json::{Value, json};

use crate::keeper::{Ledgers, SETTLED, pool_script, script, transaction, true_ledger};
use crate::place::{Scratch, assert_found, unchecked, verify};

/// Id and outputs.
type Transaction = (String, Vec<(Script, u64)>);
/// A change of the first transaction's outputs.
type Change<'c> = &'c dyn Fn(&mut Vec<(Script, u64)>);

/// What the scripted node's chain holds. Every coinbase has the pool's tag.
#[derive(Clone, Default)]
pub struct Chain {
    pub hashes: BTreeMap<u32, String>,
    pub blocks: BTreeMap<String, Vec<Transaction>>,
    /// The node knows no more than whole blocks and their bytes, and its blocks are merge-mined.
    pub tells_bytes: bool,
    /// A block that the node knows and doesn't have any more.
    pub pruned: Option<String>,
    /// What its wallet sent: id, to whom and how much.
    pub sent: Vec<(String, Script, u64)>,
    /// The node has no wallet.
    pub has_no_wallet: bool,
    /// The bytes of what is no coinbase unlock the coin in another way, which gives it another id.
    pub unlocks_otherwise: bool,
}

/// The chain as the true ledger has it.
pub fn true_chain(ledger: &Ledgers) -> Chain {
    let mut chain = Chain::default();
    for height in 90..160 {
        chain.hashes.insert(height, display_hash(&[height as u8; 32]));
    }
    let status = |hash: &Hash32| {
        let judged = ledger.entries.iter().rev().find_map(|entry| match entry {
            Entry::BlockJudged(judged) if judged.hash == *hash => Some(judged.status.clone()),
            _ => None,
        });
        judged.unwrap_or(BlockStatus::Submitted)
    };
    for entry in &ledger.entries {
        match entry {
            Entry::BlockFound(found) if status(&found.hash).is_live() => {
                let mut outputs: Vec<(Script, u64)> =
                    found.outputs.iter().map(|output| (script(output.miner), output.amount)).collect();
                // The pool's output is left out when there is nothing in it.
                let pool = Some((Script::from_bytes(found.pool_script.clone()), found.pool_amount));
                outputs.extend(pool.filter(|(_, amount)| *amount > 0));
                // The commitment to the witnesses, as every segwit coinbase has it.
                outputs.push((Script::from_bytes([&[0x6a, 0x24][..], &[9; 36]].concat()), 0));
                let hash = display_hash(&found.hash);
                chain.hashes.insert(found.height, hash.clone());
                chain.blocks.insert(hash, vec![(display_hash(&[found.height as u8; 32]), outputs)]);
            }
            Entry::PaymentSigned(signed) if signed.payment == 1 => {
                let (height, block) = (SETTLED.0, display_hash(&SETTLED.1));
                let pays = signed.outputs.iter().map(|output| (script(output.miner), output.received));
                let outputs = pays.chain([(pool_script(), 5_000)]).collect();
                let coinbase = ("00".repeat(32), vec![(Script::p2pkh(&[3; 20]), 7)]);
                chain.blocks.insert(block.clone(), vec![coinbase, (display_hash(&signed.txid), outputs)]);
                chain.hashes.insert(height, block);
            }
            _ => {}
        }
    }
    chain
}

impl Chain {
    fn answer(&self, call: &Value) -> String {
        let error =
            |code: i32| format!("{{\"result\":null,\"error\":{{\"code\":{code},\"message\":\"no\"}},\"id\":1}}");
        let result = match call["method"].as_str().unwrap() {
            "getblockchaininfo" => {
                let tip = self.hashes.last_key_value().unwrap().0;
                json!({ "blocks": tip, "headers": tip, "initialblockdownload": false }).to_string()
            }
            "getblockhash" => match self.hashes.get(&(call["params"][0].as_u64().unwrap() as u32)) {
                Some(hash) => json!(hash).to_string(),
                None => return error(-8),
            },
            "getblock" if self.pruned.as_deref() == call["params"][0].as_str() => return error(-5),
            "getblock" if self.tells_bytes && call["params"][1] != false => return error(-1),
            "getblock" if self.tells_bytes => {
                let others = [("44".repeat(32), vec![(Script::p2pkh(&[4; 20]), 9)])];
                let block = self.blocks.get(call["params"][0].as_str().unwrap());
                match block {
                    Some(transactions) => json!(hex::encode(self.merged_block(transactions, b"\x01\x09/edgepool/"))),
                    None => json!(hex::encode(self.merged_block(&others, b"\x01\x09/p2pool/"))),
                }
                .to_string()
            }
            "getblock" => match self.blocks.get(call["params"][0].as_str().unwrap()) {
                Some(transactions) => block_text(transactions, b"\x03\x01\x02\x03/edgepool/\x00"),
                // Somebody else's, with somebody else's tag, though it pays an address of the pool.
                None => block_text(&[("44".repeat(32), vec![(pool_script(), 9)])], b"\x03\x01\x02\x03/p2pool/"),
            },
            "listtransactions" if !self.has_no_wallet => {
                let (count, skip) = (call["params"][1].as_u64().unwrap(), call["params"][2].as_u64().unwrap());
                let page = self.sent.iter().skip(skip as usize).take(count as usize).map(sent_text);
                format!("[{}]", page.collect::<Vec<String>>().join(","))
            }
            _ => return error(-32601),
        };
        format!("{{\"result\":{result},\"error\":null,\"id\":1}}")
    }

    fn merged_block(&self, transactions: &[Transaction], tag: &[u8]) -> Vec<u8> {
        merged_block(transactions, tag, if self.unlocks_otherwise { b"\x51" } else { b"" })
    }

    /// A node with this chain, until the process ends.
    pub fn serve(self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let chain = Arc::new(self);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                answer_one(stream.unwrap(), |call| chain.answer(call));
            }
        });
        address
    }
}

/// Serves one call.
pub fn answer_one(mut stream: TcpStream, answer: impl FnOnce(&Value) -> String) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut line, mut length) = (String::new(), 0);
    while reader.read_line(&mut line).unwrap() > 2 {
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let answer = answer(&serde_json::from_slice(&body).unwrap());
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
    stream.write_all((head + &answer).as_bytes()).unwrap();
}

/// Amounts as nodes print them: numbers with eight decimals.
fn block_text(transactions: &[Transaction], tag: &[u8]) -> String {
    let transaction = |(txid, outputs): &Transaction| {
        let outputs: Vec<String> = outputs
            .iter()
            .map(|(script, amount)| {
                let (value, hex) = (format_amount(*amount), hex::encode(script.as_bytes()));
                format!("{{\"value\":{value},\"n\":0,\"scriptPubKey\":{{\"asm\":\"\",\"hex\":\"{hex}\"}}}}")
            })
            .collect();
        let tag = hex::encode(tag);
        format!("{{\"txid\":\"{txid}\",\"vin\":[{{\"coinbase\":\"{tag}\"}}],\"vout\":[{}]}}", outputs.join(","))
    };
    let list: Vec<String> = transactions.iter().map(transaction).collect();
    format!("{{\"time\":1795000000,\"bits\":\"1e0ffff0\",\"tx\":[{}]}}", list.join(","))
}

/// A payment as a wallet lists it.
fn sent_text((txid, script, amount): &(String, Script, u64)) -> String {
    let litecoin = coin("litecoin").unwrap();
    let address = address::encode(script, litecoin, litecoin.network("regtest").unwrap()).unwrap();
    let amount = format_amount(*amount);
    format!(
        "{{\"address\":\"{address}\",\"category\":\"send\",\"amount\":-{amount},\"vout\":0,\"fee\":-0.00001,\
         \"confirmations\":7,\"txid\":\"{txid}\",\"abandoned\":false}}"
    )
}

/// The bytes of a merge-mined block. What is not its coinbase spends the coin that the payments of these tests do.
fn merged_block(transactions: &[Transaction], tag: &[u8], unlocking: &[u8]) -> Vec<u8> {
    let mut header = [0; 80];
    header[..4].copy_from_slice(&0x0062_0104u32.to_le_bytes());
    header[68..72].copy_from_slice(&1_795_000_000u32.to_le_bytes());
    header[72..76].copy_from_slice(&0x1e0f_fff0u32.to_le_bytes());
    let nothing = OutPoint { txid: [0; 32], vout: u32::MAX };
    let parents = transaction(nothing, b"\xfa\xbemm and so on", &[(Script::p2pkh(&[5; 20]), 1)]);
    let mut block = header.to_vec();
    block.extend(auxpow::proof(&parents, &[[1; 32], [2; 32]], &[[3; 32]], 1, &[7; 80]));
    block.push(transactions.len() as u8);
    for (index, (_, outputs)) in transactions.iter().enumerate() {
        block.extend(match index {
            0 => transaction(nothing, tag, outputs),
            _ => transaction(OutPoint { txid: [1; 32], vout: 7 }, unlocking, outputs),
        });
    }
    block
}

/// A configuration with this node, beside the ledger.
pub fn configure(scratch: &Scratch, node: SocketAddr) -> PathBuf {
    let litecoin = coin("litecoin").unwrap();
    let payout = address::encode(&pool_script(), litecoin, litecoin.network("regtest").unwrap()).unwrap();
    let config = json!({
        "data_dir": scratch.0,
        // A 32-bit process has addresses for few ledgers of the usual size.
        "ledger": { "map_mib": 16 },
        "pools": [{
            "name": "ltc",
            "coin": "litecoin",
            "network": "regtest",
            "nodes": [{ "url": format!("http://{node}"), "user": "u", "password": "p" }],
            "payout": { "address": payout },
            "payments": {},
        }]
    });
    let path = scratch.0.join("edgepool.json");
    std::fs::write(&path, config.to_string()).unwrap();
    path
}

pub fn compare(ledger: &Ledgers, chain: Chain) -> Result<String, Vec<String>> {
    let scratch = Scratch::with(ledger);
    let config = configure(&scratch, chain.serve());
    verify(&scratch.0, &config, Options { node: true, ..Options::default() })
}

/// Plants a fault in the ledger or in the chain; gives the entry at which it must be found.
#[track_caller]
fn case(what: &str, plant: impl FnOnce(&mut Ledgers, &mut Chain) -> usize) {
    let mut ledger = true_ledger();
    let mut chain = true_chain(&ledger);
    let index = plant(&mut ledger, &mut chain);
    let faults = compare(&ledger, chain).expect_err("the fault is found");
    assert_found(&faults, &format!("pool ltc, entry {} (", index + 1), what);
}

#[test]
fn a_true_ledger_agrees_with_its_chain() {
    let ledger = true_ledger();
    let text = compare(&ledger, true_chain(&ledger)).unwrap();
    assert!(text.contains("has 9 coinbases and 1 payments as recorded"), "{text}");
}

fn change_status(ledger: &mut Ledgers, hash: Hash32, is_final: bool, to: BlockStatus) {
    for entry in &mut ledger.entries {
        if let Entry::BlockJudged(judged) = entry
            && (judged.hash, judged.is_final) == (hash, is_final)
        {
            judged.status = to.clone();
        }
    }
}

#[test]
fn an_orphan_recorded_as_confirmed_is_found_and_the_reverse() {
    case("it is confirmed, and at its height the chain has 676767", |ledger, _| {
        let (index, found) = ledger.found(103, 0);
        let hash = found.hash;
        change_status(ledger, hash, true, BlockStatus::Confirmed);
        index
    });
    case("it is orphaned, and at its height the chain has", |ledger, _| {
        let (index, found) = ledger.found(101, 0);
        let hash = found.hash;
        change_status(ledger, hash, true, BlockStatus::Orphaned("so they say".into()));
        index
    });
    case("and at its height the chain has no block", |ledger, chain| {
        chain.hashes.clear();
        chain.hashes.insert(10, display_hash(&[10; 32]));
        ledger.found(100, 0).0
    });
}

#[test]
fn a_block_whose_coinbase_in_the_chain_is_another_is_found_to_the_unit() {
    let outputs = |chain: &mut Chain, ledger: &mut Ledgers, height: u32, change: Change| {
        let (index, found) = ledger.found(height, 0);
        change(&mut chain.blocks.get_mut(&display_hash(&found.hash)).unwrap()[0].1);
        index
    };
    case("output 1 of its coinbase is", |ledger, chain| outputs(chain, ledger, 100, &|outputs| outputs[1].1 += 1));
    case("output 0 of its coinbase is", |ledger, chain| {
        outputs(chain, ledger, 110, &|outputs| outputs[0].0 = Script::p2pkh(&[1; 20]))
    });
    case("output 0 of its coinbase is", |ledger, chain| outputs(chain, ledger, 111, &|outputs| outputs.swap(0, 1)));
    case("and recorded is nothing", |ledger, chain| {
        outputs(chain, ledger, 109, &|outputs| outputs.push((Script::p2pkh(&[1; 20]), 1)))
    });
    case("output 2 of its coinbase is nothing", |ledger, chain| {
        outputs(chain, ledger, 104, &|outputs| outputs.truncate(2))
    });
    // Nobody can be paid nothing by a script that anybody may spend.
    case("0.00000000 to", |ledger, chain| {
        outputs(chain, ledger, 105, &|outputs| outputs.push((Script::p2pkh(&[1; 20]), 0)))
    });
}

#[test]
fn a_script_that_is_not_the_one_that_was_paid_is_found() {
    case("output 0 of its coinbase is", |ledger, _| {
        ledger.miners.insert(0, script(9).as_bytes().to_vec());
        ledger.found(100, 0).0
    });
}

#[test]
fn a_payment_that_is_not_where_it_settled_is_found() {
    let block = display_hash(&SETTLED.1);
    case("is not in block 5e5e5e", |ledger, chain| {
        chain.blocks.get_mut(&block).unwrap().pop();
        ledger.signed(1).0
    });
    case("it is settled in block 5e5e5e", |ledger, chain| {
        chain.hashes.insert(SETTLED.0, "77".repeat(32));
        ledger.signed(1).0
    });
    case("its output 0 is", |ledger, chain| {
        chain.blocks.get_mut(&block).unwrap()[1].1[0].1 -= 1;
        ledger.signed(1).0
    });
}

#[test]
fn a_node_that_cannot_be_asked_says_nothing_of_the_ledger() {
    let ledger = true_ledger();
    let scratch = Scratch::with(&ledger);
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = configure(&scratch, free);
    let (checked, down) = unchecked(&scratch.0, &config, Options { node: true, ..Options::default() });
    assert_found(&down, "chain ltc", &format!("no node can be asked: http://{free}: Connection refused"));
    assert!(!down[0].contains("edgepool runs") && !down[0].contains("--url"), "{down:?}");
    assert!(checked.contains("pool ltc: 47 entries"), "{checked}");

    // One that has thrown away what an old block held.
    let mut chain = true_chain(&ledger);
    chain.pruned = Some(display_hash(&ledger.clone().found(100, 0).1.hash));
    let config = configure(&scratch, chain.serve());
    let (checked, pruned) = unchecked(&scratch.0, &config, Options { node: true, ..Options::default() });
    assert_found(&pruned, "(block 100 ", "the node's answer: no (-5)");
    assert!(pruned.len() == 1 && checked.contains("has 8 coinbases and 1 payments as recorded"), "{checked}");
}
