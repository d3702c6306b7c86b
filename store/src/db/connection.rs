//! One connection, with every setting made and checked at each open.

use std::{
    cell::RefCell,
    collections::HashMap,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use nix::errno::Errno;
use rusqlite::{
    Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior, config::DbConfig, ffi,
};

use super::{DbError, migrations, read_only::Frozen};
use crate::{id::ObjectId, sys::fault};

/// How long a statement waits inside SQLite for the rare locks that readers meet (recovery of the log, the last close).
const STATEMENT_WAIT: Duration = Duration::from_secs(10);
/// How long a transaction waits for the transactions of others. Each takes milliseconds; more than this is a hanging process.
const TRANSACTION_WAIT: Duration = Duration::from_secs(300);
/// When the one who waits is told so.
const NOTICE: Duration = Duration::from_secs(1);

/// What each connection sets and then reads back: name, value to set, value read.
const PRAGMAS: &[(&str, &str, &str)] = &[
    ("journal_mode", "WAL", "wal"),
    ("synchronous", "NORMAL", "1"),
    ("foreign_keys", "ON", "1"),
    ("trusted_schema", "OFF", "0"),
    ("temp_store", "MEMORY", "2"),
];

/// A connection to the database of a store.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Connection,
    /// Set for a file that is read as if it never changed.
    frozen: Option<Frozen>,
    /// The path of a file that can be written, and its inode.
    place: Option<(PathBuf, u64)>,
}

impl Database {
    /// Opens the database, creating it if it does not exist, and brings it to the newest format.
    pub(crate) fn open(path: &Path) -> Result<Self, DbError> {
        let open = DbError::open(path);
        fault::point("db.open").map_err(|errno| open(refused(errno)))?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(&open)?;
        connection.busy_timeout(STATEMENT_WAIT).map_err(&open)?;
        keep_statements(&connection).map_err(open)?;
        for (pragma, wanted, reads) in PRAGMAS {
            set_pragma(&connection, path, pragma, wanted, reads)?;
        }
        migrations::run(&mut connection, path)?;
        Ok(Self {
            connection,
            frozen: None,
            place: inode(path).map(|inode| (path.to_owned(), inode)),
        })
    }

    /// Takes a connection that does not write.
    pub(super) fn of(connection: Connection, frozen: Option<Frozen>) -> Result<Self, DbError> {
        let set = || {
            connection.busy_timeout(STATEMENT_WAIT)?;
            connection.pragma_update(None, "trusted_schema", "OFF")?;
            connection.pragma_update(None, "temp_store", "MEMORY")?;
            keep_statements(&connection)
        };
        set().map_err(DbError::query("prepare to read"))?;
        Ok(Self {
            connection,
            frozen,
            place: None,
        })
    }

    pub(super) const fn frozen(&self) -> Option<&Frozen> {
        self.frozen.as_ref()
    }

    /// Tells whether another file has taken the place of the one that was opened to be written.
    pub(crate) fn is_moved(&self) -> bool {
        let place = self.place.as_ref();
        place.is_some_and(|(path, opened)| inode(path).is_some_and(|inode| inode != *opened))
    }

    pub(super) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Begins a transaction that writes, waiting for other writers. `on_wait` is called once if that takes more than a second.
    pub(crate) fn begin(&mut self, on_wait: &dyn Fn()) -> Result<Write<'_>, DbError> {
        fault::point("db.begin")
            .map_err(|errno| DbError::query("begin a transaction")(refused(errno)))?;
        let started = Instant::now();
        let mut noticed = false;
        let mut pause = Duration::from_micros(200);
        self.connection
            .busy_timeout(Duration::ZERO)
            .map_err(DbError::query("set a time limit"))?;
        loop {
            // The borrow of a transaction that failed to begin outlives the loop's turn, hence the unchecked form; it is the only one.
            match Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate) {
                Ok(transaction) => {
                    self.connection
                        .busy_timeout(STATEMENT_WAIT)
                        .map_err(DbError::query("set a time limit"))?;
                    return Ok(Write {
                        transaction,
                        valid: RefCell::default(),
                    });
                }
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
                Err(error) => return Err(DbError::query("begin a transaction")(error)),
            }
            if started.elapsed() > TRANSACTION_WAIT {
                return Err(DbError::Busy {
                    seconds: TRANSACTION_WAIT.as_secs(),
                });
            }
            if started.elapsed() > NOTICE && !noticed {
                noticed = true;
                on_wait();
            }
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    /// Decides what the transactions from now on survive.
    pub(crate) fn set_durability(&self, durability: Durability) -> Result<(), DbError> {
        let level = match durability {
            Durability::Kill => "NORMAL",
            Durability::PowerCut => "FULL",
        };
        self.connection
            .pragma_update(None, "synchronous", level)
            .map_err(DbError::query("set how transactions are synced"))
    }

    /// Moves the log into the file and syncs it, so that nothing is left that a power cut could undo.
    pub(crate) fn checkpoint(&self) -> Result<(), DbError> {
        fault::point("db.checkpoint")
            .map_err(|errno| DbError::query("write the log")(refused(errno)))?;
        self.connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
            .map_err(DbError::query("write the log"))
    }
}

/// What a committed transaction survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durability {
    /// The end of the process; a power cut may undo the last ones.
    Kill,
    /// A power cut, and so do all before it.
    PowerCut,
}

/// A transaction that writes; undone unless committed.
#[derive(Debug)]
pub(crate) struct Write<'a> {
    transaction: Transaction<'a>,
    /// The rows of objects that are known to be valid now: nobody else can change that before the transaction ends.
    valid: RefCell<HashMap<ObjectId, i64>>,
}

impl Write<'_> {
    pub(super) fn connection(&self) -> &Connection {
        &self.transaction
    }

    /// Returns the row of a valid object, as far as this transaction has met it.
    pub(super) fn known_row(&self, id: &ObjectId) -> Option<i64> {
        self.valid.borrow().get(id).copied()
    }

    /// Remembers the row of a valid object.
    pub(super) fn remember_row(&self, id: ObjectId, row: i64) {
        self.valid.borrow_mut().insert(id, row);
    }

    /// Forgets which objects are valid. Whatever takes validity away or undoes something calls it.
    pub(super) fn forget_rows(&self) {
        self.valid.borrow_mut().clear();
    }

    /// Runs a part of the transaction that is undone alone if it fails.
    pub(crate) fn part<T, E: From<DbError>>(
        &self,
        part: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        let run = |sql| {
            self.transaction
                .execute_batch(sql)
                .map_err(DbError::query("divide a transaction"))
        };
        run("SAVEPOINT part")?;
        let result = part();
        if result.is_err() {
            self.forget_rows();
            run("ROLLBACK TO part")?;
        }
        run("RELEASE part")?;
        result
    }

    /// Makes the changes visible to all.
    pub(crate) fn commit(self) -> Result<(), DbError> {
        fault::point("db.commit")
            .map_err(|errno| DbError::query("commit a transaction")(refused(errno)))?;
        self.transaction
            .commit()
            .map_err(DbError::query("commit a transaction"))
    }
}

/// Compiles each statement once. Without the stability of plans SQLite compiles some anew whenever a value is bound, which takes three times as long as running them.
fn keep_statements(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(64);
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map(drop)
}

fn inode(path: &Path) -> Option<u64> {
    path.metadata().ok().map(|metadata| metadata.ino())
}

/// What SQLite says when the operation below it fails.
pub(super) fn refused(errno: Errno) -> rusqlite::Error {
    let code = match errno {
        Errno::ENOSPC => ffi::SQLITE_FULL,
        Errno::EMFILE => ffi::SQLITE_CANTOPEN,
        _ => ffi::SQLITE_IOERR,
    };
    rusqlite::Error::SqliteFailure(ffi::Error::new(code), Some(errno.desc().to_owned()))
}

/// Tells whether there is no room. Besides saying so, SQLite then cannot make the index of its log.
pub(super) fn is_full(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(error, _) => {
            error.code == ErrorCode::DiskFull || error.extended_code == ffi::SQLITE_IOERR_SHMSIZE
        }
        _ => false,
    }
}

fn set_pragma(
    connection: &Connection,
    path: &Path,
    pragma: &'static str,
    wanted: &'static str,
    reads: &'static str,
) -> Result<(), DbError> {
    let failed = DbError::open(path);
    let not_a_database = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => DbError::Foreign {
            path: path.to_owned(),
        },
        _ => failed(source),
    };
    connection
        .pragma_update(None, pragma, wanted)
        .map_err(not_a_database)?;
    let found = connection
        .pragma_query_value(None, pragma, |row| {
            Ok(match row.get_ref(0)? {
                rusqlite::types::ValueRef::Integer(value) => value.to_string(),
                value => value.as_str().unwrap_or_default().to_owned(),
            })
        })
        .map_err(not_a_database)?;
    if found == reads {
        Ok(())
    } else {
        Err(DbError::Pragma {
            path: path.to_owned(),
            pragma,
            wanted,
            found,
        })
    }
}
