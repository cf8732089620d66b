//! Seeded chance: the shell gives one seed, and everything that needs jitter or a fresh number draws
//! from it, so that a simulated run repeats exactly.

/// SplitMix64 (Steele, Lea, Flood 2014). Not for secrets.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A generator whose whole sequence follows from `seed`.
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    /// The next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; 0 when `bound` is 0. The bias is below `bound` / 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next_u64()) * u128::from(bound)) >> 64) as u64
    }

    /// The time until what comes by chance comes next, as often as once in `mean` on the average, in the unit of `mean`.
    pub fn wait(&mut self, mean: f64) -> f64 {
        // Within (0, 1], so that its logarithm is finite.
        let drawn = ((self.next_u64() >> 11) as f64 + 1.0) / (1u64 << 53) as f64;
        -libm::log(drawn) * mean
    }

    /// `mean_ms` give or take a quarter, so that many timers don't fire together.
    pub fn jitter(&mut self, mean_ms: u64) -> u64 {
        mean_ms - mean_ms / 4 + self.below(mean_ms / 2 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_within_a_quarter_of_its_mean() {
        let mut rng = Rng::new(1);
        for mean in [0, 1, 3, 1_000, 60_000] {
            for _ in 0..1_000 {
                let drawn = rng.jitter(mean);
                assert!(drawn >= mean - mean / 4 && drawn <= mean + mean / 4 + 1, "{drawn} for {mean}");
            }
        }
    }
}
