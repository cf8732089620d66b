//! The pool's process, with the demo's chain for a node, in a folder of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use edgepool::coin::address;
use edgepool::coin::script::Script;
use edgepool::shell::demo::chain::{Chain, ChainSpec};
use edgepool::shell::demo::node::EmbeddedNode;
use serde_json::{Value, json};

use crate::program;

const COOKIE: &str = "__cookie__:0123456789abcdef";

pub struct Place {
    pub stratum: SocketAddr,
    rpc: SocketAddr,
    pool: Child,
    folder: PathBuf,
    _node: EmbeddedNode,
}

impl Place {
    /// A pool that has work for rigs, which may open so many files; `name` is its folder's.
    pub fn prepare(name: &str, files: usize) -> Place {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("hostile-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        // Nobody finds a block: what is watched is shares.
        let spec = ChainSpec { block_interval_s: 600, start_hashes: 1 << 40, ..ChainSpec::litecoin() };
        let node = EmbeddedNode::start(Chain::new(spec, 1_800_000_000), COOKIE).unwrap();
        let (stratum, rpc) = (free_address(), free_address());
        fs::write(folder.join("cookie"), COOKIE).unwrap();
        let config = json!({
            "data_dir": folder,
            "rpc": {"listen": rpc.to_string()},
            "ledger": {"commit_ms": 20},
            "pools": [{
                "name": "hostile",
                "coin": "litecoin",
                "network": "regtest",
                "nodes": [{"url": format!("http://{}", node.addr()), "cookie_file": folder.join("cookie")}],
                "stratum": {"listen": stratum.to_string()},
                "vardiff": {"start": EASY, "min": EASY, "max": 1, "target_share_s": 10},
                "payout": {"address": address_of(&[9; 20]), "max_miners": 16_384}
            }]
        });
        let path = folder.join("edgepool.json");
        fs::write(&path, config.to_string()).unwrap();
        let log = fs::File::create(folder.join("log")).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {files} && exec \"$0\" \"$@\"")]);
        command.args(program::words()).args(["run", "--config"]).arg(&path);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let pool = command.spawn().unwrap();
        let place = Place { stratum, rpc, pool, folder, _node: node };
        let deadline = Instant::now() + Duration::from_secs(60);
        while place.rpc_or_none("getinfo").is_none_or(|info| info["result"]["pools"][0]["height"].is_null()) {
            assert!(Instant::now() < deadline, "the pool does not begin");
            thread::sleep(Duration::from_millis(50));
        }
        place
    }

    /// Asks the pool; a hostile crowd is no reason for it not to answer.
    pub fn rpc(&self, method: &str) -> Value {
        self.rpc_or_none(method).expect("the status port answers")
    }

    fn rpc_or_none(&self, method: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(self.rpc).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let body = json!({"id": 1, "method": method, "params": []}).to_string();
        let head = format!("POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
        stream.write_all((head + &body).as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    /// What the pool has told so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap()
    }

    /// Processor time that the pool has used, in hundredths of a second.
    pub fn processor_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pool.id())).expect("the pool runs");
        // The name, which is in brackets, may hold anything; what follows it are the fields from the third on.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        [11, 12].map(|field: usize| fields[field].parse::<u64>().unwrap()).iter().sum()
    }

    /// The pool's memory.
    pub fn resident_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pool.id())).expect("the pool runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("Linux tells it");
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = self.pool.kill();
        let _ = self.pool.wait();
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Four hashes a share.
pub const EASY: f64 = 4.0 / 65_536.0;

/// The regtest address of a key hash.
pub fn address_of(hash: &[u8; 20]) -> String {
    address::encode(&Script::witness(0, hash).unwrap(), ChainSpec::litecoin().coin, ChainSpec::litecoin().network)
        .unwrap()
}

fn free_address() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}
