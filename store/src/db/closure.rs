//! Closures, read in one go: no row twice, and no join.

use std::collections::{HashMap, HashSet};

use rusqlite::{CachedStatement, OptionalExtension, Transaction, params};

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
        let mut pending = rows_of(&moment, roots).map_err(query())?;
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

    /// Returns the paths of all objects that can be reached from known roots, ascending, as of one moment; `None` if one of them is not valid.
    pub(crate) fn closure_paths(
        &self,
        roots: &[StorePath],
    ) -> Result<Option<Vec<StorePath>>, DbError> {
        let query = || DbError::query("read a closure");
        let moment = self.connection().unchecked_transaction().map_err(query())?;
        let mut pending = rows_of(&moment, roots).map_err(query())?;
        let mut seen: HashSet<i64> = pending.iter().copied().collect();
        let mut found = Vec::new();
        let mut objects = moment
            .prepare_cached("SELECT digest, name, state FROM object WHERE id = ?1")
            .map_err(query())?;
        let mut references = moment
            .prepare_cached("SELECT referenced FROM reference WHERE referrer = ?1")
            .map_err(query())?;
        while let Some(id) = pending.pop() {
            let row: (Vec<u8>, String, i64) = objects
                .query_row([id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .map_err(query())?;
            if row.2 != VALID {
                return Ok(None);
            }
            found.push((row.0, row.1));
            let mut rows = references.query([id]).map_err(query())?;
            while let Some(row) = rows.next().map_err(query())? {
                let to = row.get(0).map_err(query())?;
                if seen.insert(to) {
                    pending.push(to);
                }
            }
        }
        found.sort_unstable();
        let paths = found.iter().map(|(digest, name)| store_path(digest, name));
        paths.collect::<Result<_, _>>().map(Some)
    }
}

/// Returns the rows of those paths that have one.
fn rows_of(moment: &Transaction<'_>, paths: &[StorePath]) -> rusqlite::Result<Vec<i64>> {
    let mut statement =
        moment.prepare_cached("SELECT id FROM object WHERE digest = ?1 AND name = ?2")?;
    let mut rows = Vec::new();
    for path in paths {
        let key = params![path.digest().as_bytes(), path.name().as_str()];
        let row: Option<i64> = statement.query_row(key, |row| row.get(0)).optional()?;
        rows.extend(row);
    }
    Ok(rows)
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
