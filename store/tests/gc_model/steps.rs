//! Who can do what in a state.

use super::model::{
    APPLICATION, Both, Bytes, Collector, Files, LIBRARY, Opener, Row, Rule, State, User,
};

/// Referrers first.
const DOWN: [usize; 2] = [APPLICATION, LIBRARY];
/// References first.
const UP: [usize; 2] = [LIBRARY, APPLICATION];

/// A step and where it leads.
type Step = (String, State);

/// Returns every step that somebody can take.
pub(crate) fn all(state: &State, broken: Option<Rule>) -> Vec<Step> {
    let is_broken = |rule| broken == Some(rule);
    let mut steps = Vec::new();
    if !state.crashed {
        collector(state, &is_broken, &mut steps);
        for user in [0, 1] {
            self::user(state, user, &is_broken, &mut steps);
        }
        damage(state, &mut steps);
    }
    opener(state, &is_broken, &mut steps);
    deaths(state, &mut steps);
    power_cuts(state, &mut steps);
    steps
}

fn step(
    steps: &mut Vec<Step>,
    name: impl Into<String>,
    state: &State,
    change: impl FnOnce(&mut State),
) {
    let mut next = state.clone();
    change(&mut next);
    steps.push((name.into(), next));
}

fn collector(state: &State, is_broken: &impl Fn(Rule) -> bool, steps: &mut Vec<Step>) {
    match state.collector {
        Collector::Idle if state.collections_left > 0 => {
            step(steps, "collector marks", state, |next| {
                let alive = [state.root || state.is_leased(); 2];
                next.collector = Collector::Marked {
                    dead: alive.map(|alive| !alive),
                };
                next.collections_left -= 1;
            });
        }
        Collector::Marked { dead } if is_broken(Rule::LeasesInTransaction) => {
            step(steps, "collector reads leases", state, |next| {
                next.collector = Collector::Read {
                    dead,
                    leased: [state.is_leased(); 2],
                };
            });
        }
        Collector::Marked { dead } if !state.writing => {
            bury(state, dead, [state.is_leased(); 2], is_broken, steps);
        }
        Collector::Read { dead, leased } if !state.writing => {
            bury(state, dead, leased, is_broken, steps);
        }
        Collector::Buried { dead } if is_broken(Rule::MoveInTransaction) => {
            step(steps, "collector decides what to remove", state, |next| {
                let still = |object: usize| dead[object] && state.rows[object].is_being_deleted();
                next.collector = Collector::Decided {
                    dead: [still(LIBRARY), still(APPLICATION)],
                };
            });
        }
        Collector::Buried { dead } if !state.writing => {
            step(steps, "collector begins to remove", state, |next| {
                next.writing = true;
                next.collector = Collector::Moving {
                    dead,
                    moved: [false; 2],
                };
            });
        }
        Collector::Decided { dead } => {
            step(steps, "collector moves and removes", state, |next| {
                for object in DOWN.into_iter().filter(|object| dead[*object]) {
                    next.files[object].move_to_trash();
                }
                next.remember();
                for object in DOWN {
                    if dead[object] && next.rows[object].is_being_deleted() {
                        next.rows[object] = Row::Absent;
                    }
                }
                next.collector = Collector::Unlinking;
            });
        }
        Collector::Moving { dead, moved } => {
            let next_one = next_to_move(state, dead, moved);
            match next_one {
                Some(object) => step(steps, format!("collector moves {object}"), state, |next| {
                    next.files[object].move_to_trash();
                    let mut moved = moved;
                    moved[object] = true;
                    next.collector = Collector::Moving { dead, moved };
                }),
                None => step(steps, "collector commits the removal", state, |next| {
                    next.remove_rows(moved);
                    next.writing = false;
                    next.collector = Collector::Unlinking;
                }),
            }
        }
        Collector::Unlinking => unlink(state, steps),
        _ => {}
    }
}

fn bury(
    state: &State,
    dead: Both<bool>,
    leased: Both<bool>,
    is_broken: &impl Fn(Rule) -> bool,
    steps: &mut Vec<Step>,
) {
    step(steps, "collector commits tombstones", state, |next| {
        if is_broken(Rule::DurableTombstone) {
            next.remember();
        } else {
            next.undo.clear();
        }
        for object in DOWN {
            let rooted = state.root && object == APPLICATION;
            let referred = object == LIBRARY
                && next.rows[APPLICATION].counts()
                && !is_broken(Rule::ReferrersFirst);
            if !dead[object] || leased[object] || rooted || referred || !next.rows[object].counts()
            {
                continue;
            }
            next.promised[object] = false;
            if is_broken(Rule::TombstoneBeforeUnlink) {
                continue;
            }
            next.rows[object] = match next.rows[object] {
                Row::Damaged if !is_broken(Rule::DamageIsRemembered) => Row::DeletingDamaged,
                _ => Row::Deleting,
            };
        }
        let is_dead = |row: Row| row.is_being_deleted();
        next.collector = Collector::Buried {
            dead: next.rows.map(is_dead),
        };
        if is_broken(Rule::TombstoneBeforeUnlink) {
            for object in DOWN {
                if dead[object] && !leased[object] && next.rows[object].counts() && !state.root {
                    next.files[object].move_to_trash();
                    next.files[object].trash = Bytes::None;
                }
            }
        }
    });
}

/// The object that goes next in a transaction that removes rows: being deleted, and nothing left that refers to it.
fn next_to_move(state: &State, dead: Both<bool>, moved: Both<bool>) -> Option<usize> {
    DOWN.into_iter().find(|object| {
        let free =
            *object == APPLICATION || moved[APPLICATION] || state.rows[APPLICATION] == Row::Absent;
        dead[*object] && !moved[*object] && state.rows[*object].is_being_deleted() && free
    })
}

fn unlink(state: &State, steps: &mut Vec<Step>) {
    // What lies in the trash of a collector that died is not this one's.
    let mut left = false;
    for object in UP {
        let trash = state.files[object].trash;
        if trash == Bytes::None || state.rows[object].is_being_deleted() {
            continue;
        }
        left = true;
        step(
            steps,
            format!("collector unlinks of {object}"),
            state,
            |next| {
                next.files[object].trash = match trash {
                    Bytes::Whole => Bytes::Broken,
                    _ => Bytes::None,
                };
            },
        );
    }
    if !left {
        step(steps, "collector ends", state, |next| {
            next.collector = Collector::Idle;
        });
    }
}

fn user(state: &State, user: usize, is_broken: &impl Fn(Rule) -> bool, steps: &mut Vec<Step>) {
    let is_adder = state.adds[user];
    let name = format!("{} {user}", if is_adder { "adder" } else { "holder" });
    // Nobody puts anything in place while the next who opens the store decides.
    let may_put = state.opener == Opener::Idle;
    match state.users[user] {
        User::Start => step(steps, format!("{name} leases"), state, |next| {
            next.leases[user] = true;
            next.users[user] = User::Looking(LIBRARY);
        }),
        User::Looking(object) => {
            let found = state.rows[object];
            step(
                steps,
                format!("{name} finds {object} {found:?}"),
                state,
                |next| {
                    let ignores = is_broken(Rule::ClaimBeforePut) && is_adder;
                    if found.is_being_deleted() && !ignores {
                        next.users[user] = User::Claiming(object);
                    } else {
                        next.settle(user, object, found == Row::Valid);
                    }
                },
            );
        }
        User::Claiming(object) if !state.writing => {
            step(steps, format!("{name} claims {object}"), state, |next| {
                let valid = next.claim(object);
                next.settle(user, object, valid);
            });
        }
        User::Putting(object) | User::Replacing(object) if may_put => {
            put(state, user, object, &name, is_broken, steps);
        }
        User::Confirming(object) if !state.writing => {
            step(steps, format!("{name} confirms {object}"), state, |next| {
                if state.rows[object] == Row::Valid {
                    next.settle(user, object, true);
                } else {
                    next.published[object] = true;
                    next.leave(user);
                }
            });
        }
        User::Registering(object) if !state.writing => {
            step(steps, format!("{name} registers {object}"), state, |next| {
                next.register(user, object);
            });
        }
        User::Using => {
            step(steps, format!("{name} leaves"), state, |next| {
                next.leave(user);
            });
            if !state.writing && !state.root && state.rows[APPLICATION] == Row::Valid {
                step(steps, format!("{name} makes a root"), state, |next| {
                    next.root = true;
                    next.undo.clear();
                });
            }
        }
        _ => {}
    }
}

/// Puts an object in its place, whatever lies there unless that is valid.
fn put(
    state: &State,
    user: usize,
    object: usize,
    name: &str,
    is_broken: &impl Fn(Rule) -> bool,
    steps: &mut Vec<Step>,
) {
    let is_taken = state.files[object].place != Bytes::None;
    let is_valid = state.rows[object] == Row::Valid;
    let in_two_steps =
        is_broken(Rule::ReplaceInOneStep) && matches!(state.users[user], User::Putting(_));
    if in_two_steps && is_taken && !is_valid {
        step(steps, format!("{name} clears {object}"), state, |next| {
            next.files[object].place = Bytes::None;
            next.users[user] = User::Replacing(object);
        });
        return;
    }
    step(steps, format!("{name} puts {object}"), state, |next| {
        if is_valid && is_taken {
            next.users[user] = User::Confirming(object);
            return;
        }
        next.files[object].place = Bytes::Whole;
        if !is_broken(Rule::SyncBeforeRegister) {
            next.synced = next.files;
        }
        next.users[user] = User::Registering(object);
    });
}

/// Bits change on disk, and somebody finds it; not in the milliseconds between an add's last write and its registration.
fn damage(state: &State, steps: &mut Vec<Step>) {
    let is_registering = |user: &User| matches!(user, User::Registering(_));
    if state.damages_left == 0 || state.writing || state.users.iter().any(is_registering) {
        return;
    }
    for object in UP {
        if state.rows[object] == Row::Valid {
            step(steps, format!("{object} is damaged"), state, |next| {
                next.damages_left -= 1;
                next.files[object].place = Bytes::Broken;
                next.synced[object].place = Bytes::Broken;
                next.rows[object] = Row::Damaged;
                next.undo.clear();
                next.promised[object] = false;
            });
        }
    }
}

fn opener(state: &State, is_broken: &impl Fn(Rule) -> bool, steps: &mut Vec<Step>) {
    match state.opener {
        Opener::Idle => {
            let is_needed = state.crashed || state.dead_trash || state.published != [false; 2];
            let nobody_publishes = !state.users.iter().any(|user| {
                matches!(
                    user,
                    User::Registering(_) | User::Confirming(_) | User::Replacing(_)
                )
            });
            if is_needed && nobody_publishes {
                step(steps, "open begins", state, |next| {
                    next.opener = Opener::Reviving;
                    next.found_trash = std::mem::take(&mut next.dead_trash);
                });
            }
        }
        Opener::Reviving if !state.writing => step(steps, "open revives", state, |next| {
            if state.crashed && !is_broken(Rule::ReviveAfterCut) {
                next.remember();
                for object in UP {
                    let complete = object == LIBRARY || next.rows[LIBRARY] == Row::Valid;
                    if !matches!(next.rows[object], Row::Valid | Row::Absent)
                        && next.files[object].place == Bytes::Whole
                        && complete
                    {
                        next.rows[object] = Row::Valid;
                    }
                }
            }
            let finishes = state.crashed || state.found_trash;
            next.opener = if !finishes {
                Opener::Settling
            } else if is_broken(Rule::FinishBeforeEmptying) {
                Opener::Emptying
            } else {
                next.writing = true;
                Opener::Moving { moved: [false; 2] }
            };
        }),
        Opener::Moving { moved } => match next_to_move(state, [true; 2], moved) {
            Some(object) => step(steps, format!("open moves {object}"), state, |next| {
                next.files[object].move_to_trash();
                let mut moved = moved;
                moved[object] = true;
                next.opener = Opener::Moving { moved };
            }),
            None => step(steps, "open commits the removal", state, |next| {
                next.remove_rows(moved);
                next.writing = false;
                next.opener = Opener::Settling;
            }),
        },
        Opener::Finishing if !state.writing => step(steps, "open removes rows", state, |next| {
            next.writing = true;
            next.opener = Opener::Moving { moved: [false; 2] };
        }),
        Opener::Settling if !state.writing => {
            step(steps, "open settles", state, State::settle_orphans);
        }
        Opener::Emptying => empty(state, is_broken, steps),
        _ => {}
    }
}

fn empty(state: &State, is_broken: &impl Fn(Rule) -> bool, steps: &mut Vec<Step>) {
    step(steps, "open empties the trash", state, |next| {
        let collects = !matches!(state.collector, Collector::Idle | Collector::Marked { .. });
        for object in UP {
            // What is being deleted lies in the trash of another one, which died later.
            let is_ours =
                !state.rows[object].is_being_deleted() || is_broken(Rule::FinishBeforeEmptying);
            if !collects && is_ours {
                next.files[object].trash = Bytes::None;
            }
        }
        next.found_trash = false;
        if is_broken(Rule::FinishBeforeEmptying)
            && state.rows.iter().any(|row| row.is_being_deleted())
        {
            next.opener = Opener::Finishing;
            return;
        }
        next.crashed = false;
        next.published = [false; 2];
        next.opener = Opener::Idle;
    });
}

fn deaths(state: &State, steps: &mut Vec<Step>) {
    if state.deaths_left == 0 {
        return;
    }
    if state.collector != Collector::Idle {
        step(steps, "collector dies", state, |next| {
            next.deaths_left -= 1;
            next.writing &= !matches!(state.collector, Collector::Moving { .. });
            next.collector = Collector::Idle;
            next.dead_trash = true;
        });
    }
    for user in [0, 1] {
        if !matches!(state.users[user], User::Start | User::Gone) {
            step(steps, format!("user {user} dies"), state, |next| {
                next.deaths_left -= 1;
                if let User::Registering(object) | User::Confirming(object) = state.users[user] {
                    next.published[object] = true;
                }
                next.leave(user);
            });
        }
    }
    if state.opener != Opener::Idle {
        step(steps, "open dies", state, |next| {
            next.deaths_left -= 1;
            if let Opener::Moving { .. } = state.opener {
                next.writing = false;
            }
            // In the middle of removing it has trash of its own.
            next.dead_trash |= state.found_trash || state.writing;
            next.found_trash = false;
            next.opener = Opener::Idle;
        });
    }
}

/// The rows go back to any state since the last synced transaction; of files, each change since the last sync is there or not.
fn power_cuts(state: &State, steps: &mut Vec<Step>) {
    if state.cuts_left == 0 {
        return;
    }
    let mut rows = state.undo.clone();
    rows.push(state.rows);
    for rows in rows {
        for library in outcomes(state, LIBRARY) {
            for application in outcomes(state, APPLICATION) {
                step(steps, "power cut", state, |next| {
                    next.cuts_left -= 1;
                    next.rows = rows;
                    next.undo.clear();
                    next.files = [library, application];
                    next.synced = next.files;
                    next.writing = false;
                    next.collector = Collector::Idle;
                    next.users = [User::Gone; 2];
                    next.leases = [false; 2];
                    next.opener = Opener::Idle;
                    next.dead_trash = false;
                    next.found_trash = false;
                    next.published = [false; 2];
                    next.crashed = true;
                });
            }
        }
    }
}

fn outcomes(state: &State, object: usize) -> Vec<Files> {
    let (now, synced) = (state.files[object], state.synced[object]);
    let mut outcomes = vec![now];
    if synced != now {
        outcomes.push(synced);
        // What was unlinked in the trash is gone, and the move into the trash is not on disk.
        if synced.place == Bytes::Whole && now.place == Bytes::None && now.trash != Bytes::Whole {
            outcomes.push(Files {
                place: Bytes::Broken,
                trash: Bytes::None,
            });
        }
        // What was put there has its name and not all of its bytes.
        if synced.place == Bytes::None && now.place == Bytes::Whole {
            outcomes.push(Files {
                place: Bytes::Broken,
                trash: now.trash,
            });
        }
    }
    outcomes
}

impl Files {
    fn move_to_trash(&mut self) {
        if self.place != Bytes::None {
            self.trash = self.place;
            self.place = Bytes::None;
        }
    }
}

impl State {
    fn remove_rows(&mut self, moved: Both<bool>) {
        self.remember();
        for object in DOWN.into_iter().filter(|object| moved[*object]) {
            self.rows[object] = Row::Absent;
        }
    }

    /// Goes on after an object is known to be valid or not.
    fn settle(&mut self, user: usize, object: usize, is_valid: bool) {
        if is_valid && object == APPLICATION {
            self.users[user] = User::Using;
            self.promised = self.rows.map(|row| row == Row::Valid);
        } else if is_valid {
            self.users[user] = User::Looking(APPLICATION);
        } else if self.adds[user] {
            self.users[user] = User::Putting(object);
        } else {
            self.leave(user);
        }
    }

    fn leave(&mut self, user: usize) {
        self.users[user] = User::Gone;
        self.leases[user] = false;
    }

    /// Settles with a tombstone. Tells whether the object is valid.
    fn claim(&mut self, object: usize) -> bool {
        match self.rows[object] {
            Row::Valid => return true,
            Row::Absent | Row::Damaged => return false,
            Row::Deleting | Row::DeletingDamaged => {}
        }
        self.remember();
        let closure: Vec<usize> = UP
            .into_iter()
            .filter(|other| *other <= object && self.rows[*other] != Row::Valid)
            .collect();
        let can_come_back = closure.iter().all(|other| {
            let files = self.files[*other];
            self.rows[*other] == Row::Deleting
                && (files.place != Bytes::None || files.trash != Bytes::None)
        });
        if !can_come_back {
            self.rows[object] = Row::Damaged;
            return false;
        }
        for other in closure {
            let files = &mut self.files[other];
            if files.place == Bytes::None {
                files.place = files.trash;
                files.trash = Bytes::None;
                self.synced = self.files;
            }
            self.rows[other] = Row::Valid;
        }
        true
    }

    fn register(&mut self, user: usize, object: usize) {
        if object == APPLICATION && self.rows[LIBRARY] != Row::Valid {
            // Damage in the meantime is no fault of the protocol.
            self.refused |= self.damages_left > 0;
            self.published[object] = true;
            self.leave(user);
            return;
        }
        self.remember();
        self.rows[object] = Row::Valid;
        self.settle(user, object, true);
    }

    /// Registers or removes what lies at a place without a row that says that it is valid.
    fn settle_orphans(&mut self) {
        self.remember();
        for object in UP {
            let suspected = self.crashed || self.published[object];
            if !suspected || self.rows[object] == Row::Valid {
                continue;
            }
            let complete = object == LIBRARY || self.rows[LIBRARY] == Row::Valid;
            if self.files[object].place == Bytes::Whole && complete {
                self.rows[object] = Row::Valid;
            } else {
                self.files[object].place = Bytes::None;
            }
        }
        self.opener = Opener::Emptying;
    }
}
