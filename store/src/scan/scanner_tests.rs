use proptest::prelude::*;

use super::*;
use crate::id::{PathDigest, scratch_path};

/// What the scanner must find, said as plainly as possible.
fn naive(
    candidates: &[PathDigest],
    scratches: &[PathDigest],
    bytes: &[u8],
) -> (BTreeMap<usize, u64>, Vec<Occurrence>, bool) {
    let wide = |digits: &[u8]| {
        digits
            .iter()
            .flat_map(|digit| [*digit, 0])
            .collect::<Vec<_>>()
    };
    let mut found = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        let digits = candidate.to_digits();
        let ascii = memchr::memmem::find(bytes, &digits);
        let utf16 = memchr::memmem::find(bytes, &wide(&digits));
        if let Some(first) = ascii.into_iter().chain(utf16).min() {
            found.insert(index, as_u64(first));
        }
    }
    let mut zeroed = bytes.to_vec();
    let mut occurrences = Vec::new();
    let mut place = 0;
    while place < bytes.len() {
        match scratches
            .iter()
            .position(|scratch| bytes[place..].starts_with(&scratch.to_digits()))
        {
            Some(scratch) => {
                occurrences.push(Occurrence {
                    offset: as_u64(place),
                    scratch,
                });
                zeroed[place..place + DIGITS].fill(1);
                place += DIGITS;
            }
            None => place += 1,
        }
    }
    let residue = scratches.iter().any(|scratch| {
        let digits = scratch.to_digits();
        digits.windows(WINDOW).any(|window| {
            memchr::memmem::find(&zeroed, window).is_some()
                || memchr::memmem::find(&zeroed, &wide(window)).is_some()
        })
    });
    (found, occurrences, residue)
}

fn needles_of_test() -> (Vec<PathDigest>, Vec<PathDigest>) {
    let candidates = (0..4)
        .map(|index| PathDigest::from_bytes([0x5a ^ index; 25]))
        .collect();
    let name = "x".parse().unwrap();
    (
        candidates,
        ["out", "dev"]
            .iter()
            .map(|output| *scratch_path(&name, output).digest())
            .collect(),
    )
}

/// Pieces that meet in all ways: whole digits, parts of them, both encodings, and bytes between that are often digits.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let (candidates, scratches) = needles_of_test();
    let all: Vec<_> = candidates.into_iter().chain(scratches).collect();
    let wide = |bytes: &[u8]| bytes.iter().flat_map(|byte| [*byte, 0]).collect::<Vec<_>>();
    prop_oneof![
        3 => prop::collection::vec(prop_oneof![Just(0u8), Just(b'0'), Just(b'a'), Just(b'z'), Just(b'-'), any::<u8>()], 0..60),
        2 => prop::sample::select(all.clone()).prop_map(|digest| digest.to_digits().to_vec()),
        1 => (prop::sample::select(all.clone()), 0..40usize, 0..40usize)
            .prop_map(|(digest, a, b)| digest.to_digits()[a.min(b)..a.max(b)].to_vec()),
        1 => prop::sample::select(all.clone()).prop_map(move |digest| wide(&digest.to_digits())),
        1 => (prop::sample::select(all), 0..40usize, 0..40usize)
            .prop_map(move |(digest, a, b)| wide(&digest.to_digits()[a.min(b)..a.max(b)])),
    ]
}

fn scan_in_chunks(needles: &Needles, bytes: &[u8], sizes: &[usize]) -> Findings {
    let mut scanner = Scanner::new(needles);
    let mut rest = bytes;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (chunk, after) = rest.split_at((*size).clamp(1, rest.len()));
        scanner.update(chunk);
        rest = after;
    }
    scanner.finish()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn the_scanner_finds_what_a_naive_one_finds(
        pieces in prop::collection::vec(piece(), 0..12), sizes in prop::collection::vec(1..300usize, 1..8),
    ) {
        let bytes = pieces.concat();
        let (candidates, scratches) = needles_of_test();
        let needles = Needles::new(&candidates, &scratches);
        let findings = scan_in_chunks(&needles, &bytes, &sizes);
        let (found, occurrences, residue) = naive(&candidates, &scratches, &bytes);
        prop_assert_eq!(findings.candidates, found);
        prop_assert_eq!(findings.occurrences, occurrences);
        prop_assert_eq!(findings.residue.is_some(), residue);
    }

    #[test]
    fn without_scratch_digests_candidates_are_found_as_well(
        pieces in prop::collection::vec(piece(), 0..12), sizes in prop::collection::vec(1..300usize, 1..8),
    ) {
        let bytes = pieces.concat();
        let (candidates, _) = needles_of_test();
        let needles = Needles::new(&candidates, &[]);
        let findings = scan_in_chunks(&needles, &bytes, &sizes);
        let (found, _, _) = naive(&candidates, &[], &bytes);
        prop_assert_eq!(findings, Findings { candidates: found, ..Findings::default() });
    }

    #[test]
    fn where_chunks_are_cut_makes_no_difference(
        pieces in prop::collection::vec(piece(), 0..12), sizes in prop::collection::vec(1..300usize, 1..8),
    ) {
        let bytes = pieces.concat();
        let (candidates, scratches) = needles_of_test();
        let needles = Needles::new(&candidates, &scratches);
        let (cut, whole) = (scan_in_chunks(&needles, &bytes, &sizes), scan_bytes(&needles, &bytes));
        prop_assert_eq!((&cut.candidates, &cut.occurrences, cut.residue.is_some()), (&whole.candidates, &whole.occurrences, whole.residue.is_some()));
    }
}
