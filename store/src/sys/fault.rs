//! The one point that every I/O operation of the store passes before it is done.
//!
//! Without the feature `faults` it is an empty function. With it, a test can let the n-th operation fail or the process die there; see
//! [`crate::faults`].

/// Passes the point of an operation, which is named by its verb.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) const fn point(_operation: &'static str) -> nix::Result<()> {
    Ok(())
}

#[cfg(feature = "faults")]
pub(crate) use crate::faults::point;
