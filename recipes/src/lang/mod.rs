//! The recipe language: Starlark files to derivations.
