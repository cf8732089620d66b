//! The measured pool: this program once more, in a process of its own, so that memory and processor time are the
//! pool's alone. Linux tells both; elsewhere there is nothing to know.

use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Failure, address_of, io_failure};
use crate::coin::difficulty::Difficulty;

/// A pool that does not listen after this long will not.
const START: Duration = Duration::from_secs(10);
/// In which the kernel counts processor time, on every Linux.
const TICKS_PER_S: f64 = 100.0;

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
    pub(super) stratum: SocketAddr,
}

impl PoolProcess {
    /// Starts a pool for so many connections, with its ledger below `directory`, and waits until it listens.
    pub(super) fn start(
        directory: &Path,
        node: SocketAddr,
        taste: Taste,
        connections: usize,
    ) -> Result<PoolProcess, Failure> {
        fs::create_dir_all(directory).map_err(io_failure("making the pool's directory"))?;
        let [stratum, rpc] = [free_port(), free_port()];
        let (stratum, rpc) = (stratum.map_err(io_failure("a port"))?, rpc.map_err(io_failure("a port"))?);
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
        let mut pool = PoolProcess { child, stratum };
        let begun = Instant::now();
        while TcpStream::connect(stratum).is_err() {
            let ended = pool.child.try_wait().map_err(io_failure("waiting for the pool"))?;
            if ended.is_some() || begun.elapsed() > START {
                let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
                return Err(Failure(format!("the pool does not start:\n{log}")));
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(pool)
    }

    /// What it takes of memory now.
    pub(super) fn memory(&self) -> Memory {
        let text = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let kib = |name: &str| crate::shell::bench::system::field(&text, name) << 10;
        Memory { resident: kib("VmRSS:"), own: kib("RssAnon:") }
    }

    /// Seconds of processor time that it took so far.
    pub(super) fn cpu_s(&self) -> f64 {
        cpu_s(&self.child.id().to_string())
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

/// Seconds of processor time of a process: its number, or `self`.
pub(super) fn cpu_s(process: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    // The name is in brackets and may hold anything; user and system time are the 12th and 13th field after it.
    let after = text.rsplit_once(')').map_or("", |(_, after)| after);
    let ticks = after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    ticks.sum::<u64>() as f64 / TICKS_PER_S
}

fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}
