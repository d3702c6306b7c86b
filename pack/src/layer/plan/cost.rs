//! What is expected of a layer in a week: how likely it changes, and how many bytes that makes.
//!
//! Changes of an origin come at a rate, independent of those of other origins. Rates are counted in millionths of a change a week, and add up. All numbers
//! are integers, so that every machine finds the same plan.

/// How long something lasts that was asked for by name, unless the plan file knows.
pub(super) const REQUESTED_DAYS: u32 = 14;
/// How long everything else lasts, unless the plan file knows.
pub(super) const DEFAULT_DAYS: u32 = 700;

/// Millionths of a change a week.
pub(super) type Rate = u64;

/// A week, the time that costs are counted for, in millionths of a day.
const WEEK: u64 = 7_000_000;
/// One, as fixed-point numbers here have it.
const ONE: u64 = 1 << 62;
/// From this rate on, a change is as good as certain: the chance that there is none is below 2⁻⁹².
const CERTAIN: Rate = 64_000_000;

/// The bits of a rate that count.
const RATE_BITS: usize = CERTAIN.ilog2() as usize + 1;
/// The chance that nothing happens at a rate of 1, 2, 4 and so on: a plan is made of tens of thousands of chances.
const SQUARES: [u64; RATE_BITS] = squares();

/// A layer costs a request, an answer and 70 to 110 ms of loading whatever is in it; on a fast line so many bytes take as long as the first two.
pub(super) const LAYER_BYTES: u64 = 64 << 10;
/// Of what is tied together with something else, one part in so many counts as cost, because another image may have one of them and not the other. In the
/// simulation of `tests/benches/layers` 10 gives the smallest registry; between 5 and 20 the figures differ by 1 %.
const TIED_PART: u64 = 10;

/// Returns the rate of what changes once in so many days.
pub(super) fn rate_of_days(days: u32) -> Rate {
    WEEK / u64::from(days.max(1))
}

/// How likely something changes within a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Chance(u64);

impl Chance {
    /// The chance that belongs to a rate: 1 − (1 − 10⁻⁶)^rate.
    pub(super) fn of(rate: Rate) -> Self {
        let rate = rate.min(CERTAIN);
        let squares = SQUARES.iter().enumerate();
        let survival = squares.fold(ONE, |survival, (bit, square)| match rate >> bit & 1 {
            0 => survival,
            _ => multiply(survival, *square),
        });
        Self(ONE - survival)
    }

    /// Returns the chance in millionths, rounded down.
    pub fn per_million(self) -> u64 {
        multiply(1_000_000, self.0)
    }

    /// Returns how many of so many bytes are expected to be fetched in a week.
    pub fn of_bytes(self, size_bytes: u64) -> u64 {
        multiply(size_bytes, self.0)
    }
}

/// What it costs that a layer has so many bytes, changes with this chance, and has groups of so many origins in it.
pub(super) fn layer_cost(size_bytes: u64, chance: Chance, origins: usize) -> u64 {
    // The number of paths of an image fits.
    let origins = u64::try_from(origins).unwrap_or(u64::MAX).max(1);
    let tied = size_bytes / TIED_PART;
    LAYER_BYTES + chance.of_bytes(size_bytes) + (tied - tied / origins)
}

const fn squares() -> [u64; RATE_BITS] {
    let mut squares = [ONE - ONE / 1_000_000; RATE_BITS];
    let mut bit = 1;
    while bit < RATE_BITS {
        squares[bit] = multiply(squares[bit - 1], squares[bit - 1]);
        bit += 1;
    }
    squares
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "one factor is at most one, so the product is at most the other"
)]
const fn multiply(a: u64, b: u64) -> u64 {
    ((a as u128 * b as u128) >> 62) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chance_grows_with_the_rate_and_never_passes_one() {
        for (rate, per_million) in [
            (0, 0),
            (1, 1),
            (10_000, 9_950),
            (500_000, 393_469),
            (1_000_000, 632_120),
            (20_000_000, 999_999),
            (u64::MAX, 1_000_000),
        ] {
            let found = Chance::of(rate).per_million();
            assert!(found.abs_diff(per_million) <= 1, "{rate}: {found}");
        }
        assert_eq!(Chance::of(u64::MAX).of_bytes(u64::MAX >> 2), u64::MAX >> 2);
    }

    #[test]
    fn the_chance_is_that_of_squaring_step_by_step() {
        let mut rates: Vec<Rate> = (0..64).map(|bit| 1 << bit).collect();
        rates.extend([0, 3, 9_999, 1_234_567, CERTAIN - 1, CERTAIN + 1, u64::MAX]);
        for rate in rates {
            let (mut survival, mut square) = (ONE, ONE - ONE / 1_000_000);
            let mut rest = rate.min(CERTAIN);
            while rest > 0 {
                if rest & 1 == 1 {
                    survival = multiply(survival, square);
                }
                square = multiply(square, square);
                rest >>= 1;
            }
            assert_eq!(Chance::of(rate), Chance(ONE - survival), "{rate}");
        }
    }

    #[test]
    fn rates_are_changes_a_week() {
        assert_eq!(rate_of_days(7), 1_000_000);
        assert_eq!(rate_of_days(REQUESTED_DAYS), 500_000);
        assert_eq!(rate_of_days(DEFAULT_DAYS), 10_000);
        assert_eq!(rate_of_days(0), 7_000_000);
    }
}
