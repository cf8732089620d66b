//! The emulated machine: QEMU's "virt" with U-Boot and a card, its ports forwarded to this machine's loopback.
//!
//! The environment names its parts: `EDGEPOOL_QEMU` the emulator, `EDGEPOOL_UBOOT` the boot loader, `EDGEPOOL_IMAGE` the
//! raw image, `EDGEPOOL_UPDATE` an update and `EDGEPOOL_BROKEN` one whose system panics.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::card::Card;
use crate::http::{self, Reply};
use crate::mdns::Neighbour;
use crate::miner::Port;
use crate::place::{free_port, wait_for};
use crate::proof_of_work::ProofOfWork;

/// Where a machine under QEMU's user network sees this one.
pub const HOST: &str = "10.0.2.2";
/// Seconds for a start. It takes ten or twenty; this machine may have much else to do.
pub const PATIENCE: u64 = 400;

/// A part that the environment names.
pub fn part(name: &str) -> PathBuf {
    env::var_os(name).unwrap_or_else(|| panic!("{name} is not set; run cross/image/test.sh")).into()
}

pub struct Vm {
    process: Option<Child>,
    console: PathBuf,
    pub card: Card,
    stratum_port: u16,
    pub rpc_port: u16,
    pub page_port: u16,
    pub ssh_port: u16,
    pub neighbour: Neighbour,
}

impl Vm {
    /// Where rigs reach the pool, from this machine.
    pub fn stratum_port(&self) -> Port {
        Port { number: self.stratum_port, proof_of_work: ProofOfWork::Scrypt }
    }

    /// A machine with a freshly flashed card, still off.
    pub fn new(folder: &Path) -> Vm {
        Vm {
            process: None,
            console: folder.join("console.log"),
            card: Card::flash(&part("EDGEPOOL_IMAGE"), folder),
            stratum_port: free_port(),
            rpc_port: free_port(),
            page_port: free_port(),
            ssh_port: free_port(),
            neighbour: Neighbour::new(),
        }
    }

    /// Switches it on. Its clock knows nothing of today.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "the machine is on");
        let forward = |here: u16, there: u16| format!(",hostfwd=tcp:127.0.0.1:{here}-:{there}");
        let network = ["user,id=host".to_owned()]
            .into_iter()
            .chain([
                forward(self.stratum_port, 3333),
                forward(self.rpc_port, 8080),
                forward(self.page_port, 80),
                forward(self.ssh_port, 22),
            ])
            .collect::<String>();
        let output = File::options().create(true).append(true).open(self.console.with_extension("qemu")).unwrap();
        let child = Command::new(part("EDGEPOOL_QEMU"))
            .args(["-machine", "virt", "-cpu", "cortex-a53", "-smp", "2", "-m", "512"])
            .args(["-display", "none", "-monitor", "none", "-nodefaults"])
            .arg("-bios")
            .arg(part("EDGEPOOL_UBOOT"))
            .arg("-chardev")
            .arg(format!("file,id=console,append=on,path={}", self.console.display()))
            .args(["-serial", "chardev:console"])
            .arg("-drive")
            .arg(format!("if=none,id=card,format=raw,cache=writeback,file={}", self.card.url()))
            .args(["-device", "virtio-blk-pci,drive=card", "-device", "i6300esb"])
            // This machine, a neighbour and the board on one hub.
            .args(["-netdev", &network, "-netdev", &self.neighbour.device()])
            .args(["-netdev", "hubport,id=one,hubid=0,netdev=host"])
            .args(["-netdev", "hubport,id=two,hubid=0,netdev=neighbour"])
            .args(["-netdev", "hubport,id=net,hubid=0", "-device", "virtio-net-pci,netdev=net,romfile="])
            .args(["-rtc", "base=1970-01-02T00:00:00"])
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .expect("QEMU can be started");
        self.process = Some(child);
    }

    /// SIGKILL: the machine stops between two instructions. What it had written and not flushed is in the card's cache.
    pub fn kill(&mut self) {
        let mut child = self.process.take().expect("the machine is on");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Everything that the machine and its boot loader showed.
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.console).unwrap_or_default()).into_owned()
    }

    /// Waits until the console has shown a text so often since the card was flashed.
    #[track_caller]
    pub fn wait_for_console(&mut self, text: &str, times: usize) {
        wait_for(&format!("the console shows \"{text}\""), PATIENCE, || {
            self.still_on();
            (self.shown().matches(text).count() >= times).then_some(())
        });
    }

    #[track_caller]
    fn still_on(&mut self) {
        let exited = self.process.as_mut().expect("the machine is on").try_wait().unwrap();
        assert!(exited.is_none(), "QEMU ended: {}", fs::read_to_string(self.console.with_extension("qemu")).unwrap());
    }

    /// Waits until the pool has work for rigs.
    #[track_caller]
    pub fn wait_until_ready(&mut self) {
        wait_for("the board's pool is healthy", PATIENCE, || {
            self.still_on();
            thread::sleep(Duration::from_millis(200));
            let reply = http::request("GET", self.rpc_port, "/health", None, b"", Duration::from_secs(5)).ok()?;
            (reply.status == 200).then_some(())
        });
    }

    /// A call to the pool.
    pub fn ask(&self, method: &str, params: Value, authorization: Option<&str>) -> Value {
        let body = json!({"id": 1, "method": method, "params": params}).to_string();
        let reply =
            http::request("POST", self.rpc_port, "/", authorization, body.as_bytes(), Duration::from_secs(30)).unwrap();
        let mut answer: Value = serde_json::from_slice(&reply.body).unwrap();
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].take()
    }

    /// Shares in the window under an address.
    pub fn share_count(&self, address: &str) -> u64 {
        let info = self.ask("getpayoutinfo", json!([]), None);
        let mut miners = info["miners"].as_array().expect("getpayoutinfo shows miners").iter();
        let miner = miners.find(|miner| miner["address"] == address);
        miner.map_or(0, |miner| miner["share_count"].as_u64().expect("share_count is a number"))
    }

    /// The board's own page, or its form's target.
    pub fn page(&self, method: &str, path: &str, login: Option<&str>, body: &[u8]) -> std::io::Result<Reply> {
        http::request(method, self.page_port, path, login, body, Duration::from_secs(20))
    }

    /// Waits until the board's page says something.
    #[track_caller]
    pub fn wait_for_page(&mut self, text: &str) -> String {
        wait_for(&format!("the board's page says \"{text}\""), PATIENCE, || {
            self.still_on();
            thread::sleep(Duration::from_millis(200));
            let page = String::from_utf8(self.page("GET", "/", None, b"").ok()?.body).ok()?;
            page.contains(text).then_some(page)
        })
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            let shown = self.shown();
            let lines: Vec<&str> = shown.lines().collect();
            let last = lines[lines.len().saturating_sub(80)..].join("\n");
            eprintln!("--- end of {} ---\n{last}\n---", self.console.display());
        }
    }
}
