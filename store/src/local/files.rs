//! Which files valid objects have, from their records: nothing is read of the files themselves.

use super::{LocalStore, record::read_contents};
use crate::{
    db::{Database, DbError},
    id::{BlobId, StorePath},
    info::PathInfo,
    sys::files::join,
    tree::{Contents, Node, Tree},
};

impl LocalStore {
    /// Returns all valid objects with the second in which each was registered, in no order. One query.
    pub(crate) fn list_registered(&self) -> Result<Vec<(StorePath, u64)>, DbError> {
        self.read(Database::list_registered)
    }

    /// Returns what an object is made of, from its record; `None` if the record does not say it.
    pub(crate) fn load_contents(&self, info: &PathInfo) -> Option<Contents> {
        read_contents(self.meta_fd(), info)
    }

    /// Returns the files of a valid object with contents and sizes; none if its record does not tell.
    pub(crate) fn files_of(
        &self,
        path: &StorePath,
    ) -> Result<Vec<(Vec<u8>, BlobId, u64)>, DbError> {
        let Some(info) = self.path_info(path)? else {
            return Ok(Vec::new());
        };
        let contents = self.load_contents(&info).unwrap_or_default();
        let below = contents.bundle.trees.iter().flat_map(|(path, tree)| {
            let entries = Tree::entries(tree).iter();
            entries.map(move |entry| (join(path, entry.name.as_bytes()), &entry.node))
        });
        let all = below.chain([(Vec::new(), &info.root)]);
        Ok(all
            .filter_map(|(path, node)| match node {
                Node::File { blob, size, .. } => Some((path, *blob, *size)),
                _ => None,
            })
            .collect())
    }
}
