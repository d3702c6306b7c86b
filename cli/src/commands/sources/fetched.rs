//! The files of a bundle that recipes fetch: where they lie on this disk, and what the bundle says of them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use pack::audit::sources::BundledFile;
use pack::oci::Digest;
use recipes::lang::Package;
use recipes::model::{Builder, ContentDigest, OutputRef};
use store::{LocalStore, StorePath};

use crate::build_options::RealiseOptions;
use crate::context::Context;
use crate::error::CommandError;
use crate::realise::{Realised, realise};
use crate::selection::Selection;

/// Which part of a bundle a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Folder {
    /// What software is made of.
    Sources,
    /// What it is made with.
    Toolchain,
}

impl Folder {
    const fn name(self) -> &'static str {
        match self {
            Self::Sources => "sources",
            Self::Toolchain => "toolchain",
        }
    }
}

/// A file that was fetched.
#[derive(Debug)]
pub(super) struct Fetched {
    /// Where it lies on this disk.
    pub(super) real: PathBuf,
    /// What the bundle says of it.
    pub(super) file: BundledFile,
}

/// Files that were fetched, kept in the store while this lives.
#[derive(Debug, Default)]
pub(super) struct AllFetched {
    files: BTreeMap<OutputRef, Fetched>,
    kept: Vec<Realised>,
}

impl AllFetched {
    /// Makes files valid that recipes fetch. One that is there already keeps its folder.
    pub(super) fn fetch<'a>(
        &mut self,
        context: &Context,
        store: &LocalStore,
        wanted: impl IntoIterator<Item = &'a OutputRef>,
        folder: Folder,
    ) -> Result<(), CommandError> {
        let wanted: Vec<&OutputRef> = (wanted.into_iter())
            .filter(|one| !self.files.contains_key(*one))
            .collect();
        let selections: Vec<Selection> = wanted.iter().map(|one| selection(one)).collect();
        let realised = realise(context, store, &selections, &RealiseOptions::default())?;
        for (one, path) in wanted.iter().zip(&realised.paths) {
            if let Some(found) = describe(store, one, path, folder)? {
                self.files.insert((*one).clone(), found);
            }
        }
        self.kept.push(realised);
        Ok(())
    }

    /// Returns a file.
    pub(super) fn find(&self, one: &OutputRef) -> Option<&Fetched> {
        self.files.get(one)
    }

    /// Returns all of them, sorted by what fetches them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&OutputRef, &Fetched)> {
        self.files.iter()
    }
}

fn describe(
    store: &LocalStore,
    one: &OutputRef,
    path: &StorePath,
    folder: Folder,
) -> Result<Option<Fetched>, CommandError> {
    let Builder::Fetch(fetch) = one.derivation().builder() else {
        return Ok(None);
    };
    let real = store.real_path(path);
    let name = one.store_name().to_string();
    let sha256 = match fetch.digest {
        // What is valid was compared with it.
        ContentDigest::Sha256(_) => {
            let text = fetch.digest.to_string();
            text.trim_start_matches("sha256:").to_owned()
        }
        ContentDigest::Sha512(_) | ContentDigest::Blake3(_) => {
            let bytes = std::fs::read(&real).map_err(CommandError::failed)?;
            Digest::of(&bytes).to_hex()
        }
    };
    Ok(Some(Fetched {
        real,
        file: BundledFile {
            file: Some(format!("{}/sha256/{sha256}/{name}", folder.name())),
            name,
            digest: fetch.digest.to_string(),
            sha256: Some(sha256),
            urls: fetch.urls.clone(),
        },
    }))
}

fn selection(one: &OutputRef) -> Selection {
    Selection::Output {
        package: Package {
            name: one.store_name().to_string(),
            label: one.derivation().origin().file.clone(),
            derivation: Arc::clone(one.derivation()),
            images: Vec::new(),
        },
        output: one.clone(),
    }
}
