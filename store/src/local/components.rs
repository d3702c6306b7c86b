//! New facts about objects that are valid already.

use std::os::fd::AsFd;

use super::{
    AddError, LocalStore,
    commit::Publish,
    record::{read_all, stage_info},
    share::NewContents,
};
use crate::{
    id::StorePath,
    info::{Component, PathInfo},
    sys::files::at,
};

impl LocalStore {
    /// Replaces what is recorded of valid objects about where they come from, and tells of how many it was something else.
    ///
    /// Never part of an identity, so the objects stay what they are. What says the same already costs a query and no write. Objects that are not valid are passed
    /// over, as are damaged ones whose record does not say what they are made of: a repair comes first.
    pub fn set_components(&self, facts: &[(StorePath, Component)]) -> Result<usize, AddError> {
        let mut changed = Vec::new();
        for (path, component) in facts {
            let Some(info) = self.path_info(path)? else {
                continue;
            };
            if info.component.as_ref() == Some(component) {
                continue;
            }
            if let Some((_, Some(contents))) = read_all(self.meta_fd(), path)? {
                let component = Some(component.clone());
                changed.push((PathInfo { component, ..info }, contents));
            }
        }
        if changed.is_empty() {
            return Ok(0);
        }
        self.check_writable()?;
        self.mark_unclean()?;
        let staging = self.create_staging()?;
        let mut publish = Publish::new(staging.as_fd()).map_err(at("open", staging.path()))?;
        for (number, (info, contents)) in changed.into_iter().enumerate() {
            let record = stage_info(&staging, number, &info, &contents, staging.path())?;
            publish.records.push(record);
            publish.known.push(info);
        }
        let count = publish.known.len();
        self.publish_staged(staging, publish, &NewContents::default())?;
        Ok(count)
    }
}
