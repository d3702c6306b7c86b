//! Sets of origins, as bits.

/// A set of small numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Sources {
    words: Vec<u64>,
}

impl Sources {
    pub(super) fn insert(&mut self, index: usize) {
        let word = index / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (index % 64);
    }

    pub(super) fn insert_all(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (word, more) in self.words.iter_mut().zip(&other.words) {
            *word |= more;
        }
    }

    /// Calls `visit` for each number that is in both sets, ascending.
    pub(super) fn for_each_common(&self, other: &Self, mut visit: impl FnMut(usize)) {
        for (index, (word, more)) in self.words.iter().zip(&other.words).enumerate() {
            let mut common = word & more;
            while common != 0 {
                let bit = common.trailing_zeros();
                // Fewer bits than a word has fit any integer.
                visit(index * 64 + usize::try_from(bit).unwrap_or_default());
                common &= common - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_common_numbers_ascend() {
        let set = |numbers: &[usize]| {
            let mut set = Sources::default();
            for number in numbers {
                set.insert(*number);
            }
            set
        };
        let mut left = set(&[3, 64, 200]);
        left.insert_all(&set(&[5, 300]));
        let mut common = Vec::new();
        left.for_each_common(&set(&[300, 64, 5, 7, 1000]), |number| common.push(number));
        assert_eq!(common, [5, 64, 300]);
    }
}
