//! How hard the next block is, so that blocks come at an even pace whatever mines. Integers only: every node of a
//! chain must reckon the same.

/// Intervals that are averaged.
pub const WINDOW: usize = 12;
/// A target changes at most by this factor from one block to the next.
const MOST_CHANGE: u64 = 2;
/// The easiest target of all, as on regtest.
const FEWEST_HASHES: u64 = 2;

/// A block as the pace sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its header's time, in seconds.
    pub time: u32,
    /// Hashes that it takes on average.
    pub hashes: u64,
}

/// Hashes that the next block shall take, given the last blocks, oldest first, of which the last [`WINDOW`] + 1
/// count; there must be one. The oldest of these only tells when the work of the others began. Intervals that a young
/// chain lacks count as though they had been just right: otherwise two lucky blocks at its start would make the next
/// ones far too hard.
pub fn next_hashes(steps: &[Step], interval_s: u32) -> u64 {
    let steps = &steps[steps.len().saturating_sub(WINDOW + 1)..];
    let [first, later @ ..] = steps else { return FEWEST_HASHES };
    let last = later.last().unwrap_or(first);
    let missing = (WINDOW - later.len()) as u64;
    let work: u128 = later.iter().map(|step| u128::from(step.hashes)).sum();
    let work = work + u128::from(missing) * u128::from(first.hashes);
    // Times are those of headers, which need not rise from one to the next.
    let span = u64::from(last.time.saturating_sub(first.time)) + missing * u64::from(interval_s);
    let wanted = work * u128::from(interval_s) / u128::from(span.max(1));
    let wanted = u64::try_from(wanted).unwrap_or(u64::MAX);
    let (least, most) = (last.hashes / MOST_CHANGE, last.hashes.saturating_mul(MOST_CHANGE));
    wanted.clamp(least, most).max(FEWEST_HASHES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::rng::Rng;

    /// Mines `count` blocks at a hashrate in virtual time; gives their mean interval in seconds, without the first
    /// `skip`. As in a pool, a header carries the time at which its job was made: that of the block before.
    fn mean_interval(rate: f64, count: usize, skip: usize, seed: u64) -> f64 {
        let mut rng = Rng::new(seed);
        let mut steps = vec![Step { time: 1_000, hashes: 6_000 }];
        let mut now = 1_000.0;
        let mut began = now;
        for index in 0..count {
            if index == skip {
                began = now;
            }
            let hashes = next_hashes(&steps, 5);
            steps.push(Step { time: now as u32, hashes });
            now += rng.wait(hashes as f64 / rate);
        }
        (now - began) / (count - skip) as f64
    }

    #[test]
    fn whatever_mines_blocks_come_at_the_wanted_pace() {
        for (seed, rate) in [(1, 150.0), (2, 1_200.0), (3, 4_000.0), (4, 60_000.0)] {
            let mean = mean_interval(rate, 2_000, 40, seed);
            assert!((4.5..=6.0).contains(&mean), "{mean} seconds at {rate} hashes a second");
        }
    }

    #[test]
    fn luck_at_the_start_does_not_make_the_chain_hard() {
        let mut steps = vec![Step { time: 100, hashes: 6_000 }];
        for _ in 0..3 {
            steps.push(Step { time: 100, hashes: next_hashes(&steps, 5) });
        }
        let hashes = next_hashes(&steps, 5);
        assert!((6_000..9_000).contains(&hashes), "{hashes}");
    }

    #[test]
    fn one_block_changes_the_target_by_a_factor_of_two_at_most() {
        // A full window whose blocks, 6,000 hashes each, took so long together.
        let after = |seconds: i64| {
            let mut steps = vec![Step { time: 1_000, hashes: 6_000 }; WINDOW + 1];
            steps[WINDOW].time = (1_000 + seconds) as u32;
            next_hashes(&steps, 5)
        };
        assert_eq!((after(60), after(50), after(120), after(90)), (6_000, 7_200, 3_000, 4_000));
        assert_eq!((after(0), after(1), after(100_000)), (12_000, 12_000, 3_000));
        assert_eq!(after(-10), 12_000, "a header may be older than the ones before");
    }

    #[test]
    fn there_is_an_easiest_target() {
        assert_eq!(next_hashes(&[Step { time: 1, hashes: 2 }, Step { time: 900, hashes: 2 }], 5), 2);
    }
}
