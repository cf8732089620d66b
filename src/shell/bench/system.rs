//! What the system knows of this process and of a directory. Linux only: elsewhere there is nothing to know.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Bytes that were written so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written {
    /// Handed to the system by this process, by whatever call.
    pub(super) handed_over: u64,
    /// Charged to this process for a device; 0 on file systems in memory.
    pub(super) charged: u64,
    /// Written to the device of a directory by anybody; 0 where there is none.
    pub(super) device: u64,
}

impl Written {
    /// Until now, with the device of `directory`.
    pub(super) fn now(directory: &Path) -> Written {
        let text = fs::read_to_string("/proc/self/io").unwrap_or_default();
        Written {
            handed_over: field(&text, "wchar:"),
            charged: field(&text, "write_bytes:"),
            device: device(directory),
        }
    }

    /// Since an earlier moment.
    pub(super) fn since(self, earlier: Written) -> Written {
        Written {
            handed_over: self.handed_over.saturating_sub(earlier.handed_over),
            charged: self.charged.saturating_sub(earlier.charged),
            device: self.device.saturating_sub(earlier.device),
        }
    }
}

fn device(directory: &Path) -> u64 {
    let Ok(number) = fs::metadata(directory).map(|metadata| metadata.dev()) else { return 0 };
    let (major, minor) = (number >> 8 & 0xfff, number & 0xff | number >> 12 & 0xf_ff00);
    let statistics = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).unwrap_or_default();
    // The seventh number counts sectors of 512 bytes, on every device.
    statistics
        .split_whitespace()
        .nth(6)
        .and_then(|sectors| sectors.parse().ok())
        .map_or(0, |sectors: u64| sectors * 512)
}

/// Memory of this process that is not a map of a file, in bytes.
pub(super) fn memory() -> u64 {
    field(&fs::read_to_string("/proc/self/status").unwrap_or_default(), "RssAnon:") << 10
}

pub(super) fn field(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    value.and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// The kind of file system that a directory is on.
pub(super) fn file_system(directory: &Path) -> String {
    let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.into());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounts = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?, words.next()?))
    });
    let around = mounts.filter(|(point, _)| directory.starts_with(point));
    // Of two on one place the later one is seen.
    around.max_by_key(|(point, _)| point.len()).map_or("unknown", |(_, kind)| kind).to_string()
}
