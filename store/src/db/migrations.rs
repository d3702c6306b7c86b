//! The formats of the database, and how an older one becomes the newest.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::DbError;

/// Marks the file as a store's database: "pith" in ASCII.
const APPLICATION_ID: i64 = 0x7069_7468;

/// One script for each format, from the one before it. Scripts that have been released never change.
const MIGRATIONS: &[&str] = &[
    include_str!("0001_initial.sql"),
    include_str!("0002_signatures.sql"),
];

/// Brings the database to the newest format. Costs one read when there is nothing to do.
pub(super) fn run(connection: &mut Connection, path: &Path) -> Result<(), DbError> {
    if format(connection, path)? == newest() {
        return Ok(());
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(DbError::query("begin a migration"))?;
    // Another process may have been faster.
    let found = format(&transaction, path)?;
    let done = usize::try_from(found).unwrap_or_default();
    for script in MIGRATIONS.iter().skip(done) {
        transaction
            .execute_batch(script)
            .map_err(DbError::query("migrate tables"))?;
    }
    let marks = format!(
        "PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={};",
        newest()
    );
    transaction
        .execute_batch(&marks)
        .map_err(DbError::query("write the format"))?;
    transaction
        .commit()
        .map_err(DbError::query("commit a migration"))
}

/// Tells whether the database, which cannot be written, has the newest format.
pub(super) fn check(connection: &Connection, path: &Path) -> Result<(), DbError> {
    let found = format(connection, path)?;
    if found == newest() {
        Ok(())
    } else {
        Err(DbError::OlderFormat {
            path: path.to_owned(),
            found,
            needed: newest(),
        })
    }
}

fn newest() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

fn format(connection: &Connection, path: &Path) -> Result<i64, DbError> {
    let (found, application): (i64, i64) = connection
        .query_row(
            "SELECT user_version, application_id FROM pragma_user_version, pragma_application_id",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .map_err(|source| match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::NotADatabase) => DbError::Foreign {
                path: path.to_owned(),
            },
            _ => DbError::Query {
                action: "read the format",
                source,
            },
        })?;
    if application != APPLICATION_ID && (application != 0 || found != 0) {
        return Err(DbError::Foreign {
            path: path.to_owned(),
        });
    }
    if found > newest() || found < 0 {
        return Err(DbError::NewerFormat {
            path: path.to_owned(),
            found,
            supported: newest(),
        });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::Database;

    #[test]
    fn a_database_of_the_first_format_keeps_its_rows() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db.sqlite");
        let old = Connection::open(&path).unwrap();
        old.execute_batch(MIGRATIONS[0]).unwrap();
        old.execute_batch(&format!(
            "PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version=1;
             INSERT INTO realisation VALUES (zeroblob(32), 'out', zeroblob(32), 'full', 1, 2);"
        ))
        .unwrap();
        drop(old);
        let database = Database::open(&path).unwrap();
        let count = |sql| -> i64 {
            let connection = database.connection();
            connection.query_row(sql, [], |row| row.get(0)).unwrap()
        };
        assert_eq!(
            count("SELECT user_version FROM pragma_user_version"),
            newest()
        );
        assert_eq!(count("SELECT count(*) FROM realisation"), 1);
        assert_eq!(count("SELECT count(*) FROM signature"), 0);
    }
}
