//! Where a test runs: ports nobody else takes, a folder of its own, and waiting for something to become true.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Below Linux's range of ephemeral ports, so that no outgoing connection takes one between choice and use.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Claims of this process. A claim is a listener on the same port of another loopback address: two processes can't hold
/// the same one, and the kernel gives it back however the process ends.
static CLAIMS: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());

/// A TCP port of 127.0.0.1 that is free and that no other test, in this process or another, is given.
pub fn free_port() -> u16 {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let first = std::process::id() as usize * 97;
    for _ in 0..PORTS.len() {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + ((first + step) % PORTS.len()) as u16;
        let Ok(claim) = TcpListener::bind(("127.77.0.1", port)) else { continue };
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            CLAIMS.lock().unwrap().push(claim);
            return port;
        }
    }
    panic!("no free port in {PORTS:?}");
}

/// The folder under which every test's files lie.
pub fn base() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

/// A folder that is removed with its owner, unless the test failed: then it is kept to be looked at.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(label: &str) -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("{label}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = base().join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("the target's temporary folder is writable");
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// Copies a folder with everything in it.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// Asks every 50 ms until the answer is there; fails the test after `seconds`, saying what it waited for.
#[track_caller]
pub fn wait_for<T>(what: &str, seconds: u64, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {seconds} s in vain: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}
