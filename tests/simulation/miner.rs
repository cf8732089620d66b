//! A rig: it reads what the pool sends, works out headers by itself, and remembers what it sent.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::bytes::{self, scrypt, sha256d};

/// One `mining.notify`, with the difficulty that was announced before it.
#[derive(Clone)]
pub struct Job {
    pub id: String,
    /// Work of one share, in difficulty units.
    pub units: u64,
    prev: Vec<u8>,
    halves: [Vec<u8>; 2],
    branch: Vec<Vec<u8>>,
    version: u32,
    bits: u32,
    ntime: u32,
}

/// What a search looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Meets the job's difficulty and makes no block.
    Share,
    /// Makes a block of the parent chain, and one of the child's where that is easier.
    Block,
    /// Makes a block of the child's chain, and one of the parent's where that is easier.
    Child,
    /// Misses the job's difficulty.
    TooEasy,
}

#[derive(Clone, Debug)]
pub struct Work {
    pub job: String,
    pub units: u64,
    extranonce2: String,
    ntime: u32,
    nonce: u32,
}

#[derive(Default)]
pub struct Miner {
    /// Whose it is: a number of the oracle's.
    pub who: usize,
    pub username: String,
    /// What solves the child's block.
    pub child_target: u128,
    pub jobs: Vec<Job>,
    /// Answers that were not looked at yet, by request.
    pub answers: BTreeMap<String, Value>,
    /// What it sent last.
    pub last: Option<Work>,
    /// The pool closed the connection.
    pub is_closed: bool,
    difficulty: f64,
    extranonce1: Vec<u8>,
    next_extranonce2: u64,
}

impl Work {
    pub fn line(&self, id: &str, username: &str) -> String {
        let Work { job, extranonce2, ntime, nonce, .. } = self;
        let params = json!([username, job, extranonce2, format!("{ntime:08x}"), format!("{nonce:08x}")]);
        json!({ "id": id, "method": "mining.submit", "params": params }).to_string() + "\n"
    }
}

impl Job {
    fn parse(params: &Value, difficulty: f64) -> Job {
        let text = |index: usize| params[index].as_str().unwrap();
        let bytes = |index: usize| hex::decode(text(index)).unwrap();
        let word = |index: usize| u32::from_str_radix(text(index), 16).unwrap();
        let nodes = params[4].as_array().unwrap().iter();
        Job {
            id: text(0).to_string(),
            units: (difficulty * 65_536.0) as u64,
            // Eight words, each reversed.
            prev: bytes(1).chunks(4).flat_map(|word| word.iter().rev().copied()).collect(),
            halves: [bytes(2), bytes(3)],
            branch: nodes.map(|node| hex::decode(node.as_str().unwrap()).unwrap()).collect(),
            version: word(5),
            bits: word(6),
            ntime: word(7),
        }
    }
}

impl Miner {
    pub fn new(who: usize, child_target: u128) -> Miner {
        Miner { who, child_target, ..Miner::default() }
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let line: Value = serde_json::from_slice(line).expect("the pool sends JSON");
            match line["method"].as_str() {
                Some("mining.set_difficulty") => self.difficulty = line["params"][0].as_f64().unwrap(),
                Some("mining.notify") => self.jobs.push(Job::parse(&line["params"], self.difficulty)),
                _ => {}
            }
            if line["id"] == "subscribe" {
                self.extranonce1 = hex::decode(line["result"][1].as_str().unwrap()).unwrap();
            } else if let Some(id) = line["id"].as_str() {
                self.answers.insert(id.to_string(), line);
            }
        }
    }

    /// Searches for what is wanted under a job.
    pub fn mine(&mut self, job: &Job, want: Want) -> Work {
        let extranonce2 = self.next_extranonce2.to_be_bytes();
        self.next_extranonce2 += 1;
        let coinbase = [&job.halves[0][..], &self.extranonce1, &extranonce2, &job.halves[1]].concat();
        let root = job.branch.iter().fold(sha256d(&coinbase), |root, node| sha256d(&[&root[..], node].concat()));
        let (share_target, block_target) = ((0xffff_u128 << 112) / u128::from(job.units), bytes::target(job.bits));
        let found = (0..100_000).find(|nonce: &u32| {
            let words = [job.ntime, job.bits, *nonce].map(u32::to_le_bytes).concat();
            let pow = scrypt(&[&job.version.to_le_bytes()[..], &job.prev, &root, &words].concat());
            match want {
                Want::Share => pow <= share_target && pow > block_target && pow > self.child_target,
                Want::Child => pow <= self.child_target,
                Want::Block => pow <= block_target,
                Want::TooEasy => pow > share_target,
            }
        });
        let nonce = found.expect("the targets are easy");
        let (job, units, ntime) = (job.id.clone(), job.units, job.ntime);
        Work { job, units, extranonce2: hex::encode(extranonce2), ntime, nonce }
    }
}
