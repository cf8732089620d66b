//! What was measured, as a table beside what it should be.

use std::fmt;
use std::time::Duration;

use super::crowd::Answers;
use super::process::Memory;

/// Notes below the table.
const NOTES: &str = "
CPU: what the pool's own thread took of one core; the rigs and the node run beside it. Memory is resident memory;
\"own\" is what is not a map of a file, such as the program itself. Notified: from when the node began to send the
template. The bare loop has no pool around it: it writes as much to as many sockets. Shares are pipelined, and 65,536
times easier than sha256d's least difficulty, which all but one in 65,536 meet; everything else of them is real. Each
was answered after it was on disk, and found in the ledger of the pool, which was killed after its last answer.
";

/// See the module.
#[derive(Default)]
pub(super) struct Figures(Vec<[String; 4]>);

impl Figures {
    pub(super) fn idle(&mut self, memory: Memory) {
        self.add("memory without rigs", format!("{} ({} own)", mb(memory.resident), mb(memory.own)), "", "6 MB");
    }

    pub(super) fn connected(&mut self, rigs: usize, took: Duration, cpu_s: f64) {
        let what = format!("{rigs} rigs connect, subscribe, authorize and have a job");
        self.add(&what, format!("{:.2} s", took.as_secs_f64()), &format!("{cpu_s:.2} s"), "0.8 s for 5,000");
    }

    pub(super) fn clients(&mut self, rigs: usize, before: Memory, after: Memory) {
        let each = |before: u64, after: u64| after.saturating_sub(before) as f64 / rigs as f64 / 1_000.0;
        let resident = each(before.resident, after.resident);
        self.add("memory for each rig", format!("{resident:.1} KB"), "", "3 KB");
    }

    pub(super) fn notified(&mut self, firsts: &[Duration], lasts: &[Duration], cpu_s: f64) {
        let spreads: Vec<Duration> =
            firsts.iter().zip(lasts).map(|(first, last)| last.saturating_sub(*first)).collect();
        let blocks = lasts.len();
        self.add(&format!("a block: first rig notified, median of {blocks}"), shown(firsts), "", "");
        let cpu = format!("{:.1} ms", cpu_s * 1_000.0);
        self.add("last rig notified", shown(lasts), &cpu, "60 ms for 5,000");
        self.add("from first to last", shown(&spreads), "", "40 ms for 5,000");
    }

    pub(super) fn bare(&mut self, bytes: usize, spreads: &[Duration]) {
        let what = format!("a bare loop of writes of {bytes} bytes: first to last");
        self.add(&what, shown(spreads), "", "");
    }

    pub(super) fn accepted(&mut self, answers: Answers, took: Duration, cpu_s: f64) {
        self.rate("shares judged", answers.accepted + answers.refused, took, cpu_s, "80,000/s");
        self.rate("shares accepted and on disk", answers.accepted, took, cpu_s, "50,000/s");
    }

    pub(super) fn written(&mut self, shares: u64) {
        self.add("accepted shares found in the ledger", format!("all {}", thousands(shares)), "", "all");
    }

    fn rate(&mut self, what: &str, shares: u64, took: Duration, cpu_s: f64, target: &str) {
        let per = |seconds: f64| thousands((shares as f64 / seconds.max(1e-9)) as u64);
        let cpu = format!("{:.0} %: {}/s of CPU", cpu_s / took.as_secs_f64() * 100.0, per(cpu_s));
        self.add(what, format!("{}/s", per(took.as_secs_f64())), &cpu, target);
    }

    fn add(&mut self, what: &str, measured: String, cpu: &str, target: &str) {
        self.0.push([what.into(), measured, cpu.into(), target.into()]);
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["", "measured", "CPU", "target"].map(String::from);
        let rows = || std::iter::once(&head).chain(&self.0);
        let [what, measured, cpu, _] =
            [0, 1, 2, 3].map(|column| rows().map(|row| row[column].len()).max().unwrap_or(0));
        for row in rows() {
            let line = format!("{:what$} | {:>measured$} | {:>cpu$} | {}", row[0], row[1], row[2], row[3]);
            writeln!(f, "{}", line.trim_end())?;
        }
        f.write_str(NOTES)
    }
}

/// Their median and the longest.
fn shown(times: &[Duration]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1_000.0);
    format!("{:.1} ms, worst {:.1} ms", ms(sorted.get(sorted.len() / 2)), ms(sorted.last()))
}

fn mb(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// A number in groups of three digits.
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
