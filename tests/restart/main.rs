//! A restart loses nothing: the edgepool binary as it ships is stopped and started again under five hundred rigs, by a
//! service manager that keeps its sockets, played by this test.

#![cfg(feature = "shell")]

mod crowd;
#[path = "../program/mod.rs"]
mod program;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use edgepool::coin::address;
use edgepool::coin::script::Script;
use edgepool::shell::demo::chain::{Chain, ChainSpec};
use edgepool::shell::demo::node::EmbeddedNode;
use edgepool::shell::ledger::{Task, Which, run, verify};
use edgepool::shell::store::Store;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crowd::{Crowd, Tally};

const COOKIE: &str = "__cookie__:0123456789abcdef";
const RIGS: usize = 500;
/// Time between two shares of a rig.
const PACE: Duration = Duration::from_millis(400);
/// The pool is not there for so long at each restart.
const AWAY: Duration = Duration::from_millis(300);

/// What systemd does for a service with sockets: it listens, and each run of the service gets the same sockets.
struct Manager {
    sockets: [TcpListener; 2],
    config: PathBuf,
    log: PathBuf,
    service: Option<Child>,
}

impl Manager {
    fn start(&mut self) {
        let log = fs::File::options().create(true).append(true).open(&self.log).unwrap();
        let [stratum, rpc] = &self.sockets;
        let passed = |socket: &TcpListener| Stdio::from(OwnedFd::from(socket.try_clone().unwrap()));
        // The shell's process becomes the service: so it can name the process that the sockets are for.
        let script = "exec 3<&0 4<&1 </dev/null >/dev/null; LISTEN_PID=$$ LISTEN_FDS=2 exec \"$0\" \"$@\"";
        let mut command = Command::new("sh");
        command.args(["-c", script]).args(program::words()).args(["run", "--config"]).arg(&self.config);
        let service = command.stdin(passed(stratum)).stdout(passed(rpc)).stderr(log).spawn().unwrap();
        self.service = Some(service);
    }

    fn stop(&mut self) {
        let mut service = self.service.take().unwrap();
        kill_process(Pid::from_child(&service), Signal::TERM).unwrap();
        assert!(service.wait().unwrap().success());
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        if let Some(service) = &mut self.service {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
}

fn listen() -> TcpListener {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    // As many may wait as systemd lets.
    rustix::net::listen(&socket, 4_096).unwrap();
    socket
}

fn configure(folder: &Path, node: SocketAddr, [stratum, rpc]: [SocketAddr; 2]) -> PathBuf {
    fs::write(folder.join("cookie"), COOKIE).unwrap();
    let pool_script = Script::witness(0, &[9; 20]).unwrap();
    let easiest = 1.0 / 65_536.0;
    let config = json!({
        "data_dir": folder,
        "rpc": {"listen": rpc.to_string()},
        "pools": [{
            "name": "demo",
            "coin": "litecoin",
            "network": "regtest",
            "nodes": [{"url": format!("http://{node}"), "cookie_file": folder.join("cookie")}],
            "stratum": {"listen": stratum.to_string(), "max_per_address": 2 * RIGS},
            "vardiff": {"start": easiest, "min": easiest, "max": easiest},
            "payout": {"address": address::encode(&pool_script, ChainSpec::litecoin().coin, ChainSpec::litecoin().network).unwrap()}
        }]
    });
    let path = folder.join("edgepool.json");
    fs::write(&path, config.to_string()).unwrap();
    path
}

#[track_caller]
fn wait_for(what: &str, crowd: &Crowd, is_so: impl Fn(&Tally) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(300);
    while !is_so(&crowd.tally()) {
        let tally = crowd.tally();
        assert!(Instant::now() < deadline && tally.refused == 0, "waited in vain: {what}; {tally:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn five_hundred_rigs_lose_nothing_in_two_restarts() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("restart-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as u32;
    // No block is found: the shares of every job stay good.
    let spec = ChainSpec { block_interval_s: 600, start_hashes: 1 << 40, ..ChainSpec::litecoin() };
    let node = EmbeddedNode::start(Chain::new(spec, now_s), COOKIE).unwrap();
    let sockets = [listen(), listen()];
    let addresses = [0, 1].map(|index: usize| sockets[index].local_addr().unwrap());
    let config = configure(&folder, node.addr(), addresses);
    let mut manager = Manager { sockets, config, log: folder.join("log"), service: None };

    let username =
        address::encode(&Script::p2pkh(&[1; 20]), ChainSpec::litecoin().coin, ChainSpec::litecoin().network).unwrap();
    manager.start();
    let crowd = Crowd::spawn(addresses[0], &username, RIGS, PACE);
    wait_for("every rig works", &crowd, |tally| tally.sessions == RIGS as u64 && tally.accepted > RIGS as u64);
    for restart in 1..=2 {
        manager.stop();
        thread::sleep(AWAY);
        manager.start();
        let before = crowd.tally().accepted;
        wait_for("every rig is back", &crowd, |tally| tally.resumed == restart * RIGS as u64);
        wait_for("they go on", &crowd, |tally| tally.accepted > before + 2 * RIGS as u64);
    }
    let tally = crowd.finish();
    manager.stop();

    println!("{tally:?}");
    assert_eq!((tally.lost, tally.refused, tally.connections_refused), (0, 0, 0), "{tally:?}");
    assert_eq!(tally.found, tally.accepted, "{tally:?}");
    // Each rig found one while the pool was away.
    assert!(tally.sent_later >= 2 * RIGS as u64, "{tally:?}");
    // Each rig has one session from its first connection to its last.
    assert_eq!((tally.sessions, tally.resumed), (RIGS as u64, 2 * RIGS as u64), "{tally:?}");
    assert_eq!(tally.connections, 3 * RIGS as u64, "{tally:?}");
    // By way of an export: the program that was tried may be of another word size than this one.
    let (export, there) = (folder.join("export"), folder.join("there"));
    let exporting = program::command().args(["ledger", "export", "--data-dir"]).args([&folder, &export]).status();
    assert!(exporting.unwrap().success());
    let which = Which { config: "none".into(), data_dir: Some(there.clone()) };
    run(&which, &Task::Import { from: export }).unwrap();
    let store = Store::open(&there, 64, &["demo"]).unwrap();
    let recovered = store.load(0).unwrap();
    // What was sent twice, for want of an answer, is in the ledger once.
    assert_eq!(recovered.clock.unwrap().total_shares, tally.accepted, "{tally:?}");
    assert_eq!(recovered.cells.iter().map(|(_, cell)| u64::from(cell.shares)).sum::<u64>(), tally.accepted);
    let differences = verify::differences(&store.journal(0), recovered, &[]);
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    drop(store);
    let log = fs::read_to_string(&manager.log).unwrap();
    assert_eq!(log.matches("sessions are carried on").count(), 2, "{log}");
    fs::remove_dir_all(&folder).unwrap();
}
