//! Rows that keep objects alive.

use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};

use super::{
    DbError,
    connection::{Database, Write},
    objects::{from_sql, store_path, to_sql},
};
use crate::id::StorePath;

/// Why a root exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RootKind {
    /// Someone asked for it by name.
    Explicit,
    /// It is the result of a build.
    BuildResult,
    /// It is a generation of a profile; the root's name is the path of the generation's link, relative to the store's root if the link lies below it.
    Profile,
}

/// A named reason to keep an object and its closure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Its name, unique in the store.
    pub name: String,
    /// What it keeps.
    pub path: StorePath,
    /// Why.
    pub kind: RootKind,
    /// When it was made, in seconds since 1970.
    pub created: u64,
}

impl Database {
    /// Returns all roots, by name.
    pub(crate) fn list_roots(&self) -> Result<Vec<Root>, DbError> {
        list_roots(self.connection())
    }
}

impl Write<'_> {
    /// Returns all roots, by name, as this transaction sees them.
    pub(crate) fn list_roots(&self) -> Result<Vec<Root>, DbError> {
        list_roots(self.connection())
    }

    /// Makes a valid path a root, replacing the root of that name.
    pub(crate) fn set_root(&self, root: &Root) -> Result<(), DbError> {
        let kind: i64 = match root.kind {
            RootKind::Explicit => 0,
            RootKind::BuildResult => 1,
            RootKind::Profile => 2,
        };
        let changed = self
            .connection()
            .execute(
                "INSERT INTO root (name, object, kind, created)
                 SELECT ?1, id, ?3, ?4 FROM object WHERE digest = ?2 AND name = ?5 AND state = 0
                 ON CONFLICT (name) DO UPDATE SET object = excluded.object, kind = excluded.kind, created = excluded.created",
                params![root.name, root.path.digest().as_bytes(), kind, to_sql(root.created), root.path.name().as_str()],
            )
            .map_err(DbError::query("write a root"))?;
        if changed == 0 {
            Err(DbError::NotValid {
                path: root.path.clone(),
            })
        } else {
            Ok(())
        }
    }

    /// Removes a root. Tells whether there was one.
    pub(crate) fn remove_root(&self, name: &str) -> Result<bool, DbError> {
        self.connection()
            .execute("DELETE FROM root WHERE name = ?1", [name])
            .map(|count| count > 0)
            .map_err(DbError::query("remove a root"))
    }
}

fn list_roots(connection: &Connection) -> Result<Vec<Root>, DbError> {
    type Columns = (String, Vec<u8>, String, i64, i64);
    let read = || {
        connection
            .prepare_cached(
                "SELECT root.name, digest, object.name, kind, created FROM root JOIN object ON object.id = root.object
                 ORDER BY root.name",
            )?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?
            .collect::<Result<Vec<Columns>, _>>()
    };
    let rows = read().map_err(DbError::query("list roots"))?;
    rows.into_iter()
        .map(|(name, digest, path, kind, created)| {
            let kind = match kind {
                0 => RootKind::Explicit,
                1 => RootKind::BuildResult,
                2 => RootKind::Profile,
                _ => return Err(DbError::damaged(&name, "kind")),
            };
            Ok(Root {
                name,
                path: store_path(&digest, &path)?,
                kind,
                created: from_sql(created),
            })
        })
        .collect()
}
