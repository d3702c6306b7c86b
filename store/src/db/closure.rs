//! Closures, read in one go: no row twice, and no join.

use std::collections::{HashMap, HashSet};

use rusqlite::{CachedStatement, OptionalExtension, params};

use super::{
    DbError,
    connection::Database,
    objects::{COLUMNS, ObjectRow, VALID, from_sql, store_path},
};
use crate::{
    id::{ObjectId, StorePath},
    info::{PathInfo, Reference},
};

/// A reference by the row that it leads to, with the file and the offset.
type Edge = (i64, String, i64);

/// An object that was reached.
struct Reached {
    row: ObjectRow,
    is_valid: bool,
    edges: Vec<Edge>,
}

impl Database {
    /// Returns the valid ones of all objects that can be reached from valid roots, by path, as of one moment. A reference to an object that is not valid is listed, and
    /// leads to nothing.
    pub(crate) fn load_closure(
        &self,
        roots: &[StorePath],
    ) -> Result<HashMap<StorePath, PathInfo>, DbError> {
        let query = || DbError::query("read a closure");
        let moment = self.connection().unchecked_transaction().map_err(query())?;
        let mut pending = Vec::new();
        for root in roots {
            let id: Option<i64> = moment
                .prepare_cached("SELECT id FROM object WHERE digest = ?1 AND name = ?2")
                .and_then(|mut statement| {
                    let key = params![root.digest().as_bytes(), root.name().as_str()];
                    statement.query_row(key, |row| row.get(0)).optional()
                })
                .map_err(query())?;
            pending.extend(id);
        }
        let mut objects = moment
            .prepare_cached(&format!(
                "SELECT {COLUMNS}, state FROM object WHERE id = ?1"
            ))
            .map_err(query())?;
        let mut references = moment
            .prepare_cached("SELECT referenced, file, offset FROM reference WHERE referrer = ?1")
            .map_err(query())?;
        let mut reached = Vec::new();
        let mut seen = HashSet::new();
        while let Some(id) = pending.pop() {
            if !seen.insert(id) {
                continue;
            }
            let found = read(&mut objects, &mut references, id).map_err(query())?;
            let edges = found.iter().flat_map(|one| &one.edges);
            pending.extend(edges.map(|(to, ..)| *to).filter(|to| !seen.contains(to)));
            reached.extend(found.map(|found| (id, found)));
        }
        infos(reached)
    }
}

fn read(
    objects: &mut CachedStatement<'_>,
    references: &mut CachedStatement<'_>,
    id: i64,
) -> rusqlite::Result<Option<Reached>> {
    let found = objects
        .query_row([id], |row| {
            Ok((ObjectRow::read(row)?, row.get::<_, i64>(10)?))
        })
        .optional()?;
    let Some((row, state)) = found else {
        return Ok(None);
    };
    let is_valid = state == VALID;
    let edges = if is_valid {
        let rows = references.query_map([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        rows.collect::<Result<_, _>>()?
    } else {
        Vec::new()
    };
    Ok(Some(Reached {
        row,
        is_valid,
        edges,
    }))
}

/// Puts paths and ids in the place of rows.
fn infos(reached: Vec<(i64, Reached)>) -> Result<HashMap<StorePath, PathInfo>, DbError> {
    let mut names: HashMap<i64, (StorePath, ObjectId)> = HashMap::with_capacity(reached.len());
    for (id, Reached { row, .. }) in &reached {
        let path = store_path(&row.digest, &row.name)?;
        names.insert(*id, (path, ObjectId::from_bytes(row.full)));
    }
    let mut infos = HashMap::with_capacity(reached.len());
    for (_, one) in reached.into_iter().filter(|(_, one)| one.is_valid) {
        let references = one.edges.into_iter().filter_map(|(to, file, offset)| {
            let (path, id) = names.get(&to)?.clone();
            Some(Reference {
                path,
                id,
                file,
                offset: from_sql(offset),
            })
        });
        let mut references: Vec<Reference> = references.collect();
        references.sort_unstable_by(|one, other| one.path.digest().cmp(other.path.digest()));
        let info = one.row.into_info_with(references)?;
        infos.insert(info.path.clone(), info);
    }
    Ok(infos)
}
