//! `edgepool bench vardiff`: how soon and how well VARDIFF fits the difficulty to rigs of every size, over many
//! seeds. The pool's own VARDIFF; only the rigs, the wire and the time are simulated.

mod trial;

use std::fmt;
use std::io::{self, Write};

use crate::coin::difficulty::Difficulty;
use crate::pool::spec::VardiffSpec;
use crate::shell::config::default;

use trial::{HOUR, Outcome, Trial};

/// Hashes of a scrypt share of difficulty 1; sha256d's takes 2^16 times as many.
const HASHES: f64 = 65_536.0;
const SHA256D: f64 = 65_536.0;
const UNITS: f64 = 65_536.0;
/// Hours that a rig is watched.
const HOURS: f64 = 4.0;
/// The rig that changes its mind, in hashes a second: an L3+.
const RIG: f64 = 5e8;
/// How long it is silent for.
const SILENCE_MS: f64 = 600_000.0;

const NOTES: &str = "
settled: seconds from the first job until the expected time between shares is within 25 % of the target, and stays
so for ten minutes; in 3 min: how many of the seeds; shares: sent until then, on average. From then on, to the end of
four hours: how far the expected rate of shares is off, on average over time, and how often the difficulty is changed.
Worst: of all seeds. Never: the least difficulty takes such a rig longer than the target.
";

/// What to simulate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Rigs of each kind, each with a chance of its own.
    pub seeds: u64,
    /// The time between two shares that is aimed at, in seconds.
    pub target_share_s: u64,
}

/// Simulates and prints.
pub fn run(options: &Options, out: &mut impl Write) -> io::Result<()> {
    let spec = spec(options);
    let Options { seeds, target_share_s } = options;
    writeln!(
        out,
        "{seeds} seeds, a share in {target_share_s} s wanted, cold start at difficulty {}, bounds {} and {}\n",
        spec.start, spec.min, spec.max
    )?;
    for (name, head) in ["", "rig"].iter().zip(HEAD) {
        writeln!(out, "{name:<22} | {head}")?;
    }
    for kind in Kind::all() {
        let outcomes: Vec<Outcome> = (0..*seeds).map(|seed| kind.outcome(&spec, seed)).collect();
        writeln!(out, "{:<22} | {}", kind.to_string(), Summary::of(&outcomes))?;
    }
    let falls: Vec<(f64, f64)> = (0..*seeds).filter_map(|seed| fall(&spec, seed)).collect();
    let (first, last) = (Spread::of(falls.iter().map(|fall| fall.0)), Spread::of(falls.iter().map(|fall| fall.1)));
    writeln!(
        out,
        "\nA rig of 500 MH/s that falls silent: lowered after {:.0} s (worst {:.0}), at the least difficulty after {:.0} s \
         (worst {:.0}).",
        first.median / 1e3,
        first.worst / 1e3,
        last.median / 1e3,
        last.worst / 1e3
    )?;
    out.write_all(NOTES.as_bytes())
}

/// The bounds of the configuration's defaults.
fn spec(options: &Options) -> VardiffSpec {
    let difficulty = |value| Difficulty::from_f64(value).expect("a default is a difficulty");
    VardiffSpec {
        start: difficulty(default::DIFFICULTY_START),
        min: difficulty(default::DIFFICULTY_MIN),
        max: difficulty(default::DIFFICULTY_MAX),
        target_share_ms: options.target_share_s * 1_000,
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// Of which nothing is known, by hashes a second.
    ColdScrypt(f64),
    ColdSha256d(f64),
    /// Fitted for an hour, then so many times as fast.
    Changed(f64),
    /// Fitted for an hour, then silent for a while.
    Silent,
    /// Fitted for an hour, then connected anew.
    Returning,
}

impl Kind {
    fn all() -> impl Iterator<Item = Kind> {
        let scrypt = (3..=13).map(|decade| Kind::ColdScrypt(10f64.powi(decade)));
        let sha256d = (3..=15).map(|decade| Kind::ColdSha256d(10f64.powi(decade)));
        let changed = [2.0, 0.5, 10.0, 0.1].map(Kind::Changed);
        scrypt.chain(sha256d).chain(changed).chain([Kind::Silent, Kind::Returning])
    }

    fn outcome(self, spec: &VardiffSpec, seed: u64) -> Outcome {
        // Units of difficulty in a millisecond.
        let pace = |hashes: f64| hashes / HASHES * UNITS / 1_000.0;
        let begin = |pace| Trial::begin(spec, pace, None, seed);
        let fitted = || {
            let mut trial = begin(pace(RIG));
            trial.run(HOUR);
            trial
        };
        let (mut trial, from) = match self {
            Kind::ColdScrypt(hashes) => (begin(pace(hashes)), 0.0),
            Kind::ColdSha256d(hashes) => (begin(pace(hashes / SHA256D)), 0.0),
            Kind::Changed(factor) => {
                let mut trial = fitted();
                trial.set_pace(pace(RIG) * factor);
                (trial, HOUR)
            }
            Kind::Silent => {
                let mut trial = fitted();
                trial.set_pace(0.0);
                trial.run(SILENCE_MS);
                trial.set_pace(pace(RIG));
                (trial, HOUR + SILENCE_MS)
            }
            Kind::Returning => (Trial::begin(spec, pace(RIG), fitted().fitted(), seed + (1 << 32)), 0.0),
        };
        trial.run(HOURS * HOUR);
        trial.outcome(from)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kind::ColdScrypt(hashes) => write!(f, "scrypt {}", hashrate(*hashes)),
            Kind::ColdSha256d(hashes) => write!(f, "sha256d {}", hashrate(*hashes)),
            Kind::Changed(factor) => write!(f, "{factor} times as fast"),
            Kind::Silent => write!(f, "silent for 10 minutes"),
            Kind::Returning => write!(f, "connects again"),
        }
    }
}

fn hashrate(hashes: f64) -> String {
    let prefixes = ["k", "M", "G", "T", "P"];
    let index = (libm::log10(hashes) / 3.0 + 1e-9) as usize;
    format!("{:.0} {}H/s", hashes / 1_000f64.powi(index as i32), prefixes[index - 1])
}

/// When the difficulty of a rig that fell silent was lowered, and when it was the least: milliseconds after.
fn fall(spec: &VardiffSpec, seed: u64) -> Option<(f64, f64)> {
    let mut trial = Trial::begin(spec, RIG / HASHES * UNITS / 1_000.0, None, seed);
    trial.run(HOUR);
    trial.set_pace(0.0);
    trial.run(HOUR);
    let mut falls = trial.history().iter().filter(|(at, _)| *at > HOUR);
    let first = falls.next()?;
    let last = falls.find(|(_, difficulty)| *difficulty == spec.min)?;
    Some((first.0 - HOUR, last.0 - HOUR))
}

const HEAD: [&str; 2] = [
    "   settled after, s       |  in   |        |  rate off, %    | changes an hour",
    "median |  95 % |    worst | 3 min  | shares |   mean |  worst |   mean |  worst",
];

/// A row's figures.
struct Summary {
    /// Milliseconds; infinite for a rig that never settled.
    settled: Spread,
    in_time: f64,
    shares: Spread,
    error: Spread,
    changes: Spread,
}

impl Summary {
    fn of(outcomes: &[Outcome]) -> Summary {
        let settled = |outcome: &Outcome| outcome.settled_ms.unwrap_or(f64::INFINITY);
        let in_time = outcomes.iter().filter(|outcome| settled(outcome) < 180_000.0).count();
        let of = |figure: fn(&Outcome) -> f64| {
            Spread::of(outcomes.iter().filter(|outcome| outcome.settled_ms.is_some()).map(figure))
        };
        Summary {
            settled: Spread::of(outcomes.iter().map(settled)),
            in_time: in_time as f64 / outcomes.len() as f64,
            shares: of(|outcome| outcome.shares as f64),
            error: of(|outcome| outcome.error),
            changes: of(|outcome| outcome.changes_per_hour),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = |ms: f64| if ms.is_finite() { format!("{:.0}", ms / 1_000.0) } else { "never".into() };
        write!(
            f,
            "{:>6} | {:>5} | {:>8} | {:>5.1}% | {:>6.0} | {:>6.1} | {:>6.1} | {:>6.2} | {:>6.2}",
            seconds(self.settled.median),
            seconds(self.settled.high),
            seconds(self.settled.worst),
            self.in_time * 100.0,
            self.shares.mean,
            self.error.mean * 100.0,
            self.error.worst * 100.0,
            self.changes.mean,
            self.changes.worst
        )
    }
}

/// How figures are spread; all 0 for none.
#[derive(Clone, Copy, Debug, Default)]
struct Spread {
    mean: f64,
    median: f64,
    /// All but one in twenty are at most this.
    high: f64,
    worst: f64,
}

impl Spread {
    fn of(figures: impl Iterator<Item = f64>) -> Spread {
        let mut figures: Vec<f64> = figures.collect();
        figures.sort_by(f64::total_cmp);
        let Some(worst) = figures.last().copied() else { return Spread::default() };
        let at = |part: f64| figures[((figures.len() as f64 * part).ceil() as usize).clamp(1, figures.len()) - 1];
        let mean = figures.iter().sum::<f64>() / figures.len() as f64;
        Spread { mean, median: at(0.5), high: at(0.95), worst }
    }
}

#[cfg(test)]
mod tests;
