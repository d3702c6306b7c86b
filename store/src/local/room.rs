//! Room on disk for one add: looked for before a byte is written, reserved against others, and named when there is none.

use std::sync::atomic::{AtomicU64, Ordering};

use nix::{errno::Errno, fcntl::FlockArg};

use super::{
    AddBatch, AddError, LeaseError, LocalStore,
    measure::{Directories, Measure},
};
use crate::{
    db::DbError,
    id::StoreName,
    space::{Free, Reservation, Reservations, directory, reserve},
    sys::{FileError, files::at, lock::lock_file},
};

/// With more free than this, a directory is not measured before it is copied, and nothing is reserved: that would cost more than it could tell.
const PLENTY: u64 = 64 << 30;
/// Smaller adds reserve nothing: what others leave free is more.
const SMALL: u64 = 1 << 20;
/// What the file system takes beside the blocks of files, as a part of them.
const OVERHEAD_PART: u64 = 50;

/// Room for one batch. Used by several threads at once.
#[derive(Debug)]
pub(super) struct Room {
    /// The batch's first object, by which messages call it; `None` for an empty batch.
    name: Option<StoreName>,
    /// Bytes that the batch needs, as far as is known.
    needed: u64,
    /// Files, symlinks and directories of it, as far as is known.
    nodes: u64,
    /// Bytes that it may take.
    available: u64,
    /// Whether so much is free that nothing has to be reserved.
    is_plenty: bool,
    taken: AtomicU64,
    reservation: Option<Reservation>,
}

impl Room {
    /// Takes room for a file before it is written.
    pub(super) fn take(&self, bytes: u64) -> Result<(), AddError> {
        let taken = self
            .taken
            .fetch_add(bytes, Ordering::Relaxed)
            .saturating_add(bytes);
        if let Some(reservation) = &self.reservation {
            reservation.note_written(bytes);
        }
        match &self.name {
            Some(name) if taken > self.available => Err(AddError::NoSpace {
                name: name.clone(),
                needed: taken.max(self.needed),
                available: self.available,
            }),
            _ => Ok(()),
        }
    }
}

impl LocalStore {
    /// Finds out how much room a batch needs. Nothing is reserved yet.
    pub(super) fn measure(&self, batch: &AddBatch<'_>) -> Result<Room, AddError> {
        let free = self.free()?;
        let is_plenty = free.bytes >= PLENTY;
        let directories = if is_plenty {
            Directories::PassedOver
        } else {
            Directories::Measured
        };
        let measure = Measure::of(batch, free.block, self.options().limits, directories);
        Ok(Room {
            name: batch.objects.first().map(|object| object.name.clone()),
            needed: measure
                .disk_bytes
                .saturating_add(measure.disk_bytes / OVERHEAD_PART),
            nodes: measure.nodes,
            available: u64::MAX,
            is_plenty,
            taken: AtomicU64::new(0),
            reservation: None,
        })
    }

    /// Returns the room that objects need whose contents are known. Nothing is reserved yet.
    pub(super) fn room_for(&self, name: StoreName, bytes: u64, nodes: u64) -> Room {
        Room {
            name: Some(name),
            needed: bytes.saturating_add(bytes / OVERHEAD_PART),
            nodes,
            available: u64::MAX,
            is_plenty: false,
            taken: AtomicU64::new(0),
            reservation: None,
        }
    }

    /// Reserves the room that was found to be needed.
    pub(super) fn reserve(&self, room: &mut Room) -> Result<(), AddError> {
        let reservations = Reservations::new(directory(self.root()));
        if room.needed < SMALL || room.is_plenty {
            return self.check(room, reservations.sum()?);
        }
        // Two that look at the same time would each see room that only one of them can have.
        let path = self.root().join("var/lock/space");
        let _turn = lock_file(&path, FlockArg::LockExclusive)?;
        self.check(room, reservations.sum()?)?;
        room.reservation = Some(reservations.reserve(&self.next_name(), room.needed)?);
        Ok(())
    }

    fn free(&self) -> Result<Free, FileError> {
        Free::of(self.store_fd()).map_err(at("measure", self.store_directory()))
    }

    fn check(&self, room: &mut Room, reserved: u64) -> Result<(), AddError> {
        let Some(name) = &room.name else {
            return Ok(());
        };
        let free = self.free()?;
        room.available = free
            .bytes
            .saturating_sub(free.margin())
            .saturating_sub(reserved);
        if room.needed > room.available {
            return Err(AddError::NoSpace {
                name: name.clone(),
                needed: room.needed,
                available: room.available,
            });
        }
        match free.files {
            Some(available) if room.nodes > available => Err(AddError::NoFiles {
                name: name.clone(),
                needed: room.nodes,
                available,
            }),
            _ => Ok(()),
        }
    }

    /// Says how much room was missing, when that is why an add failed in the middle: somebody else has filled the disk.
    pub(super) fn explain(&self, room: &Room, error: AddError) -> AddError {
        let (Some(name), Some(lack)) = (room.name.clone(), lack(&error)) else {
            return error;
        };
        let needed = room.needed.max(room.taken.load(Ordering::Relaxed));
        let Ok(free) = self.free() else { return error };
        match (lack, free.files) {
            (Lack::Quota, _) => AddError::Quota { name, needed },
            (Lack::Space, Some(0)) => AddError::NoFiles {
                name,
                needed: room.nodes.max(1),
                available: 0,
            },
            (Lack::Space, _) => AddError::NoSpace {
                name,
                needed,
                available: free.bytes.saturating_sub(free.margin()),
            },
        }
    }

    /// Gives up the bytes that are kept for this, so that something can be deleted although the disk is full. Called by a collector before it begins, and
    /// undone by [`LocalStore::keep_reserve`] when it has ended.
    pub fn release_reserve(&self) -> Result<(), FileError> {
        reserve::release(self.root()).map(drop)
    }

    /// Makes the reserve unless it is there or there is little room. Done by each process before its first write.
    pub fn keep_reserve(&self) -> Result<(), FileError> {
        reserve::keep(self.root())
    }
}

/// What there is too little of.
enum Lack {
    Space,
    Quota,
}

fn lack(error: &AddError) -> Option<Lack> {
    let of_file = |error: &FileError| match error.source.raw_os_error() {
        Some(errno) if errno == Errno::ENOSPC as i32 => Some(Lack::Space),
        Some(errno) if errno == Errno::EDQUOT as i32 => Some(Lack::Quota),
        _ => None,
    };
    let of_database =
        |error: &DbError| matches!(error, DbError::Full { .. }).then_some(Lack::Space);
    match error {
        AddError::File(error) | AddError::Lease(LeaseError::File(error)) => of_file(error),
        AddError::Db(error) => of_database(error),
        AddError::Group { source } => of_database(source),
        _ => None,
    }
}
