//! Where a bill of materials may be written.

use std::path::Path;

use thiserror::Error;

use crate::context::Context;
use crate::error::{CommandError, ExitStatus};

/// The bill cannot be written where it was asked for.
#[derive(Debug, Error)]
enum BillPlaceError {
    #[error("`{0}` is for the image and for its bill")]
    Taken(String),
    #[error("there is no directory `{0}` for the bill")]
    NoDirectory(String),
}

/// Refuses, before anything is built, a place where the bill would replace the image or cannot be.
pub(crate) fn check_bill_place(
    bill: Option<&Path>,
    image: Option<&Path>,
    context: &Context,
) -> Result<(), CommandError> {
    let Some(bill) = bill else {
        return Ok(());
    };
    let refuse = |error| Err(CommandError::new(ExitStatus::Usage, error));
    let place = context.directory().join(bill);
    if image.is_some_and(|image| context.directory().join(image) == place) {
        return refuse(BillPlaceError::Taken(bill.display().to_string()));
    }
    match place.parent() {
        Some(parent) if !parent.is_dir() => {
            refuse(BillPlaceError::NoDirectory(parent.display().to_string()))
        }
        _ => Ok(()),
    }
}
