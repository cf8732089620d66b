//! The measured pool: this program once more, in a process of its own, so that memory and processor time are the
//! pool's alone. Linux tells both; elsewhere there is nothing to know.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Failure, address_of, io_failure};
use crate::coin::difficulty::Difficulty;
use crate::pool::spec::NodeSpec;
use crate::shell::bench::system;
use crate::shell::http_call;
use crate::shell::url::http_url;

/// A pool that does not listen after this long will not.
const START: Duration = Duration::from_secs(10);

/// Which shares a pool takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taste {
    /// None that anybody finds by chance.
    Hard,
    /// Every hash.
    Easy,
}

/// See the module. Ends with this.
pub(super) struct PoolProcess {
    child: Child,
    rpc: NodeSpec,
    pub(super) stratum: SocketAddr,
}

impl PoolProcess {
    /// Starts a pool for so many connections, with its ledger below `directory`, and waits until it has work.
    pub(super) fn start(
        directory: &Path,
        node: SocketAddr,
        taste: Taste,
        connections: usize,
    ) -> Result<PoolProcess, Failure> {
        fs::create_dir_all(directory).map_err(io_failure("making the pool's directory"))?;
        let [stratum, rpc] = free_ports().map_err(io_failure("looking for free ports"))?;
        // Whatever the shares, it stays the same.
        let difficulty = match taste {
            Taste::Hard => 1e6,
            Taste::Easy => Difficulty::MIN.as_f64(),
        };
        let config = json!({
            "data_dir": directory,
            "rpc": { "listen": rpc.to_string() },
            "pools": [{
                "coin": "bitcoin",
                "network": "regtest",
                "nodes": [{ "url": format!("http://{node}"), "user": "bench", "password": "bench" }],
                "stratum": {
                    "listen": stratum.to_string(),
                    "max_connections": connections + 64,
                    "idle_timeout_s": 86_400,
                    "max_requests_per_second": 1_000_000,
                    "ban_minutes": 0,
                },
                "vardiff": { "start": difficulty, "min": difficulty, "max": difficulty, "target_share_s": 600 },
                "payout": { "address": address_of(0) },
            }],
        });
        let path = directory.join("edgepool.json");
        fs::write(&path, config.to_string()).map_err(io_failure("writing the configuration"))?;
        let log = File::create(directory.join("log")).map_err(io_failure("making the log"))?;
        let program = std::env::current_exe().map_err(io_failure("finding this program"))?;
        let mut command = Command::new(program);
        match taste {
            Taste::Hard => command.args(["run", "--config"]),
            Taste::Easy => command.args(["bench", "load", "--serve"]),
        };
        command.arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().map_err(io_failure("starting the pool"))?;
        let rpc = http_url(&format!("http://{rpc}"), 80).map_err(Failure)?;
        let mut pool = PoolProcess { child, rpc, stratum };
        let begun = Instant::now();
        while !pool.has_work() {
            let ended = pool.child.try_wait().map_err(io_failure("waiting for the pool"))?;
            if ended.is_some() || begun.elapsed() > START {
                let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
                return Err(Failure(format!("the pool does not start:\n{log}")));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(pool)
    }

    fn has_work(&self) -> bool {
        let info = http_call::call(&self.rpc, None, "getinfo", &json!([]));
        info.is_ok_and(|info| info["pools"][0]["height"].is_u64())
    }

    /// Shares in the window of the pool: none of them is old enough to have left it.
    pub(super) fn credited_shares(&self) -> Result<u64, Failure> {
        let info = http_call::call(&self.rpc, None, "getpayoutinfo", &json!([]));
        let shares = info.map_err(|error| Failure(error.to_string()))?["total_shares"].as_u64();
        shares.ok_or_else(|| Failure("the pool does not say how many shares it credited".into()))
    }

    /// Ends it without giving it time for anything.
    pub(super) fn kill(self) {}

    /// What it takes of memory now.
    pub(super) fn memory(&self) -> Memory {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let kib = |name: &str| system::field(&text, name) << 10;
        Memory { resident: kib("VmRSS:"), own: kib("RssAnon:") }
    }

    /// Seconds of processor time that its thread took so far.
    pub(super) fn cpu_s(&self) -> f64 {
        let text = fs::read_to_string(format!("/proc/{}/schedstat", self.child.id())).unwrap_or_default();
        let nanoseconds = text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok());
        nanoseconds.unwrap_or(0) as f64 / 1e9
    }
}

impl Drop for PoolProcess {
    fn drop(&mut self) {
        // It may have ended by itself; there is nothing of its ledger that anybody wants.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Memory of a process, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// All that is in memory, with the program itself and what it has mapped.
    pub(super) resident: u64,
    /// Of that, what is not a map of a file.
    pub(super) own: u64,
}

/// Both are held until both are known, so that they differ.
fn free_ports() -> io::Result<[SocketAddr; 2]> {
    let [first, second] = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
    Ok([first?.local_addr()?, second?.local_addr()?])
}
