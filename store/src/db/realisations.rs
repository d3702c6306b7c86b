//! Rows that say what was built to what.

use rusqlite::{Row, params};

use super::{
    DbError,
    connection::{Database, Write},
    objects::{from_sql, store_path, to_sql},
};
use crate::{
    id::{ObjectId, ResolvedDigest},
    info::{Realisation, RecordedOutput},
};

impl Database {
    /// Returns the realisations of a derivation whose objects are valid, by output and then by object.
    pub(crate) fn find_realisations(
        &self,
        resolved: &ResolvedDigest,
    ) -> Result<Vec<Realisation>, DbError> {
        let condition = "resolved = ?1 AND state = 0 ORDER BY output, full";
        self.load_realisations(condition, resolved.as_bytes())
    }

    /// Returns what a derivation was built to, whether the objects are still there or not. Those that are come first, then by output and by object.
    pub(crate) fn find_recorded_outputs(
        &self,
        resolved: &ResolvedDigest,
    ) -> Result<Vec<RecordedOutput>, DbError> {
        let columns = |row: &Row<'_>| {
            Ok(RecordedOutput {
                output: row.get(0)?,
                object: ObjectId::from_bytes(row.get(1)?),
                is_valid: row.get(2)?,
                sandbox: row.get(3)?,
                built_at: from_sql(row.get(4)?),
                duration_ms: from_sql(row.get(5)?),
            })
        };
        let read = || {
            self.connection()
                .prepare_cached(
                    "SELECT output, realisation.object, coalesce(state = 0, 0) AS valid, sandbox, built_at, duration_ms
                     FROM realisation LEFT JOIN object ON object.full = realisation.object
                     WHERE resolved = ?1 ORDER BY valid DESC, output, realisation.object",
                )?
                .query_map([resolved.as_bytes()], columns)?
                .collect::<Result<Vec<_>, _>>()
        };
        read().map_err(DbError::query("find realisations"))
    }

    /// Returns the realisations that ended in a valid object, by what was built and then by output.
    pub(crate) fn find_realisations_of(
        &self,
        object: &ObjectId,
    ) -> Result<Vec<Realisation>, DbError> {
        let condition = "realisation.object = ?1 AND state = 0 ORDER BY resolved, output";
        self.load_realisations(condition, object.as_bytes())
    }

    /// Returns the realisations that end in an object, whatever its state, by what was built and then by output.
    pub(crate) fn list_realisations_of(
        &self,
        object: &ObjectId,
    ) -> Result<Vec<Realisation>, DbError> {
        let condition = "realisation.object = ?1 ORDER BY resolved, output";
        self.load_realisations(condition, object.as_bytes())
    }

    fn load_realisations(
        &self,
        condition: &'static str,
        key: &[u8],
    ) -> Result<Vec<Realisation>, DbError> {
        type Columns = (
            [u8; 32],
            String,
            [u8; 32],
            Vec<u8>,
            String,
            String,
            i64,
            i64,
        );
        let read = || {
            self.connection()
                .prepare_cached(&format!(
                    "SELECT resolved, output, full, digest, name, sandbox, built_at, duration_ms
                     FROM realisation JOIN object ON object.full = realisation.object WHERE {condition}"
                ))?
                .query_map([key], |row| {
                    Ok((
                        row.get(0)?,
                        row.get(1)?,
                        row.get(2)?,
                        row.get(3)?,
                        row.get(4)?,
                        row.get(5)?,
                        row.get(6)?,
                        row.get(7)?,
                    ))
                })?
                .collect::<Result<Vec<Columns>, _>>()
        };
        let rows = read().map_err(DbError::query("find realisations"))?;
        rows.into_iter()
            .map(
                |(resolved, output, full, digest, name, sandbox, built_at, duration_ms)| {
                    Ok(Realisation {
                        resolved: ResolvedDigest::from_bytes(resolved),
                        output,
                        object: ObjectId::from_bytes(full),
                        path: store_path(&digest, &name)?,
                        sandbox,
                        built_at: from_sql(built_at),
                        duration_ms: from_sql(duration_ms),
                    })
                },
            )
            .collect()
    }
}

impl Write<'_> {
    /// Records a realisation. Of one that is known, the newest facts stay, as in its record.
    pub(crate) fn add_realisation(&self, realisation: &Realisation) -> Result<(), DbError> {
        self.connection()
            .prepare_cached(
                "INSERT INTO realisation (resolved, output, object, sandbox, built_at, duration_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT DO UPDATE SET sandbox = excluded.sandbox, built_at = excluded.built_at, duration_ms = excluded.duration_ms",
            )
            .and_then(|mut statement| {
                statement.execute(params![
                    realisation.resolved.as_bytes(),
                    realisation.output,
                    realisation.object.as_bytes(),
                    realisation.sandbox,
                    to_sql(realisation.built_at),
                    to_sql(realisation.duration_ms),
                ])
            })
            .map(|_| ())
            .map_err(DbError::query("insert a realisation"))
    }
}
