//! Numbers that look random and are the same for the same seed: SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators").

/// A sequence of numbers.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Makes the sequence that belongs to a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number less than `bound`.
    ///
    /// # Panics
    /// When `bound` is zero.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("a usize is no wider than 64 bits");
        usize::try_from(self.next() % bound).expect("it is less than a usize")
    }

    /// Takes `count` elements, in the order in which they stand; all if there are fewer.
    pub fn sample<T>(&mut self, mut elements: Vec<T>, count: usize) -> Vec<T> {
        let mut left = elements.len();
        let mut wanted = count.min(left);
        elements.retain(|_| {
            let taken = self.below(left) < wanted;
            left -= 1;
            wanted -= usize::from(taken);
            taken
        });
        elements
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_splitmix64() {
        let mut random = Random::new(1_234_567);
        let numbers = [(); 3].map(|()| random.next());
        assert_eq!(
            numbers,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
    }

    #[test]
    fn a_sample_has_the_wanted_size_and_order() {
        let mut random = Random::new(1);
        for count in [0, 1, 5, 9, 10, 20] {
            let sample = random.sample((0..10).collect(), count);
            assert_eq!(sample.len(), count.min(10));
            assert!(sample.is_sorted());
        }
    }
}
