//! The script before the tar: pure text.

use std::fmt::Write as _;

use crate::layer::Compression;

const TEMPLATE: &str = include_str!("launcher.sh");
/// The place of the digest of the tar.
const DIGEST: &str = "@digest@";
/// The place of the number of the first byte behind the script.
const SKIP: &str = "@skip@";
/// The beginning of a line that ends the here-document.
const END_OF_ENTER: &str = "\nEND_OF_ENTER";
/// As many digits as a digest has.
const NO_DIGEST: [u8; 64] = [b'0'; 64];

/// What the script has to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// What the program calls itself in messages.
    pub(super) name: String,
    /// What it runs on.
    pub(super) platform: String,
    /// What Linux and qemu call its processor.
    pub(super) processor: &'static str,
    /// How many lines `find` has for the unpacked tree.
    pub(super) entries: usize,
    pub(super) compression: Compression,
    /// The directory to start in, unless that is the caller's.
    pub(super) directory: Option<String>,
    /// Directories that can be written to, for the time of one run.
    pub(super) volumes: Vec<String>,
    /// The variables in a namespace.
    pub(super) env: Vec<(String, String)>,
    /// The program and its arguments, and those that a caller replaces.
    pub(super) entrypoint: Vec<String>,
    pub(super) cmd: Vec<String>,
    /// Where there is no namespace.
    pub(super) loader: LoaderFacts,
}

/// What the script has to know where the files are not at their places. Words may begin with the directory that the tree is in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LoaderFacts {
    pub(super) directory: Option<String>,
    pub(super) env: Vec<(String, Word)>,
    /// The loader with its options, the program and its arguments.
    pub(super) start: Vec<Word>,
    pub(super) libraries: Vec<String>,
    pub(super) cmd: Vec<Word>,
}

/// A word of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Word {
    Plain(String),
    /// An absolute path of the image.
    InTree(String),
    /// The list of directories with libraries.
    Libraries,
}

impl Word {
    fn quoted(&self, libraries: &[String]) -> String {
        match self {
            Self::Plain(text) => quoted(text),
            Self::InTree(path) => format!("\"$tree\"{}", quoted(path)),
            Self::Libraries => {
                let all = libraries.iter();
                let all: Vec<String> = all
                    .map(|one| Self::InTree(one.clone()).quoted(&[]))
                    .collect();
                all.join(":")
            }
        }
    }
}

/// Returns the script, and where in it the digest of the tar has to be written.
pub(super) fn script(facts: &Facts) -> (Vec<u8>, usize) {
    let decompress = match facts.compression {
        Compression::Gzip => "gzip -dc",
        Compression::Zstd => "zstd -dc",
        Compression::None => "cat",
    };
    let words = |words: &[String]| {
        let quoted: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        quoted.join(" ")
    };
    let loader = &facts.loader;
    let loader_words = |words: &[Word]| {
        let quoted = words.iter().map(|word| word.quoted(&loader.libraries));
        quoted.collect::<Vec<_>>().join(" ")
    };
    let mut namespace_env = String::new();
    for (name, value) in &facts.env {
        // Writing to a String cannot fail.
        let _ = writeln!(namespace_env, "export {name}={}", quoted(value));
    }
    let mut loader_env = String::new();
    for (name, value) in &loader.env {
        let _ = writeln!(loader_env, "export {name}={}", value.quoted(&[]));
    }
    if let Some(directory) = &loader.directory {
        let directory = Word::InTree(directory.clone()).quoted(&[]);
        let _ = writeln!(loader_env, "cd {directory} || exit 126");
    }
    let directory = facts.directory.as_deref();
    let mut values = [
        ("@title@", comment(&facts.name)),
        ("@name@", quoted(&facts.name)),
        ("@platform@", facts.platform.clone()),
        ("@machines@", format!("Linux/{}", facts.processor)),
        ("@processor@", facts.processor.to_owned()),
        ("@entries@", facts.entries.to_string()),
        ("@decompress@", decompress.to_owned()),
        ("@volumes@", words(&facts.volumes)),
        ("@namespace_env@", namespace_env.trim_end().to_owned()),
        (
            "@namespace_arguments@",
            arguments(&words(&facts.cmd), &words(&facts.entrypoint)),
        ),
        (
            "@directory@",
            directory.map_or_else(|| "\"$PWD\"".to_owned(), quoted),
        ),
        ("@loader_env@", loader_env.trim_end().to_owned()),
        (
            "@loader_arguments@",
            arguments(&loader_words(&loader.cmd), &loader_words(&loader.start)),
        ),
        (DIGEST, String::from_utf8_lossy(&NO_DIGEST).into_owned()),
        (SKIP, String::new()),
    ];
    // The number of the first byte behind the script, from 1, is in the script itself: one round for each digit that it gets longer by.
    let mut skip = 0;
    loop {
        if let Some((_, value)) = values.last_mut() {
            *value = skip.to_string();
        }
        let (script, at) = fill(&values);
        if script.len() + 1 == skip {
            return (script.into_bytes(), at);
        }
        skip = script.len() + 1;
    }
}

/// Puts values in their places. What a value has in it is never looked at, whatever it looks like. Returns where the digest is, too.
fn fill(values: &[(&str, String)]) -> (String, usize) {
    let (mut filled, mut digest_at) = (String::new(), 0);
    let mut rest = TEMPLATE;
    while let Some(at) = rest.find('@') {
        filled.push_str(&rest[..at]);
        rest = &rest[at..];
        let mut found = values
            .iter()
            .filter_map(|(name, value)| Some((*name, value, rest.strip_prefix(*name)?)));
        if let Some((name, value, behind)) = found.next() {
            if name == DIGEST {
                digest_at = filled.len();
            }
            filled.push_str(value);
            rest = behind;
        } else {
            filled.push('@');
            rest = &rest[1..];
        }
    }
    filled.push_str(rest);
    (filled, digest_at)
}

/// Puts what the image runs before the caller's arguments, or before its own where the caller has none.
fn arguments(cmd: &str, start: &str) -> String {
    let own = if cmd.is_empty() {
        String::new()
    } else {
        format!("[ $# -gt 0 ] || set -- {cmd}\n")
    };
    format!("{own}set -- {start} \"$@\"")
}

/// A word that no shell changes. No line of it is the end of the here-document that it may stand in: two quotes, which are nothing, keep such a line from being it.
fn quoted(word: &str) -> String {
    let word = word.replace('\'', "'\\''");
    format!("'{}'", word.replace(END_OF_ENTER, "\n''END_OF_ENTER"))
}

fn comment(text: &str) -> String {
    text.replace(char::is_control, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_knows_its_own_length_and_the_place_of_the_digest() {
        for extra in 0..120 {
            let facts = Facts {
                name: "a".repeat(extra + 1),
                entrypoint: vec!["it's".to_owned()],
                ..Facts::default()
            };
            let (script, at) = script(&facts);
            let text = String::from_utf8(script).unwrap();
            assert!(text.contains(&format!("\nskip={}\n", text.len() + 1)));
            assert!(text[..at].ends_with("digest="));
            assert_eq!(text.as_bytes()[at..at + 64], NO_DIGEST);
            assert!(!text.contains("@skip@") && text.contains("'it'\\''s'"));
        }
    }

    #[test]
    fn what_looks_like_a_place_in_the_script_stays_what_it_is() {
        let places = "@title@ @namespace_arguments@ @loader_env@ @digest@ @skip@";
        let zeros = "0".repeat(64);
        let end = "a\nEND_OF_ENTER\nid\nEND_OF_ENTER";
        let facts = Facts {
            name: zeros.clone(),
            env: vec![
                ("PLACES".to_owned(), places.to_owned()),
                ("END".to_owned(), end.to_owned()),
            ],
            volumes: vec![end.to_owned()],
            directory: Some("@volumes@".to_owned()),
            entrypoint: vec![places.to_owned(), end.to_owned()],
            ..Facts::default()
        };
        let (script, at) = script(&facts);
        let text = String::from_utf8(script).unwrap();
        assert!(text[..at].ends_with(&format!("\nname='{zeros}'\ndigest=")));
        assert!(text.contains(&format!("\nexport PLACES='{places}'\n")));
        assert!(text.contains(&format!("set -- '{places}' ")));
        assert!(text.contains("\"$identity\" '@volumes@' \"$@\"\n"));
        let ends = text.lines().filter(|line| *line == "END_OF_ENTER");
        assert_eq!(ends.count(), 1);
    }

    #[test]
    fn a_shell_reads_what_was_quoted() {
        let word = "it's\nEND_OF_ENTER\n$HOME `id` \\ \"@skip@\"\nEND_OF_ENTER";
        let command = format!("printf %s {}", quoted(word));
        let shell = std::process::Command::new("sh")
            .args(["-c", &command])
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(shell.stdout).unwrap(), word);
    }
}
