//! How long documents about large closures take, and how much memory.
//!
//! `cargo bench -p tests --bench documents` makes the bill of 5 000 store paths without files, and of 60 000 files, in every format. It protects the claim that
//! the first takes less than 2 seconds, and the second less than 3 seconds and 300 MB: where it does not, it fails.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints and may panic"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::{Duration, Instant},
};

use pack::{
    attest::{Bill, BillInputs, BillOptions, DocumentFormat, FileDetail, Subject},
    audit::{Gathered, Part},
};
use store::{
    Component,
    facts::{Facts, FileFacts},
};
use tests::large_closure;

const FORMATS: [DocumentFormat; 4] = [
    DocumentFormat::CycloneDx17,
    DocumentFormat::Spdx3,
    DocumentFormat::Spdx2,
    DocumentFormat::Spdx2TagValue,
];
const MAX_MEMORY_KIB: u64 = 300_000;

fn main() {
    // As a test, without optimisation, a tenth is enough to see that it works.
    let (is_bench, part) = match std::env::args().any(|argument| argument == "--bench") {
        true => (true, 1),
        false => (false, 10),
    };
    let sizes = [
        (5000 / part, 1, FileDetail::None, Duration::from_secs(2)),
        (600, 100 / part, FileDetail::All, Duration::from_secs(3)),
    ];
    for (paths, files, detail, limit) in sizes {
        let gathered = gathered(paths, files);
        for format in FORMATS {
            let start = Instant::now();
            let bytes = write(&gathered, detail, format);
            let took = start.elapsed();
            println!(
                "{paths} store paths, {} files listed, {format}: {:.0} ms, {} kB",
                if detail == FileDetail::All {
                    paths * files
                } else {
                    0
                },
                took.as_secs_f64() * 1e3,
                bytes / 1000
            );
            assert!(!is_bench || took < limit, "{format} takes too long");
        }
    }
    let memory = peak_memory_kib();
    println!(
        "at most {} MB of memory, with the facts themselves",
        memory / 1000
    );
    assert!(!is_bench || memory < MAX_MEMORY_KIB, "too much memory");
}

fn write(gathered: &Gathered, files: FileDetail, format: DocumentFormat) -> usize {
    let requested = [gathered.parts[gathered.parts.len() - 1].info.path.clone()];
    let inputs = BillInputs {
        subject: &Subject::closure("large", Some("1")),
        requested: &requested,
        gathered,
        unobserved: &BTreeSet::new(),
        texts: &BTreeMap::new(),
    };
    let options = BillOptions {
        files,
        ..BillOptions::default()
    };
    Bill::new(&inputs, &options).write(format).unwrap().len()
}

/// A large closure of which each store path has as many files.
fn gathered(paths: usize, files: usize) -> Gathered {
    let infos = large_closure(paths, |number| Component {
        name: format!("software-{number}"),
        version: Some("1.2.3".to_owned()),
        license: Some("MIT OR Apache-2.0".to_owned()),
        homepage: Some(format!("https://software.example/{number}")),
        description: Some("A library for something".to_owned()),
        ..Component::default()
    });
    let parts = infos.into_iter().map(|info| Part {
        facts: Some(facts(files)),
        info,
    });
    Gathered {
        parts: parts.collect(),
        ..Gathered::default()
    }
}

fn facts(files: usize) -> Facts {
    let file = |number: usize| FileFacts {
        path: format!("share/directory/file-{number:05}"),
        size: 1000,
        executable: number == 0,
        sha256: format!("{number:064x}"),
        sha1: format!("{number:040x}"),
        sha512: format!("{number:0128x}"),
    };
    Facts {
        files: (0..files).map(file).collect(),
        ..Facts::default()
    }
}

fn peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number.unwrap().parse().unwrap()
}
