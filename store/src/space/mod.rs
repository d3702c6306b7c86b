//! Room on the file system of a store: what is free, what living processes are about to write, and a reserve for deleting.
//!
//! Invariant: **who deletes always can.** An add leaves [`Free::margin`] bytes free, and a file of allocated bytes, the reserve, can be given up when even
//! those are gone; see [`reserve`].
//!
//! Reservations are promises between processes of this store: one file each, locked by who made it, as leases are. What other programs write is
//! not known before; an add that meets a full disk in spite of its reservation fails and leaves nothing.

mod free;
mod reservation;
pub(crate) mod reserve;

pub(crate) use self::{
    free::Free,
    reservation::{Reservation, Reservations, directory},
};
