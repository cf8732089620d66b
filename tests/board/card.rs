//! A memory card for the emulated machine that can lose its power: a block device over the NBD protocol in whose cache
//! every write stays until the machine flushes it. When the power is cut, any part of what was written since, in sectors,
//! may be on the card, and the rest is gone: that is all that a disk promises. Of a sector that
//! was written several times any of these may be there.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use edgepool::base::rng::Rng;

const SECTOR: usize = 512;
/// How long a flush takes: as on a card that is neither the best nor the worst.
const FLUSH: Duration = Duration::from_millis(30);
/// Where the partition EDGEPOOL begins.
const BOOT_OFFSET: u64 = 4 << 20;

/// The protocol's numbers: github.com/NetworkBlockDevice/nbd, doc/proto.md.
const INIT_MAGIC: u64 = 0x4e42_444d_4147_4943;
const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054;
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;
const REQUEST_MAGIC: u32 = 0x2560_9513;
const REPLY_MAGIC: u32 = 0x6744_6698;
const FIXED_NEWSTYLE_NO_ZEROES: u16 = 3;
const OPTION_GO: u32 = 7;
const REPLY_ACK: u32 = 1;
const REPLY_INFO: u32 = 3;
const REPLY_UNSUPPORTED: u32 = 1 << 31 | 1;
/// Has flags, sends flush, sends "force unit access".
const TRANSMISSION_FLAGS: u16 = 1 | 1 << 2 | 1 << 3;
const FORCE_UNIT_ACCESS: u16 = 1;

/// The card. It is there as long as the value is.
pub struct Card {
    file: PathBuf,
    socket: PathBuf,
    shared: Arc<Shared>,
}

/// The store, and the news that its `hold` has changed.
#[derive(Debug)]
struct Shared {
    store: Mutex<Store>,
    changed: Condvar,
}

#[derive(Debug)]
struct Store {
    file: File,
    size: u64,
    /// Written and not flushed, by number of the sector: all that was written there, the newest last.
    cache: BTreeMap<u64, Vec<[u8; SECTOR]>>,
    hold: Hold,
}

/// Whether the next flush is the last that the machine ever asks for.
#[derive(Debug, PartialEq, Eq)]
enum Hold {
    No,
    Wanted,
    /// The machine waits for it in vain.
    Held,
}

/// What a power cut did to the cache, in sectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    pub kept: usize,
    pub lost: usize,
}

impl Card {
    /// A card flashed with the image, in this folder.
    pub fn flash(image: &Path, folder: &Path) -> Card {
        let file = folder.join("card");
        let copied = Command::new("cp").arg("--sparse=always").args([image, &file]).status().unwrap();
        assert!(copied.success(), "{} can't be copied", image.display());
        let opened = File::options().read(true).write(true).open(&file).unwrap();
        let size = opened.metadata().unwrap().len();
        let store = Mutex::new(Store { file: opened, size, cache: BTreeMap::new(), hold: Hold::No });
        let shared = Arc::new(Shared { store, changed: Condvar::new() });
        let socket = folder.join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let served = shared.clone();
        thread::spawn(move || {
            for machine in listener.incoming().flatten() {
                let shared = served.clone();
                // A machine that ends closes its connection, whatever it was about to say.
                thread::spawn(move || serve(machine, &shared));
            }
        });
        Card { file, socket, shared }
    }

    /// What the machine is told to use.
    pub fn url(&self) -> String {
        format!("nbd+unix:///?socket={}", self.socket.display())
    }

    /// Waits until the machine waits for a flush, and keeps it waiting: what is on the card then is the least certain. The
    /// machine has to be killed next.
    pub fn hold_flush(&self) {
        let mut store = self.shared.store.lock().unwrap();
        store.hold = Hold::Wanted;
        drop(self.shared.changed.wait_while(store, |store| store.hold == Hold::Wanted).unwrap());
    }

    /// The power goes while the machine is off already: each sector of the cache is on the card or lost, by chance.
    pub fn cut(&self, rng: &mut Rng) -> Loss {
        let mut store = self.shared.store.lock().unwrap();
        store.hold = Hold::No;
        let mut loss = Loss::default();
        // From nearly everything lost to nearly everything kept.
        let odds = rng.below(9) + 1;
        for (number, versions) in std::mem::take(&mut store.cache) {
            if rng.below(10) < odds {
                let version = &versions[rng.below(versions.len() as u64) as usize];
                store.file.write_all_at(version, number * SECTOR as u64).unwrap();
                loss.kept += 1;
            } else {
                loss.lost += 1;
            }
        }
        loss
    }

    /// The machine is ended, not the card: everything that was written arrives.
    pub fn settle(&self) -> Loss {
        let mut store = self.shared.store.lock().unwrap();
        let kept = store.cache.len();
        store.flush().unwrap();
        Loss { kept, lost: 0 }
    }

    /// Puts a file on the partition that a laptop shows. The machine must be off.
    pub fn put(&self, source: &Path, name: &str) {
        self.settle();
        self.mtools(&["mcopy", "-o"], &[&source.display().to_string(), &format!("::{name}")]);
    }

    /// The same with a text.
    pub fn put_text(&self, text: &str, name: &str) {
        let source = self.file.with_extension("text");
        fs::write(&source, text).unwrap();
        self.put(&source, name);
    }

    /// The names on that partition, folders with what is in them.
    pub fn names(&self) -> Vec<String> {
        self.settle();
        self.mtools(&["mdir", "-b", "-/"], &["::"]).lines().map(|line| line.trim_start_matches("::/").into()).collect()
    }

    fn mtools(&self, command: &[&str], operands: &[&str]) -> String {
        let output = Command::new(command[0])
            .args(&command[1..])
            .arg("-i")
            .arg(format!("{}@@{BOOT_OFFSET}", self.file.display()))
            .args(operands)
            .output()
            .expect("mtools are installed");
        assert!(output.status.success(), "{command:?} {operands:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Store {
    fn flush(&mut self) -> io::Result<()> {
        for (number, versions) in std::mem::take(&mut self.cache) {
            self.file.write_all_at(newest(&versions), number * SECTOR as u64)?;
        }
        Ok(())
    }

    fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, offset)?;
        let first = offset / SECTOR as u64;
        for (number, versions) in self.cache.range(first..first + (length / SECTOR) as u64) {
            let place = (number - first) as usize * SECTOR;
            bytes[place..place + SECTOR].copy_from_slice(newest(versions));
        }
        Ok(bytes)
    }

    fn write(&mut self, offset: u64, bytes: &[u8], through: bool) -> io::Result<()> {
        for (index, sector) in bytes.chunks_exact(SECTOR).enumerate() {
            let number = offset / SECTOR as u64 + index as u64;
            if through {
                self.file.write_all_at(sector, number * SECTOR as u64)?;
                self.cache.remove(&number);
            } else {
                self.cache.entry(number).or_default().push(sector.try_into().expect("a sector"));
            }
        }
        Ok(())
    }
}

fn newest(versions: &[[u8; SECTOR]]) -> &[u8; SECTOR] {
    versions.last().expect("a sector is in the cache because it was written")
}

/// One machine's connection, until it ends.
fn serve(mut machine: UnixStream, shared: &Shared) -> io::Result<()> {
    let lock = || shared.store.lock().unwrap();
    let size = lock().size;
    negotiate(&mut machine, size)?;
    loop {
        let mut request = [0; 28];
        machine.read_exact(&mut request)?;
        let number =
            |range: std::ops::Range<usize>| request[range].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        assert_eq!(number(0..4), u64::from(REQUEST_MAGIC));
        let (flags, kind, offset, length) =
            (number(4..6) as u16, number(6..8), number(16..24), number(24..28) as usize);
        assert!(offset % SECTOR as u64 == 0 && length % SECTOR == 0, "QEMU asks for whole sectors");
        let mut reply = [&REPLY_MAGIC.to_be_bytes()[..], &0_u32.to_be_bytes(), &request[8..16]].concat();
        match kind {
            0 => reply.extend(lock().read(offset, length)?),
            1 => {
                let mut bytes = vec![0; length];
                machine.read_exact(&mut bytes)?;
                lock().write(offset, &bytes, flags & FORCE_UNIT_ACCESS != 0)?;
            }
            2 => return Ok(()),
            3 if lock().cache.is_empty() => {}
            3 => {
                thread::sleep(FLUSH);
                let mut store = lock();
                if store.hold != Hold::No {
                    store.hold = Hold::Held;
                    shared.changed.notify_all();
                    // The machine hears no more, until its end closes the connection.
                    drop(store);
                    return io::copy(&mut machine, &mut io::sink()).map(|_| ());
                }
                store.flush()?;
            }
            other => return Err(io::Error::new(ErrorKind::InvalidData, format!("request {other}"))),
        }
        machine.write_all(&reply)?;
    }
}

fn negotiate(machine: &mut UnixStream, size: u64) -> io::Result<()> {
    machine.write_all(
        &[&INIT_MAGIC.to_be_bytes()[..], &OPTION_MAGIC.to_be_bytes(), &FIXED_NEWSTYLE_NO_ZEROES.to_be_bytes()].concat(),
    )?;
    machine.read_exact(&mut [0; 4])?;
    loop {
        let mut head = [0; 16];
        machine.read_exact(&mut head)?;
        let option = u32::from_be_bytes(head[8..12].try_into().expect("four bytes"));
        let length = u32::from_be_bytes(head[12..].try_into().expect("four bytes"));
        machine.read_exact(&mut vec![0; length as usize])?;
        let mut reply = |kind: u32, data: &[u8]| {
            let head = [&OPTION_REPLY_MAGIC.to_be_bytes()[..], &option.to_be_bytes(), &kind.to_be_bytes()].concat();
            machine.write_all(&[&head[..], &(data.len() as u32).to_be_bytes(), data].concat())
        };
        if option == OPTION_GO {
            reply(
                REPLY_INFO,
                &[&0_u16.to_be_bytes()[..], &size.to_be_bytes(), &TRANSMISSION_FLAGS.to_be_bytes()].concat(),
            )?;
            return reply(REPLY_ACK, &[]);
        }
        reply(REPLY_UNSUPPORTED, &[])?;
    }
}
