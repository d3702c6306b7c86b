//! The caller's own streams, as `pith run` uses them.
