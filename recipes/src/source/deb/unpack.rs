//! Packages into a directory, all at once.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::prelude::*;

use super::members::{Kind, Member, read_members};
use super::open::open;
use super::tree::{Tree, write_error};
use super::{DebError, Selection, path};

/// What a single package may unpack to; the largest of Debian's have a few gigabytes.
const MAX_BYTES: u64 = 16 << 30;
const MAX_MEMBERS: u64 = 1_000_000;
const COPY_BYTES: usize = 128 << 10;

/// A package to unpack.
#[derive(Clone, Debug)]
pub struct DebFile {
    /// How messages call it.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
}

/// Unpacks `debs` over each other into the empty, private directory `root`.
///
/// The result is independent of the number of threads: a place that two packages would fill is an error, except with
/// equal symbolic links. Setuid bits, owners and times are dropped; hard links become copies.
pub fn unpack(
    debs: &[DebFile],
    selection: &Selection,
    root: BorrowedFd<'_>,
    cancel: &AtomicBool,
) -> Result<(), DebError> {
    let names: Vec<String> = debs.iter().map(|deb| deb.name.clone()).collect();
    let tree = Tree::new(root, &names);
    let failed = AtomicBool::new(false);
    let stop = || cancel.load(Ordering::Relaxed) || failed.load(Ordering::Relaxed);
    for (place, target) in &selection.links {
        if place.is_empty() || path::place(place.as_bytes()).as_ref() != Some(place) {
            let (deb, member) = (
                "the recipe's links".to_owned(),
                place.escape_default().to_string(),
            );
            return Err(DebError::UnsafeName { deb, member });
        }
        tree.add_symlink(place, target, debs.len())?;
    }
    // The longest first, taken one by one, so that no thread is left alone with the compiler at the end.
    let mut order: Vec<(u64, usize)> = debs
        .iter()
        .enumerate()
        .map(|(index, deb)| {
            (
                std::fs::metadata(&deb.path).map_or(0, |metadata| metadata.len()),
                index,
            )
        })
        .collect();
    order.sort_unstable_by(|a, b| b.cmp(a));
    let results: Vec<(usize, DebError)> = order
        .into_iter()
        .par_bridge()
        .filter_map(|(_, owner)| {
            let deb = debs.get(owner)?;
            let error = Unpacking {
                deb,
                owner,
                selection,
                tree: &tree,
                stop: &stop,
            }
            .run()
            .err()?;
            failed.store(true, Ordering::Relaxed);
            Some((owner, error))
        })
        .collect();
    let interrupted = |error: &DebError| matches!(error, DebError::Cancelled);
    match results
        .into_iter()
        .min_by_key(|(owner, error)| (interrupted(error), *owner))
    {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

struct Unpacking<'a> {
    deb: &'a DebFile,
    owner: usize,
    selection: &'a Selection,
    tree: &'a Tree<'a>,
    stop: &'a (dyn Fn() -> bool + Sync),
}

impl Unpacking<'_> {
    fn run(&self) -> Result<(), DebError> {
        let reader = open(self.deb, "data.tar")?;
        let mut members = 0;
        let mut left_bytes = MAX_BYTES;
        let mut buffer = vec![0; COPY_BYTES];
        read_members(&self.deb.name, reader, &mut |member, bytes| {
            members += 1;
            if members > MAX_MEMBERS {
                return Err(self.too_large("members", MAX_MEMBERS));
            }
            if (self.stop)() {
                return Err(DebError::Cancelled);
            }
            self.add(&member, bytes, &mut buffer, &mut left_bytes)
        })
    }

    fn add(
        &self,
        member: &Member,
        bytes: &mut dyn Read,
        buffer: &mut [u8],
        left_bytes: &mut u64,
    ) -> Result<(), DebError> {
        let shown = || {
            String::from_utf8_lossy(&member.name)
                .escape_default()
                .to_string()
        };
        let unsafe_name = || DebError::UnsafeName {
            deb: self.deb.name.clone(),
            member: shown(),
        };
        let place = path::place(&member.name).ok_or_else(unsafe_name)?;
        if let Kind::Special(kind) = member.kind {
            return Err(DebError::Special {
                deb: self.deb.name.clone(),
                member: place,
                kind,
            });
        }
        if !self.is_selected(&place, &member.kind)
            || path::is_merged_link(&member.name, &member.kind)
        {
            return Ok(());
        }
        if place.is_empty() && member.kind != Kind::Directory {
            return Err(unsafe_name());
        }
        match &member.kind {
            Kind::Directory => self.tree.add_directory(&place, self.owner),
            Kind::File { executable } => {
                let file = self.tree.add_file(&place, *executable, self.owner)?;
                self.copy(bytes, file, &place, buffer, left_bytes)
            }
            Kind::Symlink { target } => {
                let target = std::str::from_utf8(target)
                    .ok()
                    .filter(|target| !target.is_empty());
                let target = path::link_target(&member.name, target.ok_or_else(unsafe_name)?);
                self.tree.add_symlink(&place, &target, self.owner)
            }
            Kind::HardLink { target } => {
                let source = match path::place(target) {
                    Some(source) => self.tree.open_own_file(&source, self.owner)?,
                    None => None,
                };
                let (mut from, executable) = source.ok_or_else(|| DebError::HardLink {
                    deb: self.deb.name.clone(),
                    member: place.clone(),
                    target: String::from_utf8_lossy(target).escape_default().to_string(),
                })?;
                let file = self.tree.add_file(&place, executable, self.owner)?;
                self.copy(&mut from, file, &place, buffer, left_bytes)
            }
            Kind::Special(_) => Ok(()),
        }
    }

    /// Dropped is what a pattern covers, and what lies at the place of one of the recipe's links.
    fn is_selected(&self, place: &str, kind: &Kind) -> bool {
        let Selection {
            drop,
            keep,
            include,
            links,
        } = self.selection;
        let included = include.is_empty() || include.iter().any(|glob| glob.covers(place));
        let replaced = links.contains_key(place) && *kind != Kind::Directory;
        let dropped = drop.iter().any(|glob| glob.covers(place))
            && !keep.iter().any(|glob| glob.covers(place));
        included && !replaced && !dropped
    }

    fn copy(
        &self,
        from: &mut dyn Read,
        mut to: File,
        place: &str,
        buffer: &mut [u8],
        left_bytes: &mut u64,
    ) -> Result<(), DebError> {
        loop {
            let count = match from.read(buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(self.format(format!("`{place}` cannot be read: {error}"))),
            };
            if (self.stop)() {
                return Err(DebError::Cancelled);
            }
            *left_bytes = left_bytes
                .checked_sub(count as u64)
                .ok_or_else(|| self.too_large("bytes", MAX_BYTES))?;
            to.write_all(buffer.get(..count).unwrap_or_default())
                .map_err(write_error(place))?;
        }
    }

    fn format(&self, problem: String) -> DebError {
        DebError::Format {
            deb: self.deb.name.clone(),
            problem,
        }
    }

    fn too_large(&self, what: &'static str, limit: u64) -> DebError {
        DebError::TooLarge {
            deb: self.deb.name.clone(),
            what,
            limit,
        }
    }
}
