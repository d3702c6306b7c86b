//! Rows of objects and of the references between them.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{
    DbError,
    connection::{Database, Write},
};
use crate::{
    id::{ObjectId, PathDigest, StoreName, StorePath},
    info::{PathInfo, Reference},
    tree::Node,
};

pub(super) const COLUMNS: &str =
    "id, digest, name, full, root, self_reference, size_bytes, nodes, registered, component";
/// See [`super::collection`] for the states of what is being deleted.
pub(super) const VALID: i64 = 0;
pub(super) const DAMAGED: i64 = 2;

impl Database {
    /// Returns a valid object by its path.
    pub(crate) fn find_by_path(&self, path: &StorePath) -> Result<Option<PathInfo>, DbError> {
        let info = find(self.connection(), "digest = ?1", path.digest().as_bytes())?;
        Ok(info.filter(|info| info.path == *path))
    }

    /// Returns a valid object by its whole id.
    pub(crate) fn find_by_id(&self, id: &ObjectId) -> Result<Option<PathInfo>, DbError> {
        find(self.connection(), "full = ?1", id.as_bytes())
    }

    /// Returns the valid paths whose digests lie in `from ..= to`, ascending.
    pub(crate) fn find_range(
        &self,
        from: &PathDigest,
        to: &PathDigest,
    ) -> Result<Vec<StorePath>, DbError> {
        let query = DbError::query("search paths");
        let read = || {
            self.connection()
                .prepare_cached("SELECT digest, name FROM object WHERE digest BETWEEN ?1 AND ?2 AND state = 0 ORDER BY digest")?
                .query_map(params![from.as_bytes(), to.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<Vec<(Vec<u8>, String)>, _>>()
        };
        read()
            .map_err(query)?
            .into_iter()
            .map(|(digest, name)| store_path(&digest, &name))
            .collect()
    }

    /// Returns the paths of all valid objects that were registered at `since` or later, ascending.
    pub(crate) fn registered_since(&self, since: u64) -> Result<Vec<StorePath>, DbError> {
        let read = || {
            self.connection()
                .prepare_cached("SELECT digest, name FROM object WHERE registered >= ?1 AND state = 0 ORDER BY digest")?
                .query_map([to_sql(since)], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<Vec<(Vec<u8>, String)>, _>>()
        };
        let rows = read().map_err(DbError::query("list recent paths"))?;
        rows.into_iter()
            .map(|(digest, name)| store_path(&digest, &name))
            .collect()
    }

    /// Returns all valid paths with the second in which each was registered, in no order.
    pub(crate) fn list_registered(&self) -> Result<Vec<(StorePath, u64)>, DbError> {
        let read = || {
            self.connection()
                .prepare_cached("SELECT digest, name, registered FROM object WHERE state = 0")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect::<Result<Vec<(Vec<u8>, String, i64)>, _>>()
        };
        let rows = read().map_err(DbError::query("list paths"))?;
        rows.into_iter()
            .map(|(digest, name, registered)| {
                Ok((store_path(&digest, &name)?, from_sql(registered)))
            })
            .collect()
    }

    /// Returns when the newest object was registered; 0 when there is none.
    pub(crate) fn last_registered(&self) -> Result<u64, DbError> {
        let newest: Option<i64> = self
            .connection()
            .query_row("SELECT max(registered) FROM object", [], |row| row.get(0))
            .map_err(DbError::query("find the newest path"))?;
        Ok(newest.map_or(0, from_sql))
    }

    /// Returns how many objects are valid and the sum of their sizes in bytes.
    pub(crate) fn count_objects(&self) -> Result<(u64, u64), DbError> {
        self.connection()
            .query_row(
                "SELECT count(*), coalesce(sum(size_bytes), 0) FROM object WHERE state = 0",
                [],
                |row| Ok((from_sql(row.get(0)?), from_sql(row.get(1)?))),
            )
            .map_err(DbError::query("count paths"))
    }
}

impl Write<'_> {
    /// Makes an object valid. Its references must be valid.
    ///
    /// An object that is valid already keeps its row, but takes over the component if one is given.
    pub(crate) fn register(&self, info: &PathInfo) -> Result<(), DbError> {
        let existing: Option<(i64, Vec<u8>, String, i64)> = self
            .connection()
            .prepare_cached("SELECT id, full, name, state FROM object WHERE digest = ?1")
            .and_then(|mut statement| {
                statement
                    .query_row([info.path.digest().as_bytes().as_slice()], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                    })
                    .optional()
            })
            .map_err(DbError::query("find a path"))?;
        match existing {
            None => self.insert(info),
            Some((_, full, name, _))
                if full != info.id.as_bytes() || name != info.path.name().as_str() =>
            {
                Err(DbError::Collision {
                    path: info.path.clone(),
                })
            }
            Some((id, _, _, VALID)) => self.update_component(id, info),
            Some((id, ..)) => {
                // Identity fixes all other columns, and references are never removed from a row. But what they lead to may have lost its validity.
                self.check_references(id, info)?;
                self.connection()
                    .execute(
                        "UPDATE object SET state = 0, registered = ?2 WHERE id = ?1",
                        params![id, to_sql(info.registered)],
                    )
                    .map_err(DbError::query("revive a path"))?;
                self.update_component(id, info)
            }
        }
    }

    /// Makes sure that an object is valid, and takes over the component if one is given. Unlike [`Self::register`] it says nothing of the bytes: they are
    /// somebody else's, who may have found them damaged since.
    pub(crate) fn confirm(&self, info: &PathInfo) -> Result<(), DbError> {
        let id = self.valid_row(&info.id)?;
        match id {
            Some(id) => self.update_component(id, info),
            None => Err(DbError::LostValidity {
                path: info.path.clone(),
            }),
        }
    }

    /// Takes validity from an object whose bytes are not what they should be, if it is valid.
    pub(crate) fn mark_damaged(&self, path: &StorePath) -> Result<(), DbError> {
        self.forget_rows();
        self.connection()
            .execute(
                "UPDATE object SET state = ?2 WHERE digest = ?1 AND state = 0",
                params![path.digest().as_bytes(), DAMAGED],
            )
            .map(|_| ())
            .map_err(DbError::query("mark a damaged path"))
    }

    fn insert(&self, info: &PathInfo) -> Result<(), DbError> {
        let component = component_json(info)?;
        let insert = || {
            self.connection()
                .prepare_cached(
                    "INSERT INTO object (digest, full, name, root, self_reference, size_bytes, nodes, registered, component)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )?
                .insert(params![
                    info.path.digest().as_bytes(),
                    info.id.as_bytes(),
                    info.path.name().as_str(),
                    info.root.encode(),
                    info.self_reference,
                    to_sql(info.size_bytes),
                    to_sql(info.nodes),
                    to_sql(info.registered),
                    component,
                ])
        };
        let id = insert().map_err(DbError::query("insert a path"))?;
        for reference in &info.references {
            let Some(referenced) = self.valid_row(&reference.id)? else {
                return Err(DbError::DanglingReference {
                    path: info.path.clone(),
                    reference: reference.path.clone(),
                });
            };
            self.connection()
                .prepare_cached(
                    "INSERT INTO reference (referrer, referenced, file, offset) VALUES (?1, ?2, ?3, ?4)",
                )
                .and_then(|mut statement| {
                    statement.execute(params![
                        id,
                        referenced,
                        reference.file,
                        to_sql(reference.offset)
                    ])
                })
                .map_err(DbError::query("insert a reference"))?;
        }
        self.remember_row(info.id, id);
        Ok(())
    }

    /// Returns the row of an object if it is valid.
    fn valid_row(&self, id: &ObjectId) -> Result<Option<i64>, DbError> {
        if let Some(row) = self.known_row(id) {
            return Ok(Some(row));
        }
        let row: Option<i64> = self
            .connection()
            .prepare_cached("SELECT id FROM object WHERE full = ?1 AND state = 0")
            .and_then(|mut statement| {
                statement
                    .query_row([id.as_bytes()], |row| row.get(0))
                    .optional()
            })
            .map_err(DbError::query("find a path"))?;
        if let Some(row) = row {
            self.remember_row(*id, row);
        }
        Ok(row)
    }

    /// Makes sure that all that a row refers to is valid.
    fn check_references(&self, id: i64, info: &PathInfo) -> Result<(), DbError> {
        let invalid: Option<(Vec<u8>, String)> = self
            .connection()
            .prepare_cached(
                "SELECT digest, name FROM reference JOIN object ON object.id = referenced
                 WHERE referrer = ?1 AND state <> 0 ORDER BY digest LIMIT 1",
            )
            .and_then(|mut statement| {
                statement
                    .query_row([id], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()
            })
            .map_err(DbError::query("check references"))?;
        match invalid {
            None => Ok(()),
            Some((digest, name)) => Err(DbError::DanglingReference {
                path: info.path.clone(),
                reference: store_path(&digest, &name)?,
            }),
        }
    }

    fn update_component(&self, id: i64, info: &PathInfo) -> Result<(), DbError> {
        let Some(component) = component_json(info)? else {
            return Ok(());
        };
        self.connection()
            .prepare_cached(
                "UPDATE object SET component = ?2 WHERE id = ?1 AND component IS NOT ?2",
            )
            .and_then(|mut statement| statement.execute(params![id, component]))
            .map(|_| ())
            .map_err(DbError::query("update a component"))
    }
}

fn component_json(info: &PathInfo) -> Result<Option<String>, DbError> {
    let json = info
        .component
        .as_ref()
        .map(serde_json::to_string)
        .transpose();
    json.map_err(|_| DbError::damaged(&info.path.to_string(), "component"))
}

/// The columns of an object, without its references.
pub(super) struct ObjectRow {
    id: i64,
    pub(super) digest: Vec<u8>,
    pub(super) name: String,
    pub(super) full: [u8; 32],
    root: Vec<u8>,
    self_reference: bool,
    size_bytes: i64,
    nodes: i64,
    registered: i64,
    component: Option<String>,
}

impl ObjectRow {
    /// Reads [`COLUMNS`].
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            digest: row.get(1)?,
            name: row.get(2)?,
            full: row.get(3)?,
            root: row.get(4)?,
            self_reference: row.get(5)?,
            size_bytes: row.get(6)?,
            nodes: row.get(7)?,
            registered: row.get(8)?,
            component: row.get(9)?,
        })
    }

    /// Reads the references, and puts all together.
    pub(super) fn into_info(self, connection: &Connection) -> Result<PathInfo, DbError> {
        let references = references(connection, self.id)?;
        self.into_info_with(references)
    }

    /// Puts all together.
    pub(super) fn into_info_with(self, references: Vec<Reference>) -> Result<PathInfo, DbError> {
        let path = store_path(&self.digest, &self.name)?;
        let damaged = |column| DbError::damaged(&path.to_string(), column);
        Ok(PathInfo {
            id: ObjectId::from_bytes(self.full),
            root: Node::decode(&self.root).map_err(|_| damaged("root"))?,
            references,
            self_reference: self.self_reference,
            size_bytes: from_sql(self.size_bytes),
            nodes: from_sql(self.nodes),
            registered: from_sql(self.registered),
            component: self
                .component
                .map(|json| serde_json::from_str(&json))
                .transpose()
                .map_err(|_| damaged("component"))?,
            path,
        })
    }
}

/// Returns the valid object that fits a condition on one column.
pub(super) fn find(
    connection: &Connection,
    condition: &'static str,
    key: &[u8],
) -> Result<Option<PathInfo>, DbError> {
    let row = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS} FROM object WHERE {condition} AND state = 0"
        ))
        .and_then(|mut statement| statement.query_row([key], ObjectRow::read).optional())
        .map_err(DbError::query("find a path"))?;
    row.map(|row| row.into_info(connection)).transpose()
}

fn references(connection: &Connection, referrer: i64) -> Result<Vec<Reference>, DbError> {
    let read = || {
        connection
            .prepare_cached(
                "SELECT object.digest, object.name, object.full, reference.file, reference.offset
                 FROM reference JOIN object ON object.id = reference.referenced
                 WHERE reference.referrer = ?1 ORDER BY object.digest",
            )?
            .query_map([referrer], |row| {
                Ok((
                    row.get(0)?,
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                ))
            })?
            .collect::<Result<Vec<(Vec<u8>, String, [u8; 32], String, i64)>, _>>()
    };
    let rows = read().map_err(DbError::query("read references"))?;
    rows.into_iter()
        .map(|(digest, name, full, file, offset)| {
            Ok(Reference {
                path: store_path(&digest, &name)?,
                id: ObjectId::from_bytes(full),
                file,
                offset: from_sql(offset),
            })
        })
        .collect()
}

pub(super) fn store_path(digest: &[u8], name: &str) -> Result<StorePath, DbError> {
    let bytes: [u8; 25] = digest
        .try_into()
        .map_err(|_| DbError::damaged(name, "digest"))?;
    let parsed: StoreName = name.parse().map_err(|_| DbError::damaged(name, "name"))?;
    Ok(StorePath::new(PathDigest::from_bytes(bytes), parsed))
}

/// SQLite has signed integers only; sizes keep their 64 bits.
pub(super) const fn to_sql(value: u64) -> i64 {
    value.cast_signed()
}

/// Reverses [`to_sql`].
pub(super) const fn from_sql(value: i64) -> u64 {
    value.cast_unsigned()
}
