//! What packages of others say of who made them, in the file that their package manager reads.
//!
//! Only what is written there is taken, and only what is of the right form: a page is on the web, an address has two sides. Nothing is completed, nothing is
//! guessed from names. The files are hostile: they are read in bounded amounts, and what cannot be understood says nothing.
//!
//! * `read`: the file of a package, by its package URL.
//! * `people`: persons as package managers write them. Pure.
//! * `npm`, `wheel`, `krate`, `debian`: what each kind of file says. Pure.

mod debian;
mod krate;
mod npm;
mod people;
mod read;
mod wheel;

pub(super) use read::read_stated;
