//! The time that images and documents claim to be of.

use pack::oci::{OciError, Timestamp};
use thiserror::Error;

use crate::context::Context;
use crate::error::{CommandError, ExitStatus};

/// `SOURCE_DATE_EPOCH` is not what its name says.
#[derive(Debug, Error)]
#[error("`SOURCE_DATE_EPOCH` is not a number of seconds")]
struct BadEpoch(#[source] OciError);

/// Returns the time of the command line, else that of the environment, else always the same.
pub(crate) fn claimed_time(
    asked: Option<Timestamp>,
    context: &Context,
) -> Result<Timestamp, CommandError> {
    if let Some(asked) = asked {
        return Ok(asked);
    }
    let Some(epoch) = &context.settings().variables.source_date_epoch else {
        return Ok(Timestamp::default());
    };
    let epoch = epoch.to_string_lossy();
    let seconds = epoch.parse::<Timestamp>().and_then(|time| {
        let is_number = epoch.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then_some(time).ok_or_else(|| OciError::Time {
            text: epoch.to_string(),
        })
    });
    seconds.map_err(|error| CommandError::new(ExitStatus::Usage, BadEpoch(error)))
}
