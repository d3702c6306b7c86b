//! Ways out of what libraries fail with, wherever in the chain of causes it is.

use std::borrow::Cow;
use std::{error::Error, io::ErrorKind};

use pack::existing::ExistingError;
use pack::sign::SecretKeyError;
use pack::{BaseError, ImageError, SinkError, StartError};
use recipes::build::StepError;
use recipes::source::archive::ArchiveError;
use recipes::source::local::LocalError;
use recipes::source::{AttemptError, FetchError, MirrorError};
use store::net::NetError;
use store::registry::RegistryError;
use store::{
    AddError, ClosureError, DbError, OpenError, ReadOnlyReason, RebuildError, RootError,
    VerifyError,
};

const DECRYPT: &str = "`openssl pkey -in FILE -out PLAIN` decrypts a key of openssl's; cosign's own are for cosign alone, but `cosign import-key-pair` takes what `pith key generate --type p256` makes";
const MAKE_ROOM: &str = "`pith store gc` deletes what nothing needs";

/// Returns the hint for the first cause that has one.
pub(crate) fn find(error: &(dyn Error + 'static)) -> Option<Cow<'static, str>> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(hint) = of(error) {
            return Some(hint.into());
        }
        if let Some(name) = unknown_mirror(error) {
            return Some(name_mirror(name).into());
        }
        if let Some(StepError::Local(error)) = find_type(error) {
            return local_files(error).map(Cow::from);
        }
        cause = error.source();
    }
    None
}

/// The mirror that a file could have come from if this machine knew it.
fn unknown_mirror<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a str> {
    // The first two show this error as their own.
    let error = match (find_type(error), find_type(error)) {
        (Some(StepError::Fetch(error)), _) => error.as_ref(),
        (_, Some(ArchiveError::Fetch(error))) => error,
        _ => find_type(error)?,
    };
    let FetchError::Unavailable { attempts, .. } = error else {
        return None;
    };
    attempts.iter().find_map(|attempt| match &attempt.reason {
        AttemptError::Mirror(MirrorError::Unknown { name, .. }) => Some(name.as_str()),
        _ => None,
    })
}

/// What to write and where, and which setting of another tool says the same.
fn name_mirror(name: &str) -> String {
    let or = match name {
        "npm" => "; or `npm config set registry https://…`",
        "pypi" => "; or `pip config set global.index-url https://…/simple`",
        "crates" => "; or have cargo fetch a crate once, which keeps its registry's address",
        name if name.starts_with("debian") => "; or name it in a file of `/etc/apt/sources.list.d`",
        _ => "",
    };
    format!(
        "say where the mirror is, in `pith.toml` of the project or in `~/.config/pith/config.toml`: `mirrors.{name} = [\"https://…\"]`{or}"
    )
}

/// What may be done about files of a project that cannot be taken.
fn local_files(error: &LocalError) -> Option<String> {
    Some(match error {
        LocalError::Secrets { files, .. } => {
            let (file, _) = files.first()?;
            let file = file.escape_debug();
            format!(
                "a line `/{file}` in `.pithignore` leaves it out; `source(…, allow_secrets = [\"{file}\"])` says that it belongs there"
            )
        }
        LocalError::Changed { .. } => {
            "a line in `.pithignore` leaves out what is written all the time".to_owned()
        }
        LocalError::Empty { .. } => {
            "a line in `.pithignore` that begins with `!` takes what is ignored elsewhere"
                .to_owned()
        }
        LocalError::Special { .. } => "a line in `.pithignore` leaves it out".to_owned(),
        _ => return None,
    })
}

fn of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = find_type::<DbError>(error) {
        return of_database(error);
    }
    if let Some(SecretKeyError::Encrypted) = find_type(error) {
        return Some(DECRYPT);
    }
    match find_type::<AddError>(error) {
        Some(AddError::Db(error)) => return of_database(error),
        Some(AddError::NoSpace { .. } | AddError::NoFiles { .. } | AddError::Quota { .. }) => {
            return Some(MAKE_ROOM);
        }
        _ => {}
    }
    if let Some(OpenError::Db(error)) = find_type(error) {
        return of_database(error);
    }
    match find_type(error) {
        Some(RootError::Db(error)) => return of_database(error),
        Some(RootError::File(error)) if error.source.kind() == ErrorKind::StorageFull => {
            return Some(MAKE_ROOM);
        }
        _ => {}
    }
    if let Some(VerifyError::Db(error)) = find_type(error) {
        return of_database(error);
    }
    match find_type(error) {
        Some(ClosureError::Db(error)) => return of_database(error),
        Some(ClosureError::Dangling { .. }) => {
            return Some("`pith store repair` puts right what is damaged");
        }
        _ => {}
    }
    if let Some(ImageError::Foreign { .. }) = find_type(error) {
        return Some(
            "`--platform` says what the image is for; a store path is for one platform only",
        );
    }
    if let Some(hint) = on_base(error) {
        return Some(hint);
    }
    if let Some(ImageError::Start(error)) = find_type(error) {
        return Some(not_starting(error));
    }
    if let Some(error) = find_type(error) {
        return of_registry(error);
    }
    match find_type(error) {
        Some(RebuildError::InUse { .. }) => Some("try again when it is done"),
        _ => None,
    }
}

/// What may be done about an image whose program does not start.
/// What may be done where an image does not lie on its base.
fn on_base(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(SinkError::OnBase { .. }) = find_type(error) {
        return Some("`-f oci` and archives hold it; `umoci unpack` makes files of a layout");
    }
    if let Some(ExistingError::Unfit { .. }) = find_type(error) {
        return Some("`pith pack --base` packs it on the new base");
    }
    if let Some(ExistingError::NotInBase { .. }) = find_type(error) {
        return Some("`pith pack --base` packs it on the new base, with all that this lacks");
    }
    let error = match find_type(error) {
        Some(ImageError::Base(error)) => &**error,
        _ => find_type(error)?,
    };
    match error {
        BaseError::Conflict { .. } => {
            Some("`links` and `files` of `image(…)` say what lies where in an image")
        }
        BaseError::Distribution => {
            Some("pack those packages by themselves, and other packages on that image")
        }
        _ => None,
    }
}

const fn not_starting(error: &StartError) -> &'static str {
    match error {
        StartError::Library { .. } => {
            "pack the package that has it as well, or link with its directory in the run path; `--no-check` packs it as it is"
        }
        StartError::Interpreter { .. } => {
            "pack the package that has it as well; `--no-check` packs it as it is"
        }
        _ => "`entrypoint` of `image(…)` says what an image runs; `--no-check` packs it as it is",
    }
}

/// A cause that is kept in a box is seen as the box.
fn find_type<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    error
        .downcast_ref::<E>()
        .or_else(|| Some(error.downcast_ref::<Box<E>>()?.as_ref()))
}

fn of_registry(error: &RegistryError) -> Option<&'static str> {
    match error {
        RegistryError::LogIn { .. } => Some(
            "`podman login REGISTRY` keeps a user and a password where pith finds them; so does `docker login`",
        ),
        RegistryError::Forbidden { .. } => {
            Some("the user who is logged in needs the right to do that in this repository")
        }
        RegistryError::Absent { .. } => {
            Some("is this a registry, and does the repository exist there?")
        }
        RegistryError::TooLarge { .. } => Some(
            "`--max-layers N` with a larger N makes smaller layers; or raise the limit of the proxy before the registry",
        ),
        RegistryError::Busy { .. } => {
            Some("try again later: what was sent already is not sent again")
        }
        RegistryError::Unreachable {
            source: NetError::Certificate { .. } | NetError::Unreachable { .. },
            ..
        } => Some(
            "does a registry listen there? `--insecure` speaks http to one on another machine that has no https",
        ),
        RegistryError::Unreachable { .. } => {
            Some("try again: what was sent already is not sent again")
        }
        RegistryError::Plaintext { .. } => {
            Some("`--insecure` sends them all the same, and everybody on the way can read them")
        }
        RegistryError::Digest { .. } => Some(
            "something between here and the registry changes what is sent, or the registry is broken",
        ),
        _ => None,
    }
}

fn of_database(error: &DbError) -> Option<&'static str> {
    match error {
        DbError::Full { .. }
        | DbError::ReadOnly {
            reason: ReadOnlyReason::Full,
            ..
        } => Some(MAKE_ROOM),
        DbError::ReadOnly { .. } => Some("`--store DIR` uses another store"),
        DbError::NewerFormat { .. } => Some(
            "a newer pith has used this store; use that one, or another store with `--store DIR`",
        ),
        DbError::OlderFormat { .. } | DbError::UnreadableLog { .. } => {
            Some("`pith store info` does it, run by who may write to the store")
        }
        error if error.is_damage() => {
            Some("`pith store rebuild-db` makes the database again from the records beside it")
        }
        _ => None,
    }
}
