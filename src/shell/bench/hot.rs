//! `edgepool bench hot`: what each step of a share's way costs, and of a job's. Every step is the pool's own code; what
//! is judged and shared out is made up here. All steps take their turns in every round, so that a machine that is busy
//! for a while slows all of them alike.

mod steps;

use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::ledger::{BenchError, MAP_MIB, Scratch};
use super::system::file_system;
use crate::shell::store::Store;
use steps::{Material, Step};

/// A step is repeated for about so long in one round: far longer than reading the clock takes.
const TURN: Duration = Duration::from_millis(2);
/// Most repetitions in one round.
const REPETITIONS: u128 = 100_000;

/// What to measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// On whose disk the commits are; the system's directory for temporary files when absent.
    pub data_dir: Option<PathBuf>,
    /// How often each step has its turn.
    pub rounds: u64,
}

/// Measures and prints.
pub fn run(options: &Options, out: &mut impl Write) -> Result<(), BenchError> {
    let directory = options.data_dir.clone().unwrap_or_else(std::env::temp_dir);
    let scratch = Scratch::below(&directory)?;
    let store = Store::open(&scratch.0, MAP_MIB, &["bench"])?;
    let material = Material::new()?;
    let mut steps = material.steps(&store)?;
    let mut times = Vec::new();
    for step in &mut steps {
        times.push(Times::warmed(step)?);
    }
    for _ in 0..options.rounds {
        for (step, times) in steps.iter_mut().zip(&mut times) {
            times.add(step)?;
        }
    }
    let mut text = format!(
        "{} rounds; the commit is on {} ({})\n\n{:<51} |     median |       best\n",
        options.rounds,
        directory.display(),
        file_system(&directory),
        "step",
    );
    for (step, times) in steps.iter().zip(times) {
        let (median, best) = times.summary();
        text += &format!("{:<51} | {:>10} | {:>10}\n", step.name, shown(median), shown(best));
    }
    write!(out, "{text}").map_err(|error| BenchError::Io("printing".into(), error))
}

/// How long one step took, round by round.
struct Times {
    /// How often it is repeated in one round.
    repetitions: u32,
    /// Nanoseconds for one repetition.
    ns: Vec<f64>,
}

impl Times {
    /// Does the step for the first time, which is not counted, and finds how often it fits in a turn.
    fn warmed(step: &mut Step) -> Result<Times, BenchError> {
        (step.act)()?;
        let started = Instant::now();
        (step.act)()?;
        let once = started.elapsed().as_nanos().max(1);
        Ok(Times { repetitions: (TURN.as_nanos() / once).clamp(1, REPETITIONS) as u32, ns: Vec::new() })
    }

    fn add(&mut self, step: &mut Step) -> Result<(), BenchError> {
        let started = Instant::now();
        for _ in 0..self.repetitions {
            (step.act)()?;
        }
        self.ns.push(started.elapsed().as_nanos() as f64 / f64::from(self.repetitions));
        Ok(())
    }

    /// Median and best, in nanoseconds.
    fn summary(mut self) -> (f64, f64) {
        self.ns.sort_by(f64::total_cmp);
        let at = |index: usize| self.ns.get(index).copied().unwrap_or(f64::NAN);
        (at(self.ns.len() / 2), at(0))
    }
}

/// Nanoseconds in the unit that suits them.
fn shown(ns: f64) -> String {
    match ns {
        ..1e3 => format!("{ns:.0} ns"),
        ..1e6 => format!("{:.2} µs", ns / 1e3),
        _ => format!("{:.2} ms", ns / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_suits_them() {
        for (ns, expected) in [(0.6, "1 ns"), (999.0, "999 ns"), (1_000.0, "1.00 µs"), (2.5e6, "2.50 ms")] {
            assert_eq!(shown(ns), expected);
        }
    }

    #[test]
    fn the_median_is_in_the_middle_and_the_best_is_the_least() {
        let times = Times { repetitions: 1, ns: vec![5.0, 1.0, 9.0, 7.0, 2.0] };
        assert_eq!(times.summary(), (5.0, 1.0));
    }

    #[test]
    fn every_step_is_measured_and_shown() {
        let mut text = Vec::new();
        run(&Options { data_dir: None, rounds: 1 }, &mut text).unwrap();
        let text = String::from_utf8(text).unwrap();
        let rows: Vec<&str> = text.lines().skip(3).collect();
        assert!(rows.len() > 10, "{text}");
        assert!(rows.iter().all(|row| row.ends_with('s') && !row.contains("NaN")), "{text}");
    }
}
