//! The pith command.
fn main() {}
