//! Records, modes and times.

use std::{
    collections::{BTreeMap, BTreeSet},
    os::fd::AsFd,
};

use nix::errno::Errno;

use super::RepairError;
use crate::{
    db::StoredObject,
    id::StorePath,
    info::PathInfo,
    local::{
        LocalStore, Problem,
        check::{Mismatch, read_object},
        commit::Publish,
        record::{stage_info, stage_realisation, stage_signatures},
    },
    sys::files::{
        at, open_directory_at, open_file_at, os, seal_directory, seal_file, seal_symlink,
    },
};

impl LocalStore {
    /// Writes the records of an object again, its realisations and signatures included. Fails for an object that is not what the database says.
    pub(super) fn write_records(
        &self,
        info: &PathInfo,
    ) -> Result<Result<(), Mismatch>, RepairError> {
        let contents = match read_object(self.store_fd(), info) {
            Ok(contents) => contents,
            Err(mismatch) => return Ok(Err(mismatch)),
        };
        let staging = self.create_staging()?;
        let mut publish = Publish::new(staging.as_fd()).map_err(at("open", staging.path()))?;
        let path = staging.path();
        publish
            .records
            .push(stage_info(&staging, 0, info, &contents, path)?);
        let realisations = self.read(|database| database.list_realisations_of(&info.id))?;
        for (number, realisation) in realisations.iter().enumerate() {
            publish
                .records
                .push(stage_realisation(&staging, number, realisation, path)?);
        }
        let signatures = self.find_signatures(&info.id)?;
        if !signatures.is_empty() {
            let digest = info.path.digest();
            publish
                .records
                .push(stage_signatures(&staging, 0, digest, &signatures, path)?);
        }
        // Nothing changes in the database, but what is recorded must be so for good.
        publish.known.push(info.clone());
        staging.write_publish(&[&info.path])?;
        self.commit(publish)?;
        Ok(Ok(()))
    }

    /// Sets the modes and times that problems tell of, as far as they can be set.
    pub(super) fn set_metadata(
        &self,
        object: &StoredObject,
        problems: &[Problem],
    ) -> Result<(), RepairError> {
        let name = object.info.path.to_string();
        // Each of a name is told of once, whatever is wrong.
        let mut modes: BTreeMap<&str, Option<u32>> = BTreeMap::new();
        for problem in problems {
            match problem {
                Problem::Mode { file, expected, .. } => {
                    modes.insert(file, Some(*expected));
                }
                Problem::Time { file } => {
                    modes.entry(file).or_default();
                }
                _ => {}
            }
        }
        for (file, mode) in modes {
            let path = if file == "." {
                name.clone()
            } else {
                format!("{name}/{file}")
            };
            self.set_one(path.as_bytes(), mode)
                .map_err(at("change", self.store_directory().join(&path)))?;
        }
        Ok(())
    }

    fn set_one(&self, path: &[u8], mode: Option<u32>) -> nix::Result<()> {
        let mut names: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
        let Some(last) = names.pop() else {
            return Ok(());
        };
        let mut parent = None;
        for name in names {
            let directory = match &parent {
                None => open_directory_at(self.store_fd(), os(name))?,
                Some(parent) => open_directory_at(parent, os(name))?,
            };
            parent = Some(directory);
        }
        let parent = parent.as_ref().map_or(self.store_fd(), AsFd::as_fd);
        match open_directory_at(parent, os(last)) {
            Ok(directory) => seal_directory(directory),
            Err(Errno::ENOTDIR) => match open_file_at(parent, os(last)) {
                Ok(file) => {
                    let executable = match mode {
                        Some(mode) => mode & 0o111 != 0,
                        // Only the time is wrong.
                        None => nix::sys::stat::fstat(&file)?.st_mode & 0o111 != 0,
                    };
                    seal_file(file, executable)
                }
                Err(Errno::ELOOP) => seal_symlink(parent, os(last)),
                Err(error) => Err(error),
            },
            Err(Errno::ELOOP) => seal_symlink(parent, os(last)),
            Err(error) => Err(error),
        }
    }

    /// Registers or removes objects that are there and not registered, as recovery would.
    pub(super) fn settle_unregistered(
        &self,
        paths: BTreeSet<StorePath>,
    ) -> Result<(), RepairError> {
        if paths.is_empty() {
            return Ok(());
        }
        Ok(self.settle_alone(paths).map_err(Box::new)?)
    }
}
