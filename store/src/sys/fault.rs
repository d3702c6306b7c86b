//! Named points where a test can make an operation fail or its process die.
//!
//! Without the feature `faults` each point is an empty function.

/// Reaches a point. With the feature `faults`, does what [`crate::faults::set`] armed there.
#[cfg(not(feature = "faults"))]
#[inline]
pub(crate) fn point(_name: &'static str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(feature = "faults")]
pub(crate) use crate::faults::point;
