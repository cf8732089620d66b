//! A rig: it reads what the pool sends and works out headers by itself, with no code of the pool's.

use bitcoin_hashes::sha256d;
use serde_json::Value;

/// One `mining.notify`, with the difficulty that was announced before it.
#[derive(Clone, Debug)]
pub struct Job {
    pub id: String,
    pub prev_hash: String,
    pub clean: bool,
    pub difficulty: f64,
    coinbase1: Vec<u8>,
    coinbase2: Vec<u8>,
    branch: Vec<Vec<u8>>,
    version: u32,
    bits: u32,
    pub ntime: u32,
}

/// What a search looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// Meets the job's difficulty and makes no block.
    Share,
    /// Makes a block.
    Block,
    /// Misses the job's difficulty.
    TooEasy,
}

#[derive(Clone, Debug)]
pub struct Share {
    pub job_id: String,
    pub extranonce2: String,
    pub ntime: u32,
    pub nonce: u32,
    /// As nodes print it.
    pub block_hash: String,
}

#[derive(Default)]
pub struct Rig {
    pub username: String,
    /// Everything received, in order.
    pub lines: Vec<Value>,
    pub jobs: Vec<Job>,
    pub difficulty: f64,
    /// Why the pool closed the connection.
    pub closed: Option<String>,
    extranonce1: Vec<u8>,
    next_extranonce2: u64,
}

impl Job {
    fn parse(params: &Value, difficulty: f64) -> Job {
        let text = |index: usize| params[index].as_str().unwrap();
        let bytes = |index: usize| hex::decode(text(index)).unwrap();
        let word = |index: usize| u32::from_str_radix(text(index), 16).unwrap();
        // Eight words, each reversed; as nodes print it, the last word comes first.
        let prev: Vec<String> = bytes(1).chunks(4).rev().map(hex::encode).collect();
        Job {
            id: text(0).to_string(),
            prev_hash: prev.concat(),
            coinbase1: bytes(2),
            coinbase2: bytes(3),
            branch: params[4].as_array().unwrap().iter().map(|n| hex::decode(n.as_str().unwrap()).unwrap()).collect(),
            version: word(5),
            bits: word(6),
            ntime: word(7),
            clean: params[8].as_bool().unwrap(),
            difficulty,
        }
    }

    /// The job as the pool would have sent it under another name: the coinbase's first half ends with the low
    /// halves of the job's number and of the sending's.
    pub fn renamed(&self, id: String, sending: u32) -> Job {
        let mut job = Job { id, ..self.clone() };
        let end = job.coinbase1.len();
        job.coinbase1[end - 2..].copy_from_slice(&(sending as u16).to_be_bytes());
        job
    }

    /// The amounts that the coinbase pays, by output script in hexadecimal, without the commitment.
    pub fn outputs(&self) -> Vec<(String, u64)> {
        // After the tag and the sequence: a count, then the outputs.
        let start = self.coinbase2.windows(4).position(|four| four == [0xff; 4]).unwrap() + 4;
        let mut rest = &self.coinbase2[start + 1..];
        let mut outputs = Vec::new();
        for _ in 0..self.coinbase2[start] {
            let value = u64::from_le_bytes(rest[..8].try_into().unwrap());
            let length = rest[8] as usize;
            outputs.push((hex::encode(&rest[9..9 + length]), value));
            rest = &rest[9 + length..];
        }
        outputs.retain(|(script, _)| !script.starts_with("6a24"));
        outputs
    }
}

impl Rig {
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
                assert_eq!(line["result"][2], 8);
            }
            self.lines.push(line);
        }
    }

    pub fn job(&self) -> &Job {
        self.jobs.last().expect("the rig has work")
    }

    /// What was answered to the request `id`.
    pub fn reply(&self, id: &str) -> Option<&Value> {
        self.lines.iter().find(|line| line["id"] == id)
    }

    /// The names of what was received: methods, and ids of replies.
    pub fn order(&self) -> Vec<&str> {
        let name = |line: &'_ Value| line["method"].as_str().or(line["id"].as_str()).is_some();
        self.lines.iter().filter(|l| name(l)).map(|l| l["method"].as_str().or(l["id"].as_str()).unwrap()).collect()
    }

    pub fn mine(&mut self, want: Want) -> Share {
        let job = self.job().clone();
        self.mine_job(&job, want)
    }

    pub fn mine_job(&mut self, job: &Job, want: Want) -> Share {
        let extranonce2 = self.next_extranonce2.to_be_bytes();
        self.next_extranonce2 += 1;
        let coinbase = [&job.coinbase1[..], &self.extranonce1, &extranonce2, &job.coinbase2].concat();
        let root = job.branch.iter().fold(hash(&coinbase), |root, node| hash(&[&root[..], node].concat()));
        let share_target = (0xffff_u128 << 112) / (job.difficulty * 65_536.0) as u128;
        let block_target = u128::from(job.bits & 0x7f_ffff) << (8 * ((job.bits >> 24) - 3) - 128);
        for nonce in 0..200_000 {
            let header = job.header(&root, nonce);
            let pow = scrypt(&header);
            let (is_share, is_block) = (pow < share_target, pow < block_target);
            let fits = match want {
                Want::Share => is_share && !is_block,
                Want::Block => is_block,
                Want::TooEasy => !is_share,
            };
            if fits {
                let mut id = hash(&header);
                id.reverse();
                let (extranonce2, block_hash) = (hex::encode(extranonce2), hex::encode(id));
                return Share { job_id: job.id.clone(), extranonce2, ntime: job.ntime, nonce, block_hash };
            }
        }
        panic!("no header is a {want:?} at {} with {:08x}", job.difficulty, job.bits);
    }
}

impl Job {
    fn header(&self, root: &[u8; 32], nonce: u32) -> [u8; 80] {
        let mut prev = hex::decode(&self.prev_hash).unwrap();
        prev.reverse();
        let words = [self.ntime, self.bits, nonce].map(u32::to_le_bytes).concat();
        [&self.version.to_le_bytes()[..], &prev, root, &words].concat().try_into().unwrap()
    }
}

fn hash(data: &[u8]) -> [u8; 32] {
    sha256d::Hash::hash(data).to_byte_array()
}

/// The highest half of the proof of work: more than enough to compare it.
fn scrypt(header: &[u8; 80]) -> u128 {
    let mut pow = [0; 32];
    scrypt::scrypt(header, header, &scrypt::Params::new(10, 1, 1).unwrap(), &mut pow).unwrap();
    u128::from_le_bytes(pow[16..].try_into().unwrap())
}
