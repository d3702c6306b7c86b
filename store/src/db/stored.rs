//! Rows as they are, whatever their state: for those who compare them with the disk.

use rusqlite::{OptionalExtension, Row};

use super::{
    DbError,
    connection::Database,
    objects::{COLUMNS, ObjectRow, from_sql, store_path},
};
use crate::{
    id::{PathDigest, StorePath},
    info::PathInfo,
};

/// What can be done with an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectState {
    /// It can be used.
    Valid,
    /// A collector has taken its validity away.
    Deleting,
    /// Its bytes are gone or wrong.
    Damaged,
    /// A collector works on it, and it was damaged before.
    DeletingDamaged,
}

impl ObjectState {
    /// Returns the state that a row's number stands for.
    pub(super) const fn of(number: i64) -> Self {
        match number {
            0 => Self::Valid,
            1 => Self::Deleting,
            2 => Self::Damaged,
            _ => Self::DeletingDamaged,
        }
    }
}

/// An object with its state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StoredObject {
    pub(crate) info: PathInfo,
    pub(crate) state: ObjectState,
}

impl Database {
    /// Returns an object in any state.
    pub(crate) fn find_stored(&self, path: &StorePath) -> Result<Option<StoredObject>, DbError> {
        let row = self
            .connection()
            .prepare_cached(&format!(
                "SELECT {COLUMNS}, state FROM object WHERE digest = ?1"
            ))
            .and_then(|mut statement| {
                statement
                    .query_row([path.digest().as_bytes().as_slice()], read)
                    .optional()
            })
            .map_err(DbError::query("find a path"))?;
        let object = row.map(|row| self.stored(row)).transpose()?;
        Ok(object.filter(|object| object.info.path == *path))
    }

    /// Returns at most `count` objects in any state, ascending by digest, from the first one behind `after`.
    pub(crate) fn list_stored(
        &self,
        after: Option<&PathDigest>,
        count: u32,
    ) -> Result<Vec<StoredObject>, DbError> {
        let after = after.map_or(&[][..], |digest| digest.as_bytes().as_slice());
        let list = || {
            self.connection()
                .prepare_cached(&format!(
                    "SELECT {COLUMNS}, state FROM object WHERE digest > ?1 ORDER BY digest LIMIT ?2"
                ))?
                .query_map(rusqlite::params![after, count], read)?
                .collect::<Result<Vec<_>, _>>()
        };
        let rows = list().map_err(DbError::query("list paths"))?;
        rows.into_iter().map(|row| self.stored(row)).collect()
    }

    /// Returns how many objects there are in any state, and the sum of their sizes in bytes.
    pub(crate) fn count_stored(&self) -> Result<(u64, u64), DbError> {
        self.connection()
            .query_row(
                "SELECT count(*), coalesce(sum(size_bytes), 0) FROM object",
                [],
                |row| Ok((from_sql(row.get(0)?), from_sql(row.get(1)?))),
            )
            .map_err(DbError::query("count paths"))
    }

    /// Returns the paths of objects that were found damaged, ascending.
    pub(crate) fn list_damaged(&self) -> Result<Vec<StorePath>, DbError> {
        let list = || {
            self.connection()
                .prepare_cached("SELECT digest, name FROM object WHERE state = 2 ORDER BY digest")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<Vec<(Vec<u8>, String)>, _>>()
        };
        let rows = list().map_err(DbError::query("list damaged paths"))?;
        rows.into_iter()
            .map(|(digest, name)| store_path(&digest, &name))
            .collect()
    }

    /// Returns the paths of the valid objects that refer to an object, ascending.
    pub(crate) fn list_referrers(&self, digest: &PathDigest) -> Result<Vec<StorePath>, DbError> {
        let list = || {
            self.connection()
                .prepare_cached(
                    "SELECT above.digest, above.name FROM object AS below
                     JOIN reference ON referenced = below.id JOIN object AS above ON above.id = referrer
                     WHERE below.digest = ?1 AND above.state = 0 ORDER BY above.digest",
                )?
                .query_map([digest.as_bytes().as_slice()], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<Vec<(Vec<u8>, String)>, _>>()
        };
        let rows = list().map_err(DbError::query("list referrers"))?;
        rows.into_iter()
            .map(|(digest, name)| store_path(&digest, &name))
            .collect()
    }

    /// Returns the names of the roots that need an object, directly or through others; ascending.
    pub(crate) fn list_roots_above(&self, digest: &PathDigest) -> Result<Vec<String>, DbError> {
        let list = || {
            self.connection()
                .prepare_cached(
                    "WITH RECURSIVE above (id) AS (
                         SELECT id FROM object WHERE digest = ?1
                         UNION
                         SELECT referrer FROM above CROSS JOIN reference ON referenced = above.id)
                     SELECT root.name FROM above CROSS JOIN root ON root.object = above.id ORDER BY root.name",
                )?
                .query_map([digest.as_bytes().as_slice()], |row| row.get(0))?
                .collect::<Result<Vec<String>, _>>()
        };
        list().map_err(DbError::query("list roots"))
    }

    /// Returns the references of valid objects to those that are being deleted, which should not be.
    pub(crate) fn list_dangling(&self) -> Result<Vec<(StorePath, StorePath)>, DbError> {
        type Columns = (Vec<u8>, String, Vec<u8>, String);
        let list = || {
            self.connection()
                .prepare_cached(
                    "SELECT above.digest, above.name, below.digest, below.name FROM object AS below
                     JOIN reference ON referenced = below.id JOIN object AS above ON above.id = referrer
                     WHERE below.state IN (1, 3) AND above.state = 0",
                )?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?
                .collect::<Result<Vec<Columns>, _>>()
        };
        let rows = list().map_err(DbError::query("list dangling references"))?;
        rows.into_iter()
            .map(|(digest, name, below_digest, below_name)| {
                Ok((
                    store_path(&digest, &name)?,
                    store_path(&below_digest, &below_name)?,
                ))
            })
            .collect()
    }

    /// Returns what SQLite finds wrong with the file, in its words: broken pages, wrong indices, rows that name no row.
    pub(crate) fn find_damage(&self) -> Result<Vec<String>, DbError> {
        let check = || {
            let mut messages = self
                .connection()
                .prepare("PRAGMA integrity_check(20)")?
                .query_map([], |row| row.get(0))?
                .collect::<Result<Vec<String>, _>>()?;
            messages.retain(|message| message != "ok");
            let orphans: i64 = self.connection().query_row(
                "SELECT count(*) FROM pragma_foreign_key_check",
                [],
                |row| row.get(0),
            )?;
            if orphans > 0 {
                messages.push(format!("{orphans} rows name a row that does not exist"));
            }
            Ok(messages)
        };
        check().map_err(DbError::query("look for damage"))
    }

    fn stored(&self, (row, state): (ObjectRow, i64)) -> Result<StoredObject, DbError> {
        Ok(StoredObject {
            info: row.into_info(self.connection())?,
            state: ObjectState::of(state),
        })
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<(ObjectRow, i64)> {
    Ok((ObjectRow::read(row)?, row.get(10)?))
}
