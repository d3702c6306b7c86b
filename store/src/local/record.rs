//! Records under `var/meta`, from which the database can be rebuilt.
//!
//! `<aa>/<digest>` is the [`PathInfo`] of an object, `<aa>/<digest>.<16 digits>` a [`Realisation`] that ends in it, `<aa>/<digest>.signatures`
//! the [`Signatures`] that are known of it; `<aa>` are the first two digits. JSON on one line. After its line the record of an object has its
//! [`Contents`]: so what is damaged in an object can be named, and what is in a file of it be found, without reading the object. A record is in place
//! before its object is, and is never changed but by renaming a new one over it.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    os::fd::{AsFd, BorrowedFd},
    path::{Path, PathBuf},
};

use nix::errno::Errno;
use serde::{Serialize, de::DeserializeOwned};

use super::LocalStore;
use crate::{
    id::{PathDigest, ResolvedDigest, StorePath},
    info::{PathInfo, Realisation},
    sys::{
        FileError,
        change::{make_directory_at, rename_over, unlink_at, write_all},
        files::{
            at, create_file_at, is_present_at, list, modified_at, open_directory_at, open_file_at,
            os,
        },
    },
    tree::Contents,
    trust::Signatures,
};

/// What the name of a record of signatures ends in.
const SIGNATURES: &str = "signatures";

/// A record that lies in staging.
#[derive(Debug)]
pub(super) struct StagedRecord {
    /// Its name in staging.
    pub(super) staged: OsString,
    /// Its shard: the first two digits.
    pub(super) shard: String,
    /// Its final name in the shard.
    pub(super) name: String,
}

/// Writes the record of an object into staging.
pub(super) fn stage_info(
    staging: impl AsFd,
    number: usize,
    info: &PathInfo,
    contents: &Contents,
    path: &Path,
) -> Result<StagedRecord, FileError> {
    stage(
        staging,
        format!("info.{number}"),
        info.path.digest().to_string(),
        info,
        &contents.encode(),
        path,
    )
}

/// Writes the record of a realisation into staging.
pub(super) fn stage_realisation(
    staging: impl AsFd,
    number: usize,
    realisation: &Realisation,
    path: &Path,
) -> Result<StagedRecord, FileError> {
    stage(
        staging,
        format!("realisation.{number}"),
        name_of_realisation(realisation),
        realisation,
        &[],
        path,
    )
}

/// Writes the record of the signatures of an object into staging.
pub(super) fn stage_signatures(
    staging: impl AsFd,
    number: usize,
    digest: &PathDigest,
    signatures: &Signatures,
    path: &Path,
) -> Result<StagedRecord, FileError> {
    stage(
        staging,
        format!("signatures.{number}"),
        format!("{digest}.{SIGNATURES}"),
        signatures,
        &[],
        path,
    )
}

/// The name of the record of a realisation in its shard.
fn realisation_name(digest: &PathDigest, resolved: &ResolvedDigest, output: &str) -> String {
    let mut key = blake3::Hasher::new();
    key.update(resolved.as_bytes());
    key.update(output.as_bytes());
    let key = key.finalize().to_hex();
    format!("{digest}.{}", &key.as_str()[..16])
}

fn name_of_realisation(realisation: &Realisation) -> String {
    realisation_name(
        realisation.path.digest(),
        &realisation.resolved,
        &realisation.output,
    )
}

/// Where the record of an object lies below the records' directory.
pub(super) fn name(digest: &PathDigest) -> String {
    let digits = digest.to_string();
    format!("{}/{digits}", &digits[..2])
}

/// Where the record of the signatures of an object lies below the records' directory.
pub(super) fn signatures_name(digest: &PathDigest) -> String {
    name(digest) + "." + SIGNATURES
}

/// Tells whether an object has a record, which may say anything.
pub(super) fn is_recorded(meta: BorrowedFd<'_>, digest: &PathDigest) -> nix::Result<bool> {
    is_present_at(meta, os(name(digest).as_bytes()))
}

/// Removes the record of an object, if there is one.
pub(super) fn remove_info(meta: BorrowedFd<'_>, digest: &PathDigest) -> nix::Result<()> {
    remove_if_there(meta, &name(digest))
}

/// Removes the record of the signatures of an object, if there is one.
pub(super) fn remove_signatures(meta: BorrowedFd<'_>, digest: &PathDigest) -> nix::Result<()> {
    remove_if_there(meta, &signatures_name(digest))
}

impl LocalStore {
    /// Returns where all records lie that speak of objects alone, below the records' directory, and of which objects, in no order.
    pub(super) fn list_records(&self) -> Result<Vec<(String, PathDigest)>, FileError> {
        let path = self.meta_directory();
        let mut records = Vec::new();
        for (shard, _) in list(self.meta_fd()).map_err(at("list", &path))? {
            let Some(shard) = shard.to_str().filter(|shard| shard.len() == 2) else {
                continue;
            };
            let directory = open_directory_at(self.meta_fd(), os(shard.as_bytes()))
                .map_err(at("open", path.join(shard)))?;
            for (name, _) in list(&directory).map_err(at("list", path.join(shard)))? {
                let Some(name) = name.to_str() else { continue };
                let (digest, kind) = name.split_once('.').unwrap_or((name, ""));
                if let Ok(digest) = digest.parse()
                    && ["", SIGNATURES].contains(&kind)
                {
                    records.push((format!("{shard}/{name}"), digest));
                }
            }
        }
        Ok(records)
    }

    /// Removes the record of a realisation, if there is one.
    pub(crate) fn remove_realisation_record(
        &self,
        digest: &PathDigest,
        resolved: &ResolvedDigest,
        output: &str,
    ) -> nix::Result<()> {
        let record = realisation_name(digest, resolved, output);
        remove_if_there(self.meta_fd(), &format!("{}/{record}", &record[..2]))
    }

    /// Returns when an object was last used, in seconds since 1970: the time of its record, which every lease sets. 0 for what has none.
    pub(crate) fn last_used(&self, path: &StorePath) -> Result<u64, FileError> {
        let record = name(path.digest());
        match modified_at(self.meta_fd(), os(record.as_bytes())) {
            Ok(time) => Ok(u64::try_from(time).unwrap_or(0)),
            Err(Errno::ENOENT) => Ok(0),
            Err(error) => Err(at("inspect", self.meta_directory().join(record))(error)),
        }
    }
}

fn remove_if_there(meta: BorrowedFd<'_>, name: &str) -> nix::Result<()> {
    match unlink_at(meta, os(name.as_bytes())) {
        Err(Errno::ENOENT) => Ok(()),
        result => result,
    }
}

fn stage(
    staging: impl AsFd,
    staged: String,
    name: String,
    value: &impl Serialize,
    rest: &[u8],
    path: &Path,
) -> Result<StagedRecord, FileError> {
    let failed = || at("write", path.join(&staged));
    let mut json = serde_json::to_vec(value).map_err(|error| failed()(io::Error::from(error)))?;
    json.push(b'\n');
    json.extend_from_slice(rest);
    let file = create_file_at(staging, os(staged.as_bytes()), false)
        .map_err(at("create", path.join(&staged)))?;
    write_all(&file, &json).map_err(failed())?;
    Ok(StagedRecord {
        shard: name.chars().take(2).collect(),
        name,
        staged: staged.into(),
    })
}

impl StagedRecord {
    /// Puts the record in its place, over an older one.
    pub(super) fn publish(
        &self,
        staging: BorrowedFd<'_>,
        meta: &Path,
        meta_fd: BorrowedFd<'_>,
    ) -> Result<(), FileError> {
        let failed = || at("write", meta.join(&self.shard).join(&self.name));
        let target = format!("{}/{}", self.shard, self.name);
        let rename = || rename_over(staging, &self.staged, meta_fd, os(target.as_bytes()));
        match rename() {
            Err(Errno::ENOENT) => {
                match make_directory_at(meta_fd, os(self.shard.as_bytes())) {
                    Ok(()) | Err(Errno::EEXIST) => {}
                    Err(error) => return Err(failed()(error)),
                }
                rename().map_err(failed())
            }
            result => result.map_err(failed()),
        }
    }
}

/// What the record of an object says, compared with what it should say.
#[derive(Debug)]
pub(super) enum RecordState {
    Same,
    Missing,
    Different,
    /// It says the same of the object, and not what it is made of.
    WithoutContents,
    Unreadable(io::Error),
}

/// Compares the record of an object with what the database says.
pub(super) fn compare(meta: BorrowedFd<'_>, info: &PathInfo) -> RecordState {
    match load(meta, &info.path) {
        Ok((line, _)) if parse(&line, &info.path).as_ref() != Some(info) => RecordState::Different,
        Ok((_, rest)) if Contents::decode(&info.root, &rest).is_err() => {
            RecordState::WithoutContents
        }
        Ok(_) => RecordState::Same,
        Err(error) if error.kind() == io::ErrorKind::NotFound => RecordState::Missing,
        Err(error) => RecordState::Unreadable(error),
    }
}

/// Returns the record of an object; `None` if there is none or it does not name that object.
pub(super) fn read_info(meta: BorrowedFd<'_>, path: &StorePath) -> Option<PathInfo> {
    let mut line = Vec::new();
    let mut file = open(meta, path).ok()?;
    file.read_until(b'\n', &mut line).ok()?;
    parse(&line, path)
}

/// What a name in a shard stands for.
#[derive(Debug)]
pub(super) enum Named {
    Object(Box<PathInfo>),
    Realisation(Box<Realisation>),
    /// Something else, or a record that cannot be understood.
    Other,
}

/// Reads the record of a name in a shard. Fails only if it cannot be read, which says nothing about it.
pub(super) fn read_named(shard: BorrowedFd<'_>, name: &str) -> io::Result<Named> {
    let is_object = name.parse::<PathDigest>().is_ok();
    if !is_object && name.ends_with(SIGNATURES) {
        return Ok(Named::Other);
    }
    let mut line = Vec::new();
    let mut file = BufReader::new(open_file_at(shard, os(name.as_bytes()))?);
    file.read_until(b'\n', &mut line)?;
    if is_object {
        let info = serde_json::from_slice::<PathInfo>(&line).ok();
        let info = info.filter(|info| {
            info.path.digest().to_string() == name && info.id.path_digest() == *info.path.digest()
        });
        return Ok(info.map_or(Named::Other, |info| Named::Object(Box::new(info))));
    }
    let realisation = serde_json::from_slice::<Realisation>(&line).ok();
    let realisation = realisation.filter(|realisation| name_of_realisation(realisation) == name);
    Ok(realisation.map_or(Named::Other, |realisation| {
        Named::Realisation(Box::new(realisation))
    }))
}

/// Tells whether a realisation has its record; `None` if it has none. Returns where that should lie, too.
pub(super) fn compare_realisation(
    meta: BorrowedFd<'_>,
    realisation: &Realisation,
) -> (String, Option<bool>) {
    let name = name_of_realisation(realisation);
    let place = format!("var/meta/{}/{name}", &name[..2]);
    let shard = open_directory_at(meta, os(&name.as_bytes()[..2])).ok();
    let is_there = shard
        .as_ref()
        .is_some_and(|shard| open_file_at(shard, os(name.as_bytes())).is_ok());
    let found = shard.and_then(|shard| read::<Realisation>(&shard, &name));
    (place, is_there.then(|| found.as_ref() == Some(realisation)))
}

/// Returns what an object is made of, from its record; `None` if the record does not say that of this object.
pub(super) fn read_contents(meta: BorrowedFd<'_>, info: &PathInfo) -> Option<Contents> {
    let (_, rest) = load(meta, &info.path).ok()?;
    Contents::decode(&info.root, &rest).ok()
}

/// Returns the record of an object with what the object is made of, as far as it says so. Fails if it cannot be read, which says nothing about it.
pub(super) fn read_all(
    meta: BorrowedFd<'_>,
    path: &StorePath,
) -> Result<Option<(PathInfo, Option<Contents>)>, FileError> {
    match load(meta, path) {
        Ok((line, rest)) => Ok(parse(&line, path).map(|info| {
            let contents = Contents::decode(&info.root, &rest).ok();
            (info, contents)
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at("read", name_of(path))(error)),
    }
}

/// Returns where the record of an object's signatures lies, below the store's directory.
pub(super) fn name_of_signatures(path: &StorePath) -> String {
    format!("{}.{SIGNATURES}", name_of(path))
}

/// Returns where the record of an object lies, below the store's directory.
pub(super) fn name_of(path: &StorePath) -> String {
    let digest = path.digest().to_string();
    format!("var/meta/{}/{digest}", &digest[..2])
}

fn open(meta: BorrowedFd<'_>, path: &StorePath) -> io::Result<BufReader<File>> {
    let digest = path.digest().to_string();
    let shard = open_directory_at(meta, os(&digest.as_bytes()[..2]))?;
    Ok(BufReader::new(open_file_at(shard, os(digest.as_bytes()))?))
}

/// Reads the line of a record, and what follows it.
fn load(meta: BorrowedFd<'_>, path: &StorePath) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let (mut line, mut rest) = (Vec::new(), Vec::new());
    let mut file = open(meta, path)?;
    file.read_until(b'\n', &mut line)?;
    file.read_to_end(&mut rest)?;
    Ok((line, rest))
}

fn parse(line: &[u8], path: &StorePath) -> Option<PathInfo> {
    serde_json::from_slice::<PathInfo>(line)
        .ok()
        .filter(|info| info.path == *path && info.id.path_digest() == *path.digest())
}

/// Returns the recorded realisations that end in an object.
pub(super) fn read_realisations(meta: BorrowedFd<'_>, path: &StorePath) -> Vec<Realisation> {
    let prefix = format!("{}.", path.digest());
    let Ok(shard) = open_directory_at(meta, os(&prefix.as_bytes()[..2])) else {
        return Vec::new();
    };
    let mut names: Vec<String> = list(&shard)
        .unwrap_or_default()
        .into_iter()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| name.starts_with(&prefix))
        .collect();
    names.sort();
    let records = names
        .iter()
        .filter_map(|name| read::<Realisation>(&shard, name));
    records
        .filter(|realisation| realisation.path == *path)
        .collect()
}

/// Returns the recorded signatures of an object; `None` if there are none that can be read.
pub(super) fn read_signatures(meta: BorrowedFd<'_>, digest: &PathDigest) -> Option<Signatures> {
    load_signatures(meta, digest).ok().flatten()
}

/// Returns the recorded signatures of an object; `None` if there are none. Fails if they cannot be read.
pub(super) fn load_signatures(
    meta: BorrowedFd<'_>,
    digest: &PathDigest,
) -> Result<Option<Signatures>, FileError> {
    let name = format!("{digest}.{SIGNATURES}");
    let place = format!("{}/{name}", &name[..2]);
    let failed = || at("read", format!("var/meta/{place}"));
    match open_file_at(meta, os(place.as_bytes())) {
        Ok(file) => {
            let text = io::read_to_string(file).map_err(failed())?;
            Ok(serde_json::from_str(&text).ok())
        }
        Err(Errno::ENOENT) => Ok(None),
        Err(error) => Err(failed()(error.into())),
    }
}

fn read<T: DeserializeOwned>(shard: impl AsFd, name: &str) -> Option<T> {
    let file = open_file_at(shard, os(name.as_bytes())).ok()?;
    serde_json::from_str(&io::read_to_string(file).ok()?).ok()
}

/// Returns where records of a store lie.
pub(super) fn directory(root: &Path) -> PathBuf {
    root.join("var/meta")
}
