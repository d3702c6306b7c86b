//! Base 32 with Nix's alphabet, most significant bit first.
//!
//! The order of encoded digests is the order of their bytes, so a prefix of the text is a range of digests.

/// The 32 digits in ascending order: no `e`, `o`, `t`, `u`, so that no words appear.
pub const ALPHABET: &[u8; 32] = b"0123456789abcdfghijklmnpqrsvwxyz";

const NOT_A_DIGIT: u8 = 0xff;

/// The value of each byte as a digit.
const VALUES: [u8; 256] = {
    let mut values = [NOT_A_DIGIT; 256];
    let mut value = 0u8;
    while value < 32 {
        values[ALPHABET[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// Tells whether a byte is a digit of the alphabet.
#[inline]
#[must_use]
pub const fn is_digit(byte: u8) -> bool {
    VALUES[byte as usize] != NOT_A_DIGIT
}

/// Returns the 40 digits of 200 bits.
pub(crate) fn encode(bytes: &[u8; 25]) -> [u8; 40] {
    let mut digits = [0; 40];
    for (five, eight) in bytes.chunks_exact(5).zip(digits.chunks_exact_mut(8)) {
        let mut bits = five
            .iter()
            .fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        for digit in eight.iter_mut().rev() {
            *digit = ALPHABET[usize::try_from(bits & 31).unwrap_or_default()];
            bits >>= 5;
        }
    }
    digits
}

/// Returns the 200 bits that 40 digits stand for; `None` for anything else.
pub(crate) fn decode(digits: &[u8]) -> Option<[u8; 25]> {
    let digits: &[u8; 40] = digits.try_into().ok()?;
    let mut bytes = [0; 25];
    for (eight, five) in digits.chunks_exact(8).zip(bytes.chunks_exact_mut(5)) {
        let mut bits = 0u64;
        for digit in eight {
            let value = VALUES[usize::from(*digit)];
            if value == NOT_A_DIGIT {
                return None;
            }
            bits = bits << 5 | u64::from(value);
        }
        five.copy_from_slice(&bits.to_be_bytes()[3..]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn decode_inverts_encode(bytes in prop::array::uniform25(any::<u8>())) {
            prop_assert_eq!(decode(&encode(&bytes)), Some(bytes));
        }

        #[test]
        fn encode_inverts_decode(text in "[0-9abcdfghijklmnpqrsvwxyz]{40}") {
            let bytes = decode(text.as_bytes()).unwrap();
            let digits = encode(&bytes);
            prop_assert_eq!(&digits[..], text.as_bytes());
        }

        #[test]
        fn encoding_keeps_the_order(a in prop::array::uniform25(any::<u8>()), b in prop::array::uniform25(any::<u8>())) {
            prop_assert_eq!(a.cmp(&b), encode(&a).cmp(&encode(&b)));
        }
    }

    #[test]
    fn decode_refuses_other_lengths_and_letters() {
        for text in [
            "",
            "0",
            &"0".repeat(39),
            &"0".repeat(41),
            &"e".repeat(40),
            &"A".repeat(40),
        ] {
            assert_eq!(decode(text.as_bytes()), None, "{text}");
        }
    }
}
