//! What clients pushed: a directory of blobs, and of names that have some of them.
//!
//! ```text
//! lock                                     held by the server that has the directory
//! blobs/<algorithm>/<hex>                  bytes; their name is their digest
//! names/<name>/_blobs/<algorithm>-<hex>    empty: the repository has this blob
//! names/<name>/_manifests/<algorithm>-<hex>    the media type: the repository has this manifest, whose bytes are a blob
//! names/<name>/_tags/<tag>                 the digest of a manifest
//! names/<name>/_subjects/<algorithm>-<hex>/<algorithm>-<hex>    the descriptor of a manifest about the first digest
//! uploads/<id>                             a blob that is coming
//! ```
//!
//! Names of repositories have no component that begins with an underscore, so the two kinds of directories never meet.
//!
//! **Invariant.** A file is written beside its place, made durable and renamed, bytes before what names them. A blob that a repository has, or a manifest of it, has its bytes.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use nix::fcntl::{Flock, FlockArg};
use serde_json::Value;

use super::{
    depot_error::{DepotError, at},
    document::Document,
    facts::Facts,
    route::{AnyDigest, Reference},
};

/// How long an upload may lie that nobody continues.
const UPLOAD_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Uploads at once: each may be as long as a blob.
const MAX_UPLOADS: usize = 1000;
/// Manifests that may be about one other.
const MAX_REFERRERS: usize = 4096;
/// Bytes that are read of a blob at once.
const BLOCK: usize = 1 << 20;

/// What clients pushed. Used by several threads at once.
#[derive(Debug)]
pub struct Depot {
    directory: PathBuf,
    /// Held to write by who takes bytes away, and to read by who relies on them.
    bytes: RwLock<()>,
    _lock: Flock<File>,
}

impl Depot {
    /// Opens the directory, which is made where there is none. Uploads that nobody has continued for a day go.
    pub fn open(directory: &Path) -> Result<Self, DepotError> {
        for below in ["blobs/sha256", "blobs/sha512", "names", "uploads"] {
            let path = directory.join(below);
            fs::create_dir_all(&path).map_err(at("create", &path))?;
        }
        let path = directory.join("lock");
        let file = File::create(&path).map_err(at("create", &path))?;
        let lock =
            Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(
                |(_, errno)| match errno {
                    nix::errno::Errno::EWOULDBLOCK => DepotError::InUse {
                        path: directory.to_path_buf(),
                    },
                    errno => at("lock", &path)(errno.into()),
                },
            )?;
        let depot = Self {
            directory: directory.to_path_buf(),
            bytes: RwLock::new(()),
            _lock: lock,
        };
        depot.forget_old_uploads()?;
        Ok(depot)
    }

    /// Returns how many are left.
    fn forget_old_uploads(&self) -> Result<usize, DepotError> {
        let mut left = 0;
        let uploads = self.directory.join("uploads");
        let now = SystemTime::now();
        for entry in fs::read_dir(&uploads).map_err(at("list", &uploads))? {
            let path = entry.map_err(at("list", &uploads))?.path();
            let changed = fs::metadata(&path).and_then(|metadata| metadata.modified());
            let age = changed.ok().and_then(|then| now.duration_since(then).ok());
            if age.is_some_and(|age| age > UPLOAD_KEPT) {
                remove(&path)?;
            } else {
                left += 1;
            }
        }
        Ok(left)
    }

    fn of(&self, name: &str, kind: &str) -> PathBuf {
        self.directory.join("names").join(name).join(kind)
    }

    fn blob_path(&self, digest: &AnyDigest) -> PathBuf {
        let blobs = self.directory.join("blobs");
        blobs.join(digest.algorithm().name()).join(digest.hex())
    }

    /// Whether anything was pushed under this name.
    pub(super) fn has_name(&self, name: &str) -> bool {
        ["_manifests", "_blobs", "_tags"]
            .iter()
            .any(|kind| self.of(name, kind).is_dir())
    }

    /// Opens a blob of a repository; `None` if it has none of this digest.
    pub(super) fn open_blob(
        &self,
        name: &str,
        digest: &AnyDigest,
    ) -> Result<Option<(File, u64)>, DepotError> {
        let _relied = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        if !self.of(name, "_blobs").join(digest.file_name()).exists() {
            return Ok(None);
        }
        let path = self.blob_path(digest);
        let file = File::open(&path).map_err(at("open", &path))?;
        let size = file.metadata().map_err(at("inspect", &path))?.len();
        Ok(Some((file, size)))
    }

    /// Begins an upload and returns what it is called; `None` while there are too many.
    pub(super) fn begin_upload(&self) -> Result<Option<String>, DepotError> {
        if self.forget_old_uploads()? >= MAX_UPLOADS {
            return Ok(None);
        }
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(DepotError::Randomness)?;
        let id: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.directory.join("uploads").join(&id);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        options.open(&path).map_err(at("create", &path))?;
        Ok(Some(id))
    }

    /// Opens an upload, which nobody else may write to as long as the file is open; `None` if there is none, or somebody else writes to it.
    pub(super) fn open_upload(&self, id: &str) -> Result<Option<OpenUpload>, DepotError> {
        let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        let path = self.directory.join("uploads").join(id);
        if !is_id {
            return Ok(None);
        }
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(at("open", &path)(error)),
        };
        let Ok(file) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else {
            return Ok(None);
        };
        let found = file.metadata().map_err(at("inspect", &path))?;
        // Who had it until now may have made it a blob since it was opened.
        let is_there = fs::metadata(&path)
            .is_ok_and(|now| (now.dev(), now.ino()) == (found.dev(), found.ino()));
        let length = found.len();
        Ok(is_there.then_some(OpenUpload { file, path, length }))
    }

    /// Makes an upload a blob of a repository. Returns the digest that it has, where that is another one; the upload is gone then, too.
    pub(super) fn finish_upload(
        &self,
        upload: OpenUpload,
        name: &str,
        digest: &AnyDigest,
    ) -> Result<Option<AnyDigest>, DepotError> {
        let found = upload.digest(digest)?;
        if found != *digest {
            fs::remove_file(&upload.path).map_err(at("remove", &upload.path))?;
            return Ok(Some(found));
        }
        upload.file.sync_all().map_err(at("write", &upload.path))?;
        let _relied = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        let path = self.blob_path(digest);
        fs::rename(&upload.path, &path).map_err(at("create", &path))?;
        sync_parent(&path)?;
        self.note_blob(name, digest)?;
        Ok(None)
    }

    fn note_blob(&self, name: &str, digest: &AnyDigest) -> Result<(), DepotError> {
        write_file(&self.of(name, "_blobs").join(digest.file_name()), &[])
    }

    /// Gives a repository a blob of another one, or of any. Tells whether it is there.
    pub(super) fn mount(
        &self,
        name: &str,
        digest: &AnyDigest,
        from: Option<&str>,
    ) -> Result<bool, DepotError> {
        let _relied = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        let is_there = match from {
            Some(from) => self.of(from, "_blobs").join(digest.file_name()).exists(),
            None => self.blob_path(digest).exists(),
        };
        if is_there {
            self.note_blob(name, digest)?;
        }
        Ok(is_there)
    }

    /// Whether there may be no more manifests about a digest.
    pub(super) fn is_crowded(&self, name: &str, subject: &AnyDigest) -> Result<bool, DepotError> {
        let about = self.of(name, "_subjects").join(subject.file_name());
        Ok(list(&about)?.len() >= MAX_REFERRERS)
    }

    /// Takes a manifest whose blobs are there. Returns the first blob that is not.
    pub(super) fn put_manifest(
        &self,
        name: &str,
        document: &Document,
        tag: Option<&str>,
        facts: &Facts,
    ) -> Result<Option<AnyDigest>, DepotError> {
        let _relied = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        let blobs = self.of(name, "_blobs");
        let missing = facts
            .blobs
            .iter()
            .find(|digest| !blobs.join(digest.file_name()).exists());
        if let Some(missing) = missing {
            return Ok(Some(missing.clone()));
        }
        let digest = &document.digest;
        let file_name = digest.file_name();
        write_file(&self.blob_path(digest), &document.bytes)?;
        if let Some(subject) = &facts.subject {
            let about = self.of(name, "_subjects").join(subject.file_name());
            let descriptor = facts.descriptor.to_string();
            write_file(&about.join(&file_name), descriptor.as_bytes())?;
        }
        let place = self.of(name, "_manifests").join(&file_name);
        write_file(&place, document.media_type.as_bytes())?;
        if let Some(tag) = tag {
            let place = self.of(name, "_tags").join(tag);
            write_file(&place, digest.to_string().as_bytes())?;
        }
        Ok(None)
    }

    /// Returns a manifest; `None` if the repository has none.
    pub(super) fn manifest(
        &self,
        name: &str,
        reference: &Reference,
    ) -> Result<Option<Document>, DepotError> {
        let _relied = self.bytes.read().unwrap_or_else(PoisonError::into_inner);
        let digest = match reference {
            Reference::Digest(digest) => digest.clone(),
            Reference::Tag(tag) => {
                let text = read_file(&self.of(name, "_tags").join(tag))?;
                match text.and_then(|text| text.parse().ok()) {
                    Some(digest) => digest,
                    None => return Ok(None),
                }
            }
        };
        let place = self.of(name, "_manifests").join(digest.file_name());
        let Some(media_type) = read_file(&place)? else {
            return Ok(None);
        };
        let path = self.blob_path(&digest);
        let bytes = fs::read(&path).map_err(at("read", &path))?;
        Ok(Some(Document {
            media_type,
            digest,
            bytes,
        }))
    }

    /// Returns the tags of a repository, in no order.
    pub(super) fn tags(&self, name: &str) -> Result<Vec<String>, DepotError> {
        list(&self.of(name, "_tags"))
    }

    /// Returns the descriptors of the manifests about a digest, by their digests.
    pub(super) fn referrers(
        &self,
        name: &str,
        subject: &AnyDigest,
    ) -> Result<Vec<Value>, DepotError> {
        let directory = self.of(name, "_subjects").join(subject.file_name());
        let mut names = list(&directory)?;
        names.sort();
        let mut found = Vec::with_capacity(names.len());
        for name in names {
            let text = read_file(&directory.join(name))?;
            found.extend(text.and_then(|text| serde_json::from_str(&text).ok()));
        }
        Ok(found)
    }

    /// Forgets a tag. Tells whether there was one.
    pub(super) fn forget_tag(&self, name: &str, tag: &str) -> Result<bool, DepotError> {
        remove(&self.of(name, "_tags").join(tag))
    }

    /// Forgets a manifest, its tags, and what it says about another. Tells whether there was one.
    pub(super) fn forget_manifest(
        &self,
        name: &str,
        digest: &AnyDigest,
    ) -> Result<bool, DepotError> {
        let _alone = self.bytes.write().unwrap_or_else(PoisonError::into_inner);
        let text = digest.to_string();
        for tag in self.tags(name)? {
            let place = self.of(name, "_tags").join(tag);
            if read_file(&place)?.is_some_and(|found| found == text) {
                remove(&place)?;
            }
        }
        let subjects = self.of(name, "_subjects");
        for subject in list(&subjects)? {
            remove(&subjects.join(subject).join(digest.file_name()))?;
        }
        let place = self.of(name, "_manifests").join(digest.file_name());
        let was_there = remove(&place)?;
        self.forget_bytes(digest)?;
        Ok(was_there)
    }

    /// Takes a blob from a repository. Tells whether it had it.
    pub(super) fn forget_blob(&self, name: &str, digest: &AnyDigest) -> Result<bool, DepotError> {
        let _alone = self.bytes.write().unwrap_or_else(PoisonError::into_inner);
        let was_there = remove(&self.of(name, "_blobs").join(digest.file_name()))?;
        self.forget_bytes(digest)?;
        Ok(was_there)
    }

    /// Removes bytes that no repository has.
    fn forget_bytes(&self, digest: &AnyDigest) -> Result<(), DepotError> {
        let file_name = digest.file_name();
        let mut directories = vec![self.directory.join("names")];
        while let Some(directory) = directories.pop() {
            for kind in ["_blobs", "_manifests"] {
                if directory.join(kind).join(&file_name).exists() {
                    return Ok(());
                }
            }
            let below = list(&directory)?;
            let below = below.into_iter().filter(|name| !name.starts_with('_'));
            directories.extend(below.map(|name| directory.join(name)));
        }
        remove(&self.blob_path(digest)).map(drop)
    }
}

/// An upload that nobody else writes to.
#[derive(Debug)]
pub(super) struct OpenUpload {
    file: Flock<File>,
    path: PathBuf,
    length: u64,
}

impl OpenUpload {
    /// How many bytes there are.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), DepotError> {
        self.file
            .write_all_at(bytes, self.length)
            .map_err(at("write", &self.path))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what came after `length`, of a chunk that did not come whole.
    pub(super) fn shorten(&mut self, length: u64) -> Result<(), DepotError> {
        self.file.set_len(length).map_err(at("write", &self.path))?;
        self.length = length;
        Ok(())
    }

    pub(super) fn forget(self) -> Result<(), DepotError> {
        fs::remove_file(&self.path).map_err(at("remove", &self.path))
    }

    fn digest(&self, like: &AnyDigest) -> Result<AnyDigest, DepotError> {
        let mut hasher = like.algorithm().hasher();
        let mut block = vec![0; BLOCK];
        let mut offset = 0;
        loop {
            let count = self
                .file
                .read_at(&mut block, offset)
                .map_err(at("read", &self.path))?;
            if count == 0 {
                return Ok(hasher.finish());
            }
            hasher.update(&block[..count]);
            offset += count as u64;
        }
    }
}

/// Returns the names in a directory; none if it is not there.
fn list(directory: &Path) -> Result<Vec<String>, DepotError> {
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(at("list", directory)(error)),
    };
    let mut names = BTreeSet::new();
    for entry in entries {
        let entry = entry.map_err(at("list", directory))?;
        // What is being written has a name that no tag and no digest has.
        names.extend(
            entry
                .file_name()
                .into_string()
                .ok()
                .filter(|name| !name.starts_with('.')),
        );
    }
    Ok(names.into_iter().collect())
}

fn read_file(path: &Path) -> Result<Option<String>, DepotError> {
    let mut text = String::new();
    match File::open(path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => Ok(Some(text)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(at("read", path)(error)),
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), DepotError> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    fs::create_dir_all(parent).map_err(at("create", parent))?;
    let mut file = tempfile::Builder::new()
        .prefix(".")
        .tempfile_in(parent)
        .map_err(at("create", path))?;
    file.write_all(bytes).map_err(at("write", path))?;
    file.as_file().sync_all().map_err(at("write", path))?;
    file.persist(path)
        .map_err(|error| at("create", path)(error.error))?;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> Result<(), DepotError> {
    let parent = path.parent().unwrap_or(path);
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(at("write", parent))
}

fn remove(path: &Path) -> Result<bool, DepotError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(at("remove", path)(error)),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
