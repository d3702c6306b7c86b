// The words of license texts. Also part of the build script, which prepares the table of known texts by the same rules.

/// Where the Free Software Foundation has been, as words: its licenses say so, and mean the same wherever it is.
const ADDRESSES: &[&str] = &[
    "59 temple place suite 330 boston ma 02111 1307 usa",
    "59 temple place suite 330 boston ma 02111 1307",
    "59 temple place boston ma 02111 1307 usa",
    "51 franklin street fifth floor boston ma 02110 1301 usa",
    "51 franklin street fifth floor boston ma 02110 1301",
    "51 franklin st fifth floor boston ma 02110 1301 usa",
    "51 franklin st fifth floor boston ma 02110 1301",
    "31 milk street 960789 boston ma 02196 usa",
    "675 mass ave cambridge ma 02139 usa",
    "675 massachusetts ave cambridge ma 02139 usa",
];

/// Where words that name somebody may stand in licenses whose text is fixed otherwise (SPDX, "License Matching Guidelines", replaceable text): what comes
/// before them, what comes after, and how many there may be.
const NAMES: &[(&str, &str, usize)] = &[
    ("neither the name of", "nor the names of", 25),
    ("this software is provided by", "as is", 16),
    ("in no event shall", "be liable", 20),
];

/// Splits a text into its words: runs of letters, digits and `+`, in lower case. What comments, lists and decorations are made of is no word.
pub(super) fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for line in text.lines() {
        words.extend(line_words(line));
    }
    words
}

/// Splits a text into the words by which it is compared with the known texts: [`words`] without statements of copyright, marks of lists, the names of
/// holders and the address of the Free Software Foundation, and with one spelling of what has two.
pub(super) fn matching_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    for line in text.lines() {
        if is_copyright(line) {
            continue;
        }
        for word in line_words(&without_marks(line)) {
            words.push(match word.as_str() {
                "licence" => "license".to_owned(),
                "licences" => "licenses".to_owned(),
                "licenced" => "licensed".to_owned(),
                "https" => "http".to_owned(),
                _ => word,
            });
        }
    }
    remove(&mut words, "all rights reserved");
    for address in ADDRESSES {
        remove(&mut words, address);
    }
    for (before, after, most) in NAMES {
        remove_between(&mut words, before, after, *most);
    }
    words
}

/// Tells whether a line is a statement of copyright rather than a sentence about copyright.
pub(super) fn is_copyright(line: &str) -> bool {
    let words = line_words(line);
    let mut words = words.iter().map(String::as_str);
    let is_year = |word: &str| {
        word == "year" || (word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit()))
    };
    match (words.next(), words.next()) {
        (Some("copyright" | "©"), Some("c" | "©" | "yyyy")) => true,
        (Some("copyright" | "©" | "c"), Some(second)) if is_year(second) => true,
        (Some("portions"), Some("copyright")) => true,
        (Some("copyright"), Some(_)) => words.any(is_year),
        _ => false,
    }
}

fn line_words(line: &str) -> Vec<String> {
    let is_word = |c: char| c.is_alphanumeric() || c == '+' || c == '©';
    line.split(|c: char| !is_word(c))
        // What m4 begins comments with.
        .filter(|word| !word.is_empty() && *word != "dnl")
        .map(str::to_lowercase)
        .collect()
}

/// Returns a line without the numbers and letters that mark parts of lists. Where a text is laid out otherwise they may stand anywhere in a line: `(2)`, `2)`,
/// and `2.` before a space; but `a.` only where a line begins.
fn without_marks(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut is_first = true;
    for token in line.split_whitespace() {
        let inner = token.trim_start_matches(|c: char| !c.is_alphanumeric());
        let end = inner
            .find(|c: char| !c.is_alphanumeric())
            .unwrap_or(inner.len());
        let (mark, rest) = inner.split_at(end);
        let is_number = mark.len() <= 2 && mark.bytes().all(|byte| byte.is_ascii_digit());
        let is_letter = mark.len() == 1 || matches!(mark, "ii" | "iii" | "iv" | "vi");
        let is_closed = rest.starts_with([')', ']']);
        let is_ended = rest == "." && (is_number || is_first);
        if !mark.is_empty() && (is_number || is_letter) && (is_closed || is_ended) {
            kept.push_str(rest);
        } else {
            kept.push_str(token);
        }
        kept.push(' ');
        is_first &= inner.is_empty();
    }
    kept
}

fn remove(words: &mut Vec<String>, phrase: &str) {
    let phrase: Vec<&str> = phrase.split(' ').collect();
    let mut from = 0;
    while let Some(place) = find(words, &phrase, from) {
        words.drain(place..place + phrase.len());
        from = place;
    }
}

/// Removes what stands between two phrases, if that is not more than `most` words.
fn remove_between(words: &mut Vec<String>, before: &str, after: &str, most: usize) {
    let before: Vec<&str> = before.split(' ').collect();
    let after: Vec<&str> = after.split(' ').collect();
    let mut from = 0;
    while let Some(place) = find(words, &before, from) {
        let start = place + before.len();
        if let Some(end) = find(words, &after, start)
            && end - start <= most
        {
            words.drain(start..end);
        }
        from = start;
    }
}

/// Returns the first place from `from` on at which the words of a phrase stand.
pub(super) fn find(words: &[String], phrase: &[&str], from: usize) -> Option<usize> {
    let found = words.get(from..)?.windows(phrase.len()).position(|window| {
        let mut pairs = window.iter().zip(phrase);
        pairs.all(|(word, wanted)| word == wanted)
    });
    found.map(|place| place + from)
}

/// Returns the number by which the beginning of a sequence of words is looked up: FNV-1a of its first words.
pub(super) fn start_of(words: &[String]) -> Option<u64> {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in words.get(..START_WORDS)?.join(" ").bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    Some(hash)
}

/// How many words a known text has at least.
pub(super) const START_WORDS: usize = 5;

/// Returns the `count` least of the numbers that stand for the sequences of [`START_WORDS`] words in a text; ascending. Texts that have much in common have
/// most of these in common (Broder, "On the resemblance and containment of documents").
pub(super) fn shingles(words: &[String], count: usize) -> Vec<u32> {
    let sequences = words.windows(START_WORDS).filter_map(start_of);
    // The upper half of FNV-1a mixes better than the lower one.
    let mut numbers: Vec<u32> = sequences
        .map(|hash| u32::try_from(mixed(hash) >> 32).unwrap_or(u32::MAX))
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers.truncate(count);
    numbers
}

/// Spreads the bits of a number (the finalizer of SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
