//! Who the program of an image is, where it begins, and what ends it: what runtimes refuse only when they start it.

use std::{path::Path, str::FromStr};

use nix::sys::signal::Signal;

use super::{Start, StartError, view::Thing};
use crate::{Image, rootfs::User};

/// Other names of signals that runtimes know.
const ALIASES: [&str; 4] = ["SIGCLD", "SIGIOT", "SIGPOLL", "SIGUNUSED"];
/// The number of the last signal of Linux.
const LAST_SIGNAL: u8 = 64;
/// How many signals there are from the first to the last one that programs may use as they like.
const REAL_TIME_SIGNALS: u8 = 30;

impl Start<'_> {
    /// Checks what a runtime sets up before it executes the program.
    pub(crate) fn check_process(
        &self,
        user: &User,
        stop_signal: Option<&str>,
    ) -> Result<(), StartError> {
        // `(uid_t) -1` means "do not change it" to the kernel.
        if [user.uid(), user.gid()].contains(&u32::MAX) {
            return Err(StartError::User {
                user: user.to_string(),
            });
        }
        if let Some(signal) = stop_signal.filter(|signal| !is_signal(signal)) {
            return Err(StartError::Signal {
                signal: signal.to_owned(),
            });
        }
        self.check_directory()
    }

    /// Runtimes make the directory where there is none, which they cannot where a file is.
    fn check_directory(&self) -> Result<(), StartError> {
        let directory = Path::new(self.working_directory);
        let is_file =
            |path: &Path| matches!(self.view.resolve(path), Some((_, Thing::File { .. })));
        match directory.ancestors().find(|path| is_file(path)) {
            None => Ok(()),
            Some(file) => Err(StartError::WorkingDirectory {
                directory: self.working_directory.to_owned(),
                file: file.display().to_string(),
            }),
        }
    }
}

impl Image<'_> {
    /// Whether it says what a container runs.
    pub fn has_program(&self) -> bool {
        let run = &self.config().config;
        !(run.entrypoint.is_empty() && run.cmd.is_empty())
    }
}

/// Whether runtimes know a signal: by number, or by name with `SIG` or without.
fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<u8>() {
        return (1..=LAST_SIGNAL).contains(&number);
    }
    let name = text.strip_prefix("SIG").unwrap_or(text);
    let full = format!("SIG{name}");
    let is_offset = |rest: &str, sign: char| {
        let number = rest.strip_prefix(sign).map(str::parse::<u8>);
        rest.is_empty() || number.is_some_and(|number| number.is_ok_and(|n| n <= REAL_TIME_SIGNALS))
    };
    let real_time = |first: &str, sign| {
        name.strip_prefix(first)
            .is_some_and(|rest| is_offset(rest, sign))
    };
    Signal::from_str(&full).is_ok()
        || ALIASES.contains(&full.as_str())
        || real_time("RTMIN", '+')
        || real_time("RTMAX", '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_those_that_runtimes_know() {
        for signal in [
            "SIGTERM",
            "TERM",
            "SIGQUIT",
            "SIGWINCH",
            "15",
            "64",
            "SIGRTMIN",
            "SIGRTMIN+3",
            "RTMAX-30",
            "SIGPOLL",
        ] {
            assert!(is_signal(signal), "{signal}");
        }
        for signal in [
            "",
            "SIG",
            "SIGFOO",
            "sigterm",
            "0",
            "65",
            "SIGRTMIN+31",
            "SIGRTMIN-1",
            "SIGSIGTERM",
        ] {
            assert!(!is_signal(signal), "{signal}");
        }
    }
}
