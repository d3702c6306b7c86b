//! Reading databases: in parallel, and keeping only what is looked for.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{self, BufReader, Read, Seek as _},
    path::{Path, PathBuf},
};

use chrono::{DateTime, NaiveDate, Utc};
use rayon::prelude::*;
use zip::ZipArchive;

use super::{
    DatabaseKind, Snapshot, Unreadable, Wanted, osv,
    record::{Record, RecordError},
    rustsec, tracker,
};
use crate::vulns::{Advisory, Key};

/// A record is some kilobytes; one with every version of a large project a megabyte.
const MAX_RECORD_BYTES: u64 = 64 << 20;
/// Records that one thread reads before it hands on what it found.
const CHUNK: usize = 512;
/// How deep directories of records lie in each other.
const MAX_DEPTH: usize = 16;

/// What databases say of some software.
#[derive(Debug, Clone, Default)]
pub struct Database {
    /// What was read, in the order in which it was named.
    pub snapshots: Vec<Snapshot>,
    /// The records that are about something that was looked for, by database and id.
    pub advisories: Vec<Advisory>,
}

/// Why a database cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// A file or a directory cannot be read.
    #[error("cannot read `{}`", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is a damaged archive.
    #[error("`{}` is a damaged archive", .path.display())]
    Zip {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: zip::result::ZipError,
    },
    /// The file is no database of a known format.
    #[error("`{}` is no database of a known format: a directory or a zip archive of OSV records, RustSec's directory, or the JSON of Debian's tracker", .path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
    },
    /// The file has another shape than its format.
    #[error("`{}` cannot be read to its end", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// Directories lie too deep in each other.
    #[error("`{}` has directories that are more than {MAX_DEPTH} deep", .path.display())]
    Deep {
        /// The directory.
        path: PathBuf,
    },
}

impl Database {
    /// Reads databases: directories or zip archives of OSV records, RustSec's directory, the JSON of Debian's tracker.
    ///
    /// All of each is read, and counted; of what is in it, memory is taken only for what `wanted` wants and for a digest and a path of each file.
    pub fn load(paths: &[PathBuf], wanted: &Wanted) -> Result<Self, DatabaseError> {
        let mut found = Self::default();
        for (index, path) in paths.iter().enumerate() {
            let (snapshot, advisories) = read(path, wanted, index)?;
            found.snapshots.push(snapshot);
            found.advisories.extend(advisories);
        }
        Ok(found)
    }
}

fn read(
    path: &Path,
    wanted: &Wanted,
    database: usize,
) -> Result<(Snapshot, Vec<Advisory>), DatabaseError> {
    let io_error = |source| DatabaseError::Io {
        path: path.to_path_buf(),
        source,
    };
    let reader = Reader { wanted, database };
    if fs::metadata(path).map_err(io_error)?.is_dir() {
        let mut files = Vec::new();
        list(path, PathBuf::new(), 0, &mut files)?;
        files.sort_unstable();
        let parts: Result<Vec<Part>, DatabaseError> = files
            .par_chunks(CHUNK)
            .map(|files| reader.read_files(path, files))
            .collect();
        return Ok(finish(path, DatabaseKind::Directory, None, parts?));
    }
    let mut file = File::open(path).map_err(io_error)?;
    let mut head = Vec::new();
    let looked_at = 4096;
    file.by_ref()
        .take(looked_at)
        .read_to_end(&mut head)
        .map_err(io_error)?;
    file.rewind().map_err(io_error)?;
    if head.starts_with(b"PK") {
        drop(file);
        let digest = digest_of(path).map_err(io_error)?;
        let parts = reader.read_zip(path)?;
        return Ok(finish(path, DatabaseKind::Zip, Some(digest), parts));
    }
    match first_key(&head) {
        Some(key) if OSV_KEYS.contains(&key) => {
            let name = path.file_name().map(PathBuf::from).unwrap_or_default();
            let parent = path.parent().unwrap_or(Path::new(""));
            let part = reader.read_files(parent, &[name])?;
            let digest = digest_of(path).map_err(io_error)?;
            Ok(finish(path, DatabaseKind::Osv, Some(digest), vec![part]))
        }
        Some(_) => reader.read_tracker(path, file),
        // An empty object is an empty tracker.
        None if head.trim_ascii() == b"{}" => reader.read_tracker(path, file),
        None => Err(DatabaseError::Unknown {
            path: path.to_path_buf(),
        }),
    }
}

/// The fields with which an OSV record may begin; no source package of Debian is called so.
const OSV_KEYS: [&str; 15] = [
    "schema_version",
    "id",
    "modified",
    "published",
    "withdrawn",
    "aliases",
    "related",
    "upstream",
    "summary",
    "details",
    "severity",
    "affected",
    "references",
    "credits",
    "database_specific",
];

/// The name of the first field of a JSON object.
fn first_key(head: &[u8]) -> Option<&str> {
    let rest = head.trim_ascii_start().strip_prefix(b"{")?;
    let rest = rest.trim_ascii_start().strip_prefix(b"\"")?;
    let end = rest.iter().position(|byte| *byte == b'"')?;
    std::str::from_utf8(rest.get(..end)?).ok()
}

/// Lists the files below a directory that may be records. Hidden ones are none, and links to directories are not followed.
fn list(
    root: &Path,
    below: PathBuf,
    depth: usize,
    files: &mut Vec<PathBuf>,
) -> Result<(), DatabaseError> {
    let path = root.join(&below);
    if depth > MAX_DEPTH {
        return Err(DatabaseError::Deep { path });
    }
    let io_error = |source| DatabaseError::Io {
        path: path.clone(),
        source,
    };
    for entry in fs::read_dir(&path).map_err(io_error)? {
        let entry = entry.map_err(io_error)?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().map_err(io_error)?;
        let place = below.join(&name);
        if kind.is_dir() {
            list(root, place, depth + 1, files)?;
        } else if is_record(&place) {
            files.push(place);
        }
    }
    Ok(())
}

fn is_record(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "json" || extension == "md")
}

/// What one thread found in some files.
#[derive(Default)]
struct Part {
    advisories: Vec<Advisory>,
    records: u64,
    newest: Option<NaiveDate>,
    domains: BTreeMap<String, u64>,
    /// The repositories and products without a register that records name.
    upstream: HashSet<Key>,
    unreadable: Option<Unreadable>,
    /// A line for each file, for the digest of the whole.
    lines: String,
}

impl Part {
    fn add(&mut self, name: &str, result: Result<Record, RecordError>) {
        match result {
            Ok(record) => {
                self.records += 1;
                self.newest = self.newest.max(record.modified.as_deref().and_then(day));
                for domain in record.domains {
                    *self.domains.entry(domain).or_default() += 1;
                }
                self.upstream.extend(record.upstream);
                self.advisories.extend(record.advisory);
            }
            Err(error) => {
                let unreadable = self.unreadable.get_or_insert_with(|| Unreadable {
                    files: 0,
                    first: name.to_owned(),
                    reason: error
                        .to_string()
                        .lines()
                        .next()
                        .unwrap_or_default()
                        .to_owned(),
                });
                unreadable.files += 1;
            }
        }
    }
}

/// The day of a date or a time.
fn day(text: &str) -> Option<NaiveDate> {
    text.get(..10)?.parse().ok()
}

struct Reader<'a> {
    wanted: &'a Wanted,
    database: usize,
}

impl Reader<'_> {
    fn read_files(&self, root: &Path, files: &[PathBuf]) -> Result<Part, DatabaseError> {
        let mut part = Part::default();
        let mut bytes = Vec::new();
        for name in files {
            let path = root.join(name);
            bytes.clear();
            File::open(&path)
                .and_then(|file| file.take(MAX_RECORD_BYTES).read_to_end(&mut bytes))
                .map_err(|source| DatabaseError::Io { path, source })?;
            let text = name.to_string_lossy();
            let digest = blake3::hash(&bytes).to_hex();
            part.lines.push_str(&digest);
            part.lines.push_str("  ");
            part.lines.push_str(&text);
            part.lines.push('\n');
            let is_page = name.extension().is_some_and(|extension| extension == "md");
            if !is_page {
                part.add(&text, osv::parse(&bytes, self.wanted, self.database));
            } else if rustsec::is_advisory(&bytes) {
                part.add(&text, rustsec::parse(&bytes, self.wanted, self.database));
            }
        }
        Ok(part)
    }

    /// Reads a zip archive, each thread its own part of it.
    fn read_zip(&self, path: &Path) -> Result<Vec<Part>, DatabaseError> {
        let zip_error = |source| DatabaseError::Zip {
            path: path.to_path_buf(),
            source,
        };
        let open = || {
            let file = File::open(path).map_err(|source| DatabaseError::Io {
                path: path.to_path_buf(),
                source,
            })?;
            ZipArchive::new(BufReader::new(file)).map_err(zip_error)
        };
        let count = open()?.len();
        let threads = rayon::current_num_threads().max(1);
        let share = count.div_ceil(threads).max(1);
        let starts: Vec<usize> = (0..count).step_by(share).collect();
        let read_share = |start: usize| {
            let mut archive = open()?;
            let mut part = Part::default();
            let mut bytes = Vec::new();
            for index in start..(start + share).min(count) {
                let member = archive.by_index(index).map_err(zip_error)?;
                let name = member.name().to_owned();
                if !member.is_file() || !name.ends_with(".json") {
                    continue;
                }
                bytes.clear();
                let read = member.take(MAX_RECORD_BYTES).read_to_end(&mut bytes);
                match read {
                    Ok(_) => part.add(&name, osv::parse(&bytes, self.wanted, self.database)),
                    Err(source) => return Err(zip_error(zip::result::ZipError::Io(source))),
                }
            }
            Ok(part)
        };
        starts.into_par_iter().map(read_share).collect()
    }

    fn read_tracker(
        &self,
        path: &Path,
        file: File,
    ) -> Result<(Snapshot, Vec<Advisory>), DatabaseError> {
        let io_error = |source| DatabaseError::Io {
            path: path.to_path_buf(),
            source,
        };
        let changed = file.metadata().and_then(|metadata| metadata.modified());
        let changed = changed.map_err(io_error)?;
        let mut reader = Hashing {
            inner: file,
            hasher: blake3::Hasher::new(),
        };
        let tracked = tracker::read(BufReader::new(&mut reader), self.wanted, self.database)
            .map_err(|source| DatabaseError::Damaged {
                path: path.to_path_buf(),
                source,
            })?;
        let domains = tracked.releases.into_iter();
        let snapshot = Snapshot {
            path: path.to_path_buf(),
            kind: DatabaseKind::DebianTracker,
            digest: format!("blake3:{}", reader.hasher.finalize()),
            records: tracked.records,
            newest: Some(DateTime::<Utc>::from(changed).date_naive()),
            dated_by_file: true,
            domains: domains
                .map(|(release, count)| (format!("Debian {release}"), count))
                .collect(),
            upstream: 0,
            unreadable: None,
        };
        Ok((snapshot, tracked.advisories))
    }
}

/// Hashes what is read through it.
struct Hashing {
    inner: File,
    hasher: blake3::Hasher,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

fn digest_of(path: &Path) -> io::Result<String> {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path)?)?;
    Ok(format!("blake3:{}", hasher.finalize()))
}

/// Puts together what the threads found, in the order of the files.
fn finish(
    path: &Path,
    kind: DatabaseKind,
    digest: Option<String>,
    parts: Vec<Part>,
) -> (Snapshot, Vec<Advisory>) {
    let mut hasher = blake3::Hasher::new();
    let mut whole = Part::default();
    for part in parts {
        hasher.update(part.lines.as_bytes());
        whole.records += part.records;
        whole.newest = whole.newest.max(part.newest);
        for (domain, count) in part.domains {
            *whole.domains.entry(domain).or_default() += count;
        }
        whole.upstream.extend(part.upstream);
        whole.unreadable = match (whole.unreadable, part.unreadable) {
            (Some(mut first), Some(second)) => {
                first.files += second.files;
                Some(first)
            }
            (first, second) => first.or(second),
        };
        whole.advisories.extend(part.advisories);
    }
    whole.advisories.sort_by(|a, b| a.id.cmp(&b.id));
    let snapshot = Snapshot {
        path: path.to_path_buf(),
        kind,
        digest: digest.unwrap_or_else(|| format!("blake3:{}", hasher.finalize())),
        records: whole.records,
        newest: whole.newest,
        dated_by_file: false,
        domains: whole.domains,
        upstream: whole.upstream.len() as u64,
        unreadable: whole.unreadable,
    };
    (snapshot, whole.advisories)
}
