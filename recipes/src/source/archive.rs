//! Debian's archive: its signed indexes, from a mirror or from what was fetched before.
//!
//! An `InRelease` is believed for its signature, whoever served it; a `Packages` file for the digest that a release
//! promises. Both are kept in one directory, release files by suite and indexes by digest, and are checked whenever they
//! are read.

use std::fs;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, UNIX_EPOCH};

use sha2::Digest as _;

use super::deb::{DebError, DebFile, read_file};
use super::{AttemptError, FetchError, FetchRequest, Fetcher, MirrorError};
use crate::debian::{IndexText, Keyring, LockedSuite, Release, ReleaseError, SignatureError};
use crate::event::{Event, StepId};
use crate::model::{ContentDigest, Location};

/// The largest release file; Debian's have 150 kB.
const MAX_RELEASE_BYTES: u64 = 8 << 20;
/// The largest index, decompressed; Debian's have 50 MB.
const MAX_INDEX_BYTES: u64 = 1 << 30;
/// The part of a suite that is read.
const COMPONENT: &str = "main";
/// The index of packages that can be installed.
const PACKAGES: &str = "Packages.xz";
/// The index of what they are built from.
const SOURCES: &str = "Sources.xz";

/// The package that carries the keys of Debian's archive, and the file in it.
const KEYRING_DEB: (&str, &str) = (
    "pool/main/d/debian-archive-keyring/debian-archive-keyring_2023.3+deb12u2_all.deb",
    "f699e2f88dca05212f2a452b58475f2993cb6993dfbafb1d0205a3291eb8b4b8",
);
const KEYRING_FILE: &str = "usr/share/keyrings/debian-archive-keyring.gpg";

/// One suite to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// The mirror that has it.
    pub mirror: String,
    /// Its name.
    pub name: String,
    /// Whether nothing can be done without it.
    pub need: Need,
}

/// Whether a suite has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// An error where no mirror has it.
    Required,
    /// Left out where the machine has no such mirror or the mirror has no such suite.
    IfThere,
}

impl Suite {
    /// Returns the suites of Debian 12: the release itself, its updates and its security updates.
    pub fn bookworm() -> Vec<Self> {
        let suite = |mirror: &str, name: &str, need| Self {
            mirror: mirror.to_owned(),
            name: name.to_owned(),
            need,
        };
        vec![
            suite("debian", "bookworm", Need::Required),
            suite("debian", "bookworm-updates", Need::IfThere),
            suite("debian-security", "bookworm-security", Need::IfThere),
        ]
    }
}

/// What the suites say at one time.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The indexes, in the order of the suites.
    pub indexes: Vec<IndexText>,
    /// What a lock file says about them, in the same order.
    pub suites: Vec<LockedSuite>,
    /// The suites that are not there, with the reason.
    pub left_out: Vec<(String, String)>,
}

/// Why an index could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It could not be fetched, or was not what the release promises.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// A release is not signed by a key of the keyring.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// A release has expired, or is another suite's.
    #[error(transparent)]
    Release(#[from] ReleaseError),
    /// The package with the keys is none.
    #[error("cannot take the keys of Debian's archive out of `{package}`")]
    Keys {
        /// The package.
        package: String,
        /// Why.
        #[source]
        source: Option<DebError>,
    },
    /// An index has the right digest and cannot be decompressed.
    #[error("the index of `{suite}` cannot be decompressed")]
    Compression {
        /// The suite.
        suite: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// An index is no UTF-8.
    #[error("the index of `{suite}` is not UTF-8")]
    Text {
        /// The suite.
        suite: String,
    },
    /// What was fetched could not be kept.
    #[error("cannot use `{}`", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Reads suites. Blocks; nothing is kept open.
pub struct Archive<'a> {
    /// Fetches what is not there.
    pub fetcher: &'a Fetcher,
    /// The directory of what was fetched before; made if it is not there.
    pub directory: &'a Path,
    /// The time, in seconds since 1970.
    pub now: u64,
    /// How old a release file may be that is taken without asking a mirror.
    pub max_age: Duration,
    /// Is told of transfers.
    pub events: &'a (dyn Fn(Event) + Sync),
    /// Stops them.
    pub cancel: &'a AtomicBool,
}

impl std::fmt::Debug for Archive<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Archive")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

impl Archive<'_> {
    /// Returns the keys by which Debian signs, from a package whose digest is part of this program.
    pub fn debian_keyring(&self) -> Result<Keyring, ArchiveError> {
        let (path, digest) = KEYRING_DEB;
        let name = path.rsplit('/').next().unwrap_or(path);
        let broken = |source| ArchiveError::Keys {
            package: name.to_owned(),
            source,
        };
        let location = Location::default();
        let digest = ContentDigest::sha256_from_hex(digest).map_err(|_| broken(None))?;
        let urls = [format!("mirror://debian/{path}")];
        self.blob(name, &urls, &digest, &location)?;
        let deb = DebFile {
            name: name.to_owned(),
            path: self.blob_path(&digest),
        };
        let keys = read_file(&deb, KEYRING_FILE).map_err(|error| broken(Some(error)))?;
        Ok(Keyring::read(
            KEYRING_FILE,
            &keys.ok_or_else(|| broken(None))?,
        )?)
    }

    /// Reads suites for one architecture.
    pub fn load(
        &self,
        suites: &[Suite],
        keyring: &Keyring,
        architecture: &str,
    ) -> Result<Snapshot, ArchiveError> {
        self.load_indexes(suites, keyring, &format!("binary-{architecture}"), PACKAGES)
    }

    /// Reads which source packages suites have; a suite that lists none is left out.
    pub fn load_sources(
        &self,
        suites: &[Suite],
        keyring: &Keyring,
    ) -> Result<Snapshot, ArchiveError> {
        self.load_indexes(suites, keyring, "source", SOURCES)
    }

    fn load_indexes(
        &self,
        suites: &[Suite],
        keyring: &Keyring,
        folder: &str,
        file: &str,
    ) -> Result<Snapshot, ArchiveError> {
        let mut snapshot = Snapshot::default();
        for suite in suites {
            let (release, first_line) = match self.release(suite, keyring) {
                Ok(release) => release,
                Err(ArchiveError::Fetch(error))
                    if suite.need == Need::IfThere && is_absent(&error) =>
                {
                    let reason = error.to_string();
                    snapshot.left_out.push((suite.name.clone(), reason));
                    continue;
                }
                Err(error) => return Err(error),
            };
            let path = format!("{COMPONENT}/{folder}/{file}");
            let entry = match release.file(&path) {
                Err(error @ ReleaseError::NoFile { .. }) if file == SOURCES => {
                    let reason = error.to_string();
                    snapshot.left_out.push((suite.name.clone(), reason));
                    continue;
                }
                entry => entry?,
            };
            let location = Location {
                file: format!("dists/{}/InRelease", suite.name),
                line: u32::try_from(first_line + entry.line).unwrap_or(u32::MAX),
                column: 1,
            };
            let base = format!("mirror://{}/dists/{}", suite.mirror, suite.name);
            let hex = entry.digest.to_string().replace("sha256:", "");
            let mut urls = vec![format!("{base}/{path}")];
            if release.by_hash {
                let by_hash = format!("{base}/{COMPONENT}/{folder}/by-hash/SHA256/{hex}");
                urls.insert(0, by_hash);
            }
            let name = format!("{} {file}", suite.name);
            let packed = self.blob(&name, &urls, &entry.digest, &location)?;
            snapshot.indexes.push(IndexText {
                suite: suite.name.clone(),
                mirror: suite.mirror.clone(),
                text: decompress(&suite.name, &packed)?,
            });
            snapshot.suites.push(LockedSuite {
                name: suite.name.clone(),
                mirror: suite.mirror.clone(),
                date: release.date_text(),
                index: entry.digest,
            });
        }
        Ok(snapshot)
    }

    /// Returns a suite's release, and how many lines its file has before the signed text.
    fn release(&self, suite: &Suite, keyring: &Keyring) -> Result<(Release, usize), ArchiveError> {
        let file = format!("dists/{}/InRelease", suite.name);
        let check = |bytes: &[u8]| -> Result<(Release, usize), ArchiveError> {
            let text = keyring.verify(&file, bytes, self.now)?;
            let before = bytes
                .split(|byte| *byte == b'\n')
                .position(<[u8]>::is_empty);
            Ok((
                Release::parse(&suite.name, &text, self.now)?,
                before.map_or(0, |line| line + 1),
            ))
        };
        let kept = self
            .directory
            .join(format!("{}.{}.InRelease", suite.mirror, suite.name));
        let age = fs::metadata(&kept).ok().and_then(|metadata| {
            let modified = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
            Some(Duration::from_secs(
                self.now.saturating_sub(modified.as_secs()),
            ))
        });
        let read = || fs::read(&kept).map_err(at(&kept));
        if age.is_some_and(|age| age < self.max_age)
            && let Ok(release) = check(&read()?)
        {
            return Ok(release);
        }
        let url = format!("mirror://{}/{file}", suite.mirror);
        match self
            .fetcher
            .fetch_unverified(&file, &url, MAX_RELEASE_BYTES, self.cancel)
        {
            Ok(bytes) => {
                let release = check(&bytes)?;
                self.keep(&kept, &bytes)?;
                Ok(release)
            }
            // What is here is as good as its date says.
            Err(FetchError::Offline { .. }) if age.is_some() => check(&read()?),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the bytes of a file whose digest is known, and keeps them.
    fn blob(
        &self,
        name: &str,
        urls: &[String],
        digest: &ContentDigest,
        location: &Location,
    ) -> Result<Vec<u8>, ArchiveError> {
        let kept = self.blob_path(digest);
        if let Ok(bytes) = fs::read(&kept)
            && sha2::Sha256::digest(&bytes).as_slice() == digest.as_bytes()
        {
            return Ok(bytes);
        }
        fs::create_dir_all(self.directory).map_err(at(self.directory))?;
        let request = FetchRequest {
            name,
            urls,
            digest,
            location,
            step: StepId(0),
        };
        let download = self
            .fetcher
            .fetch(&request, self.directory, self.events, self.cancel)?;
        let bytes = fs::read(download.path()).map_err(at(download.path()))?;
        self.keep(&kept, &bytes)?;
        download.remove()?;
        Ok(bytes)
    }

    fn blob_path(&self, digest: &ContentDigest) -> PathBuf {
        self.directory.join(digest.to_string().replace(':', "-"))
    }

    /// Puts a file in its place in one step. A crash may lose it, and then it is fetched again.
    fn keep(&self, path: &Path, bytes: &[u8]) -> Result<(), ArchiveError> {
        fs::create_dir_all(self.directory).map_err(at(self.directory))?;
        let mut file = tempfile::NamedTempFile::new_in(self.directory).map_err(at(path))?;
        file.write_all(bytes).map_err(at(path))?;
        file.persist(path).map_err(|error| at(path)(error.error))?;
        Ok(())
    }
}

/// Whether nobody offers the file, as opposed to somebody who does not answer.
fn is_absent(error: &FetchError) -> bool {
    match error {
        FetchError::Unavailable { attempts, .. } => attempts.iter().all(|attempt| {
            matches!(
                attempt.reason,
                AttemptError::Mirror(MirrorError::Unknown { .. })
                    | AttemptError::Status {
                        code: 404 | 410,
                        ..
                    }
            )
        }),
        _ => false,
    }
}

fn decompress(suite: &str, packed: &[u8]) -> Result<String, ArchiveError> {
    let mut text = Vec::new();
    let reader = liblzma::read::XzDecoder::new(packed);
    let read = reader.take(MAX_INDEX_BYTES).read_to_end(&mut text);
    read.map_err(|source| ArchiveError::Compression {
        suite: suite.to_owned(),
        source,
    })?;
    String::from_utf8(text).map_err(|_| ArchiveError::Text {
        suite: suite.to_owned(),
    })
}

fn at(path: &Path) -> impl Fn(io::Error) -> ArchiveError {
    move |source| ArchiveError::File {
        path: path.to_owned(),
        source,
    }
}
