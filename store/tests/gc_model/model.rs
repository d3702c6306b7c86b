//! The states of the model and what must hold in each.

/// Objects: `LIBRARY` is referred to by `APPLICATION`.
pub(crate) const LIBRARY: usize = 0;
pub(crate) const APPLICATION: usize = 1;

/// A row of the database, as committed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Row {
    Absent,
    Valid,
    Deleting,
    Damaged,
    DeletingDamaged,
}

impl Row {
    pub(crate) fn is_being_deleted(self) -> bool {
        matches!(self, Self::Deleting | Self::DeletingDamaged)
    }

    /// Whether a collector may take it for a candidate, and it keeps what it refers to.
    pub(crate) fn counts(self) -> bool {
        matches!(self, Self::Valid | Self::Damaged)
    }
}

/// What lies somewhere.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Bytes {
    None,
    Whole,
    Broken,
}

/// What lies at an object's place, and in a collector's trash.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Files {
    pub(crate) place: Bytes,
    pub(crate) trash: Bytes,
}

/// One truth for each object.
pub(crate) type Both<T> = [T; 2];

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Collector {
    Idle,
    /// It knows what nothing kept when it looked.
    Marked {
        dead: Both<bool>,
    },
    /// Only with a broken rule: it has read leases and has not begun its transaction.
    Read {
        dead: Both<bool>,
        leased: Both<bool>,
    },
    /// Tombstones are committed.
    Buried {
        dead: Both<bool>,
    },
    /// In the transaction that removes rows; what has been moved.
    Moving {
        dead: Both<bool>,
        moved: Both<bool>,
    },
    /// Only with a broken rule: it knows which rows to remove, and has no transaction.
    Decided {
        dead: Both<bool>,
    },
    Unlinking,
}

/// How far a process is that wants the application.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum User {
    Start,
    Looking(usize),
    Claiming(usize),
    Putting(usize),
    /// Only with a broken rule: it has cleared the place for what it wants to put there.
    Replacing(usize),
    Registering(usize),
    /// Another one was faster.
    Confirming(usize),
    /// It has got what it wanted.
    Using,
    Gone,
}

/// The next who opens the store.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Opener {
    Idle,
    /// It alone decides; rows that are being deleted may be revived.
    Reviving,
    /// In the transaction that removes rows.
    Moving {
        moved: Both<bool>,
    },
    Finishing,
    Settling,
    Emptying,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct State {
    pub(crate) rows: Both<Row>,
    /// What the rows may be again after a power cut: each state since the last transaction that was synced.
    pub(crate) undo: Vec<Both<Row>>,
    pub(crate) files: Both<Files>,
    /// What is on disk for sure.
    pub(crate) synced: Both<Files>,
    /// The application is a root.
    pub(crate) root: bool,
    /// Somebody is in a transaction that writes.
    pub(crate) writing: bool,
    pub(crate) collector: Collector,
    /// The first adds what it does not find; the second does if `adds`, and gives up otherwise.
    pub(crate) users: [User; 2],
    pub(crate) adds: [bool; 2],
    pub(crate) leases: [bool; 2],
    pub(crate) opener: Opener,
    /// A collector died.
    pub(crate) dead_trash: bool,
    /// The opener has found the trash of one.
    pub(crate) found_trash: bool,
    /// What an adder that died may have put in place.
    pub(crate) published: Both<bool>,
    /// The machine was off, and nobody has looked at the store since.
    pub(crate) crashed: bool,
    /// Somebody was told that it is valid, and nobody has deleted it since.
    pub(crate) promised: Both<bool>,
    /// A leased adder was refused because what it refers to is not valid.
    pub(crate) refused: bool,
    pub(crate) collections_left: u8,
    pub(crate) deaths_left: u8,
    pub(crate) cuts_left: u8,
    pub(crate) damages_left: u8,
}

/// Rules of the protocol, to be broken one at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rule {
    /// Bytes go after validity.
    TombstoneBeforeUnlink,
    /// Tombstones are synced.
    DurableTombstone,
    /// Leases are read inside the transaction, and nobody leases from then until the commit.
    LeasesInTransaction,
    /// Only what has nobody referring to it goes.
    ReferrersFirst,
    /// Objects move inside the transaction in which their rows go.
    MoveInTransaction,
    /// Who adds settles with the tombstone before anything is put in its place.
    ClaimBeforePut,
    /// A tombstone remembers damage.
    DamageIsRemembered,
    /// After a power cut, what was being deleted and is whole becomes valid again.
    ReviveAfterCut,
    /// An open removes trash only after rows have gone.
    FinishBeforeEmptying,
    /// What is put in place is synced before it is registered.
    SyncBeforeRegister,
    /// What lies at a place is replaced in one step.
    ReplaceInOneStep,
}

impl Rule {
    pub(crate) const ALL: &[Self] = &[
        Self::TombstoneBeforeUnlink,
        Self::DurableTombstone,
        Self::LeasesInTransaction,
        Self::ReferrersFirst,
        Self::MoveInTransaction,
        Self::ClaimBeforePut,
        Self::DamageIsRemembered,
        Self::ReviveAfterCut,
        Self::FinishBeforeEmptying,
        Self::SyncBeforeRegister,
        Self::ReplaceInOneStep,
    ];
}

impl State {
    /// Both objects valid, nobody there. Two adders, or one and one who only holds.
    pub(crate) fn start(adders: usize) -> Self {
        let files = Files {
            place: Bytes::Whole,
            trash: Bytes::None,
        };
        Self {
            rows: [Row::Valid; 2],
            undo: Vec::new(),
            files: [files; 2],
            synced: [files; 2],
            root: false,
            writing: false,
            collector: Collector::Idle,
            users: [User::Start; 2],
            adds: [true, adders == 2],
            leases: [false; 2],
            opener: Opener::Idle,
            dead_trash: false,
            found_trash: false,
            published: [false; 2],
            crashed: false,
            promised: [true; 2],
            refused: false,
            collections_left: 2,
            deaths_left: 1,
            cuts_left: 1,
            damages_left: 1,
        }
    }

    pub(crate) fn is_leased(&self) -> bool {
        self.leases.contains(&true)
    }

    /// Records rows as they are before a transaction that is not synced.
    pub(crate) fn remember(&mut self) {
        if !self.undo.contains(&self.rows) {
            self.undo.push(self.rows);
            // The order does not matter, and equal states must be equal.
            self.undo.sort_by_key(|rows| rows.map(|row| row as u8));
        }
    }

    /// Returns what is wrong with a state.
    pub(crate) fn find_violation(&self) -> Option<String> {
        for object in [LIBRARY, APPLICATION] {
            if self.rows[object] == Row::Valid && self.files[object].place != Bytes::Whole {
                return Some(format!("object {object} is valid without its bytes"));
            }
        }
        if self.rows[APPLICATION] == Row::Valid && !self.rows[LIBRARY].counts() {
            return Some("a reference dangles".into());
        }
        if self.refused {
            return Some("an add is refused although all that it needs is leased".into());
        }
        if self.users.contains(&User::Using)
            && self.rows[APPLICATION] != Row::Valid
            && self.damages_left > 0
        {
            return Some("an object is gone that somebody holds".into());
        }
        if self.is_settled() {
            return self.find_loss();
        }
        None
    }

    /// Nobody has anything to put right.
    fn is_settled(&self) -> bool {
        !self.crashed && self.opener == Opener::Idle
    }

    fn find_loss(&self) -> Option<String> {
        for object in [LIBRARY, APPLICATION] {
            if self.promised[object] && self.rows[object] != Row::Valid {
                return Some(format!("object {object} is lost"));
            }
        }
        if self.root && !self.rows[APPLICATION].counts() {
            return Some("a root is gone".into());
        }
        let quiet = self.collector == Collector::Idle
            && !self.dead_trash
            && self.published == [false; 2]
            && self
                .users
                .iter()
                .all(|user| matches!(user, User::Start | User::Gone));
        for object in [LIBRARY, APPLICATION] {
            let files = self.files[object];
            let is_left = files.trash != Bytes::None
                || (files.place != Bytes::None && self.rows[object] == Row::Absent);
            // What something damaged refers to stays until that goes.
            let is_referred = object == LIBRARY && self.rows[APPLICATION].counts();
            let is_waiting = self.rows[object].is_being_deleted() && !is_referred;
            if quiet && (is_left || is_waiting) {
                return Some(format!("something of object {object} is left over"));
            }
        }
        None
    }
}
