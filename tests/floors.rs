//! The architecture, held by reading the sources: imports point down only, the core touches nothing of the
//! world, and no file outgrows a head.

use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up; a floor may use those before it.
const FLOORS: [&str; 6] = ["base", "coin", "wire", "pool", "face", "shell"];
/// The last floor of the core.
const LAST_PURE: &str = "face";
/// What the core must not name: sockets, disk, clocks, threads, chance, the environment, the terminal.
const WORLD: [&str; 16] = [
    "std::net",
    "std::fs",
    "std::io",
    "std::thread",
    "std::time",
    "std::env",
    "std::process",
    "std::os",
    "Instant::",
    "SystemTime",
    "RandomState",
    "getrandom",
    "mio::",
    "heed::",
    "println!",
    "eprintln!",
];
/// Lines of a source file.
const LONGEST: usize = 500;

#[test]
fn imports_point_down_only() {
    let mut wrong = Vec::new();
    for (height, floor) in FLOORS.iter().enumerate() {
        for (path, text) in sources(&format!("src/{floor}")) {
            for above in &FLOORS[height + 1..] {
                if text.contains(&format!("crate::{above}")) {
                    wrong.push(format!("{} of floor {floor} names crate::{above}", path.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_core_names_nothing_of_the_world() {
    let mut wrong = Vec::new();
    let last = FLOORS.iter().position(|floor| *floor == LAST_PURE).unwrap();
    for floor in &FLOORS[..=last] {
        for (path, text) in sources(&format!("src/{floor}")) {
            for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
                for name in WORLD.iter().filter(|name| line.contains(*name)) {
                    wrong.push(format!("{}:{} names {name}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_file_outgrows_a_head() {
    let mut wrong = Vec::new();
    for folder in ["src", "tests"] {
        for path in files(Path::new(folder)) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            if lines > LONGEST {
                wrong.push(format!("{} has {lines} lines", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Every source of a floor without its tests, which may use what they need.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let is_test = |path: &Path| path.file_stem().is_some_and(|stem| stem == "tests");
    let paths = files(Path::new(folder)).into_iter().filter(|path| !is_test(path));
    let sources: Vec<(PathBuf, String)> = paths
        .map(|path| {
            let text = fs::read_to_string(&path).unwrap();
            let shipped = text.split("#[cfg(test)]").next().unwrap_or_default().to_string();
            (path, shipped)
        })
        .collect();
    assert!(!sources.is_empty(), "{folder} has sources");
    sources
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}
