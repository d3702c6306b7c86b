//! Ways out of what libraries fail with, wherever in the chain of causes it is.

use std::{error::Error, io::ErrorKind};

use store::{
    AddError, ClosureError, DbError, OpenError, ReadOnlyReason, RebuildError, RootError,
    VerifyError,
};

const MAKE_ROOM: &str = "`pith store gc` deletes what nothing needs";

/// Returns the hint for the first cause that has one.
pub(crate) fn find(error: &(dyn Error + 'static)) -> Option<&'static str> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(hint) = of(error) {
            return Some(hint);
        }
        cause = error.source();
    }
    None
}

fn of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = find_type::<DbError>(error) {
        return of_database(error);
    }
    match find_type::<AddError>(error) {
        Some(AddError::Db(error)) => return of_database(error),
        Some(AddError::NoSpace { .. } | AddError::NoFiles { .. } | AddError::Quota { .. }) => {
            return Some(MAKE_ROOM);
        }
        _ => {}
    }
    if let Some(OpenError::Db(error)) = find_type(error) {
        return of_database(error);
    }
    match find_type(error) {
        Some(RootError::Db(error)) => return of_database(error),
        Some(RootError::File(error)) if error.source.kind() == ErrorKind::StorageFull => {
            return Some(MAKE_ROOM);
        }
        _ => {}
    }
    if let Some(VerifyError::Db(error)) = find_type(error) {
        return of_database(error);
    }
    match find_type(error) {
        Some(ClosureError::Db(error)) => return of_database(error),
        Some(ClosureError::Dangling { .. }) => {
            return Some("`pith store repair` puts right what is damaged");
        }
        _ => {}
    }
    match find_type(error) {
        Some(RebuildError::InUse { .. }) => Some("try again when it is done"),
        _ => None,
    }
}

/// A cause that is kept in a box is seen as the box.
fn find_type<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    error
        .downcast_ref::<E>()
        .or_else(|| Some(error.downcast_ref::<Box<E>>()?.as_ref()))
}

fn of_database(error: &DbError) -> Option<&'static str> {
    match error {
        DbError::Full { .. }
        | DbError::ReadOnly {
            reason: ReadOnlyReason::Full,
            ..
        } => Some(MAKE_ROOM),
        DbError::ReadOnly { .. } => Some("`--store DIR` uses another store"),
        DbError::NewerFormat { .. } => Some(
            "a newer pith has used this store; use that one, or another store with `--store DIR`",
        ),
        DbError::OlderFormat { .. } | DbError::UnreadableLog { .. } => {
            Some("`pith store info` does it, run by who may write to the store")
        }
        error if error.is_damage() => {
            Some("`pith store rebuild-db` makes the database again from the records beside it")
        }
        _ => None,
    }
}
